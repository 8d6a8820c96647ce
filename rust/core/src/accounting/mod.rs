//! What our trading earned: exact books, and where the profit came from.

pub mod attribution;
pub mod ledger;
