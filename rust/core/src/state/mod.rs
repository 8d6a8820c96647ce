//! All that pricing reads: facts as received, nothing estimated.

pub mod book;
pub mod context;
pub mod inventory;
pub mod mids;
mod order_memory;
pub mod own_orders;
pub mod queue;
pub mod quota;
pub mod tape;
