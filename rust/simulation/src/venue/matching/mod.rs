//! An exchange with a true queue per price: orders, accounts, margin, under Hyperliquid's rules.
//!
//! [`exchange::Exchange`] is a pure state machine. It carries out one action at a time and at once; blocks, latencies
//! and who sees what when are the business of what stands around it.
//!
//! Where the venue's own documents are silent, this is what is done here: a name an account gave two living orders
//! means the newer; resting orders hold no margin, which is looked at when an order is placed and again when it trades;
//! a post-only order that would meet an order of its own account is refused like any other.

mod account;
mod book;
pub mod exchange;
mod liquidation;
mod margin;
pub mod mark;
mod matcher;
pub mod order;
mod placing;
mod refusal;
pub mod rules;
mod settings;

pub use account::{AccountView, PositionView};
