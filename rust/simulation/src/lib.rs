//! Matching venue, market scenarios and backtest around the hypermm engine. Every draw is keyed by seed, order id
//! and trade id, so that no result depends on call order.
