//! An exchange with a true queue per price: orders, accounts, margin, under Hyperliquid's rules.
//!
//! [`exchange::Exchange`] is a pure state machine. It carries out one action at a time and at once; blocks, latencies
//! and who sees what when are the business of what stands around it.
//!
//! Where the venue's own documents are silent, this is what is done here:
//!
//! - A name an account gave to two living orders means the newer, and the older once that is gone.
//! - Resting orders hold no margin; it is looked at when an order is placed and again when it trades.
//! - A post-only order that would meet an order of its own account is refused like any other.
//! - Each reduce-only order for itself is no larger than the position; several together may be.
//! - The minimum notional is size times limit price.
//! - The fee of an isolated position comes from the account's cash, as does its initial margin at the mark.
//! - An isolated position loses no more than its margin; the backstop bears the rest, and auto-deleveraging is left out.
//! - Isolated-only contracts let margin be taken out (the venue's `noCross`), unless they are told to keep it
//!   (`strictIsolated`).
//! - Contracts of one clearinghouse share money and cross margin; requests, volume, open orders and the dead-man switch
//!   are counted over all clearinghouses of an account.

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
