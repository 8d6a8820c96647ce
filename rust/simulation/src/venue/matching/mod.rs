//! A venue that matches: price–time queues order by order.

pub mod order;
