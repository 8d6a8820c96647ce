//! The venue of the exchange on loopback: several contracts with a background market each, several accounts, stepped by
//! the caller's clock.
//!
//! It adds to [`super::blocks`] what an exchange shows of itself: answers to whole requests, fills with what they did to
//! the position, the history of orders, reference prices, premium and funding, volumes. All in exact units; what the
//! wire makes of them is the business of whoever listens there.

pub mod coin;
pub mod event;
pub mod history;
mod notices;
pub mod venue;
pub mod view;
