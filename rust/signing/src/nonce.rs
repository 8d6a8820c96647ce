//! Nonces of one signer: each used once, also across restarts, a clock that goes back and a second process.
//!
//! A nonce is max(last + 1, clock in ms). A file holds a bound that no nonce has passed; it is moved [`AHEAD_MS`] on,
//! and is on the disk, before the first nonce beyond it is given out. So there is one write in ten seconds, not one
//! a nonce, and after a crash the counter goes on at most ten seconds ahead of the clock; the venue takes up to a day.
//! A second file is locked for as long as the counter lives; the system lets go of it when the process ends.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::action::identity::Address;
use crate::error::{Error, Kind, Result};

/// How far the bound on the disk is moved at a time, ms.
pub const AHEAD_MS: u64 = 10_000;
/// How far ahead of block time the venue takes a nonce, ms.
const VENUE_AHEAD_MS: u64 = 86_400_000;
/// Years 2001 to 2286: a clock in seconds or nanoseconds is refused before it can spoil the counter.
const CLOCK_MS: std::ops::Range<u64> = 1_000_000_000_000..10_000_000_000_000;

/// The one counter of a signer.
pub struct NonceCounter {
    path: PathBuf,
    last: u64,
    bound: u64,
    process: u32,
    /// Locked; closing it unlocks.
    _lock: File,
}

impl fmt::Debug for NonceCounter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NonceCounter").field("path", &self.path).field("last", &self.last).finish()
    }
}

#[cold]
fn refuse(path: &Path, state: &str, expected: &'static str, hint: &'static str) -> Error {
    Error::new(Kind::Nonce, "nonce file", format!("{} ({state})", path.display()), expected, hint)
}

#[cold]
fn failed(path: &Path, error: &std::io::Error) -> Error {
    refuse(path, &error.to_string(), "a file that can be read and written", "check the folder, its owner and the disk")
}

impl NonceCounter {
    /// The counter of `signer`, kept in `folder`, which is made when it is not there. All processes that sign with
    /// one key must name the same folder; the second of them is refused.
    ///
    /// # Errors
    ///
    /// Another counter of the signer is open, the file is damaged, or the folder cannot be written.
    pub fn open(folder: &Path, signer: Address) -> Result<Self> {
        let path = folder.join(format!("{signer}.nonce"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(&path, &error))?;
        let lock_path = folder.join(format!("{signer}.lock"));
        let lock = private(&lock_path, false).map_err(|error| failed(&lock_path, &error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let hint = "one process signs with one key: stop the other, or give each its own agent";
            refuse(&lock_path, "in use by another process or counter", "a signer nobody else signs with", hint)
        })?;
        let last = stored(&path)?;
        Ok(Self { path, last, bound: last, process: std::process::id(), _lock: lock })
    }

    /// The last nonce given out; after a restart, the bound none has passed. 0 when there was none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The next nonce: above all before it, and the clock where that is later.
    ///
    /// # Errors
    ///
    /// The clock is not in milliseconds, or a day or more behind the counter; the bound cannot be written; or the
    /// counter came here through a fork. The counter then stands as before.
    pub fn next(&mut self, now_ms: u64) -> Result<u64> {
        let nonce = self.after(now_ms)?;
        if nonce > self.bound {
            let bound = nonce + AHEAD_MS;
            store(&self.path, bound).map_err(|error| failed(&self.path, &error))?;
            self.bound = bound;
        }
        self.last = nonce;
        Ok(nonce)
    }

    /// The next nonce without the disk: for what must go out although the bound cannot be written, and may be refused
    /// as a nonce used twice should the process end and the clock go back before it can. The next call of
    /// [`NonceCounter::next`] tries the disk again.
    ///
    /// # Errors
    ///
    /// As `next`, but for the bound.
    pub fn next_unwritten(&mut self, now_ms: u64) -> Result<u64> {
        self.last = self.after(now_ms)?;
        Ok(self.last)
    }

    fn after(&self, now_ms: u64) -> Result<u64> {
        if !CLOCK_MS.contains(&now_ms) {
            return Err(Error::input("now_ms", &now_ms.to_string(), "milliseconds since 1970"));
        }
        if self.process != std::process::id() {
            let hint = "open the counter in the process that signs";
            return Err(refuse(&self.path, "copied by a fork", "the process that opened it", hint));
        }
        let nonce = now_ms.max(self.last + 1);
        if nonce - now_ms >= VENUE_AHEAD_MS {
            let hint = "set the clock; if it is right, the file is: stop, wait until no order is open, and delete it";
            return Err(refuse(&self.path, "a day ahead of the clock", "a clock near the last nonce", hint));
        }
        Ok(nonce)
    }
}

impl Drop for NonceCounter {
    /// Leaves the last nonce in place of the bound, so that an orderly restart goes on where this ends. Should that
    /// fail, the bound is as good.
    fn drop(&mut self) {
        if self.last != self.bound && self.process == std::process::id() {
            let _ = store(&self.path, self.last);
        }
    }
}

fn private(path: &Path, truncate: bool) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(truncate).mode(0o600).open(path)
}

/// The bound on the disk; 0 when there is no file.
fn stored(path: &Path) -> Result<u64> {
    const LONGEST: u64 = 32;
    let mut text = String::new();
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(path, &error)),
        Ok(file) => file.take(LONGEST).read_to_string(&mut text),
    }
    .ok()
    .and_then(|_| text.strip_suffix('\n')?.parse().ok())
    .filter(|bound| *bound < CLOCK_MS.end)
    .ok_or_else(|| {
        let hint = "if the clock is right, stop, wait until no order is open, and delete the file";
        refuse(path, "damaged", "a count of milliseconds since 1970 and a line end", hint)
    })
}

/// Replaces the file at once: after a crash it holds the old bound or the new one, never a part.
fn store(path: &Path, bound: u64) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = private(&fresh, true)?;
    file.write_all(format!("{bound}\n").as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
