//! Sections 3 to 6 and 9 of MODEL.md: from estimates to a ladder, each price a sum of named terms.

pub mod costs;
pub mod decision;
pub mod explain;
pub mod fill_probability;
pub mod ladder;
pub mod prepared;
pub mod readings;
pub mod reservation;
pub mod risk;
pub mod standalone;
