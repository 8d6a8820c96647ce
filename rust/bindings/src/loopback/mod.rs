//! `LoopbackVenue`: the matching venue for the exchange on loopback, stepped by the caller's clock.

mod coin;
mod decimal;
mod request;
mod tell;
mod values;
mod venue;

use pyo3::prelude::*;

/// Adds the venue, its coins and what it tells to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<coin::PyLoopbackCoin>()?;
    module.add_class::<venue::PyLoopbackVenue>()?;
    values::register(module)
}
