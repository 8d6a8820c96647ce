//! Signs Hyperliquid's L1 actions: canonical bytes, typed-data hash, deterministic ECDSA, key file and nonces.
//!
//! An [`action::Action`] is one of the venue's actions with its fields in the venue's order. [`typed_data`] makes a
//! digest of its bytes, [`key::Signer`] signs the digest with a key that only this crate ever holds, and
//! [`nonce::NonceCounter`] hands out the numbers that let an action be used once. No clock is read: times come in.
//! [`approval`] reads what accounts sign for their agents, for the exchange on loopback.

pub mod action;
pub mod approval;
pub mod error;
pub mod key;
pub mod nonce;
pub mod typed_data;
