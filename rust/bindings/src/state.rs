//! Snapshots of the standalone estimators: kind, version, checksum, state.

use hypermm_core::error::{Error, snapshot_refused};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Kind, guard, refused};

/// Changes whenever the state of any estimator changes its form.
const VERSION: u8 = 3;
const HEADER: usize = 8;

/// A state as bytes that [`open`] takes.
pub(crate) fn seal<'py, T: Serialize>(py: Python<'py>, kind: u8, state: &T) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &guard(|| written(kind, state))?))
}

/// The state of bytes made by [`seal`] with the same kind and version.
pub(crate) fn open<T: DeserializeOwned>(kind: u8, class: &'static str, state: &Bound<'_, PyAny>) -> PyResult<T> {
    let bytes = state_bytes(state)?;
    guard(|| read(kind, class, bytes))
}

/// The bytes of a snapshot.
pub(crate) fn state_bytes<'a>(state: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match state.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(refused(Kind::Snapshot, "state", state, "bytes made by snapshot()", "")),
    }
}

/// Magic, kind, version, CRC-32 of the rest, the rest.
fn written<T: Serialize>(kind: u8, state: &T) -> Result<Vec<u8>, Error> {
    let body = postcard::to_stdvec(state)
        .map_err(|error| snapshot_refused("state", error.to_string(), "a state that can be written", ""))?;
    let mut bytes = vec![b'h', b'm', kind, VERSION];
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn read<T: DeserializeOwned>(kind: u8, class: &'static str, bytes: &[u8]) -> Result<T, Error> {
    let refuse = |found: &str| {
        snapshot_refused("state", found, format!("bytes of {class}.snapshot(), version {VERSION}"), "start afresh")
    };
    let (Some([b'h', b'm', found, version]), Some(checksum), Some(body)) =
        (bytes.get(..4), bytes.get(4..HEADER), bytes.get(HEADER..))
    else {
        return Err(refuse("foreign bytes"));
    };
    if *found != kind {
        return Err(refuse("the state of another class"));
    }
    if *version != VERSION {
        return Err(refuse(&format!("version {version}")));
    }
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return Err(refuse("damaged bytes"));
    }
    postcard::from_bytes(body).map_err(|_| refuse("damaged bytes"))
}
