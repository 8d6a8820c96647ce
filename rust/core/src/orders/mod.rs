//! From a wanted ladder and standing orders to actions.

pub mod reconcile;
