//! The whole state as versioned, checked bytes, and back.

use super::{QuoteEngine, check_config};
use crate::config::EngineConfig;
use crate::error::{Result, snapshot_refused};

const SNAPSHOT_MAGIC: [u8; 4] = *b"HYMM";
const SNAPSHOT_VERSION: u16 = 9;

impl QuoteEngine {
    /// All learned state with settings and instrument, versioned and checked.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = SNAPSHOT_MAGIC.to_vec();
        bytes.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
        // Plain data of finite size: the encoder has nothing to refuse.
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// An engine that goes on bit for bit where the snapshot was taken; `config` replaces the settings, keeping what was learned.
    ///
    /// # Errors
    /// [`crate::error::Error::Snapshot`] for damaged, foreign or other-version bytes.
    pub fn restore(bytes: &[u8], config: Option<EngineConfig>) -> Result<Self> {
        let refuse = |what: &'static str, hint: &'static str| {
            Err(snapshot_refused("state", format!("{} bytes", bytes.len()), what, hint))
        };
        let Some((head, checksum)) = bytes.split_last_chunk::<4>() else {
            return refuse("a snapshot made by QuoteEngine.snapshot", "the bytes are too short");
        };
        let Some(body) = head.strip_prefix(&SNAPSHOT_MAGIC) else {
            return refuse("a snapshot made by QuoteEngine.snapshot", "the bytes are of something else");
        };
        if crc32fast::hash(head) != u32::from_le_bytes(*checksum) {
            return refuse("a whole snapshot", "the bytes are damaged: the checksum differs");
        }
        let Some((version, body)) = body.split_first_chunk::<2>() else {
            return refuse("a whole snapshot", "the bytes are too short");
        };
        if u16::from_le_bytes(*version) != SNAPSHOT_VERSION {
            let expected = format!("a snapshot of version {SNAPSHOT_VERSION}");
            return Err(snapshot_refused(
                "state",
                format!("{} bytes", bytes.len()),
                expected,
                "it was made by another version of hypermm",
            ));
        }
        let Ok(mut engine) = postcard::from_bytes::<Self>(body) else {
            return refuse("a whole snapshot", "the bytes do not decode");
        };
        check_config(&engine.instrument, &engine.config)?;
        if let Some(config) = config {
            engine.update_config(config)?;
        }
        Ok(engine)
    }
}
