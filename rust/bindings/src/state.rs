//! Snapshots of the standalone estimators: kind, version, checksum, state.

use hypermm_core::error::{Error, snapshot_refused};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Changes whenever the state of any estimator changes its form.
const VERSION: u8 = 2;
const HEADER: usize = 8;

/// The bytes of a state: magic, kind, version, CRC-32 of the rest, the rest.
pub(crate) fn seal<T: Serialize>(kind: u8, state: &T) -> Result<Vec<u8>, Error> {
    let body = postcard::to_stdvec(state)
        .map_err(|error| snapshot_refused("state", error.to_string(), "a state that can be written", ""))?;
    let mut bytes = vec![b'h', b'm', kind, VERSION];
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The state of bytes made by [`seal`] with the same kind and version.
pub(crate) fn open<T: DeserializeOwned>(kind: u8, class: &'static str, bytes: &[u8]) -> Result<T, Error> {
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
