//! No nonce twice: not after a restart, not when the clock goes back, not from two counters at once.

use std::fs;

use hypermm_signing::action::identity::Address;
use hypermm_signing::error::Kind;
use hypermm_signing::nonce::{AHEAD_MS, NonceCounter};
use proptest::prelude::*;

use crate::signing_key::Folder;

const NOW_MS: u64 = 1_760_000_000_000;
const SIGNER: Address = Address([0x42; 20]);

fn open(folder: &Folder) -> NonceCounter {
    NonceCounter::open(&folder.0, SIGNER).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Draw { clock_ms: i64 },
    Restart,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (-100_000_i64..100_000).prop_map(|clock_ms| Step::Draw { clock_ms }),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    // Kills: a bound written after its nonce, a restart from the clock alone, a clock followed backwards.
    #[test]
    fn nonces_only_rise_whatever_the_clock_and_the_process_do(steps in prop::collection::vec(step(), 1..80)) {
        let folder = Folder::new("rise");
        let file = folder.0.join(format!("{SIGNER}.nonce"));
        let mut counter = open(&folder);
        let mut last = 0;
        for step in steps {
            match step {
                Step::Draw { clock_ms } => {
                    let now_ms = NOW_MS.checked_add_signed(clock_ms).unwrap();
                    let nonce = counter.next(now_ms).unwrap();
                    prop_assert!(nonce > last && nonce >= now_ms, "{nonce} after {last} at {now_ms}");
                    prop_assert_eq!(counter.last(), nonce);
                    last = nonce;
                }
                Step::Restart => {
                    let before = counter.last();
                    drop(counter);
                    counter = open(&folder);
                    prop_assert_eq!(counter.last(), before, "an orderly restart skips nothing");
                }
                Step::Crash => {
                    // What a crash leaves is what stood on the disk before the drop wrote to it.
                    let left = fs::read(&file).ok();
                    drop(counter);
                    if let Some(left) = left {
                        fs::write(&file, left).unwrap();
                    }
                    counter = open(&folder);
                    prop_assert!((last..=last + AHEAD_MS).contains(&counter.last()));
                }
            }
        }
    }
}

// Kills: a clock ignored while it runs ahead of the counter, one write for each nonce.
#[test]
fn nonces_follow_the_clock_and_the_disk_is_written_once_in_ten_seconds() {
    let folder = Folder::new("clock");
    let file = folder.0.join(format!("{SIGNER}.nonce"));
    let mut counter = open(&folder);
    let mut bounds = Vec::new();
    for step in 0..600 {
        let now_ms = NOW_MS + step * 100;
        assert_eq!(counter.next(now_ms).unwrap(), now_ms);
        bounds.push(fs::read_to_string(&file).unwrap());
    }
    bounds.dedup();
    assert_eq!(bounds.len(), 6, "one minute");
}

// Kills: a nonce twice when the disk is full, a counter that then gives orders nonces no bound covers, a disk that is
// never tried again.
#[test]
fn without_a_disk_only_unwritten_nonces_are_given_and_none_twice() {
    let folder = Folder::new("full-disk");
    let file = folder.0.join(format!("{SIGNER}.nonce"));
    let mut counter = open(&folder);
    assert_eq!(counter.next(NOW_MS).unwrap(), NOW_MS);
    let later_ms = NOW_MS + 2 * AHEAD_MS;
    // A folder in its way, as a full disk is.
    let in_the_way = file.with_extension("new");
    fs::create_dir(&in_the_way).unwrap();
    let error = counter.next(later_ms).unwrap_err();
    assert_eq!(error.kind, Kind::Nonce);
    assert_eq!(counter.next_unwritten(later_ms).unwrap(), later_ms);
    assert_eq!(counter.next_unwritten(later_ms - 5).unwrap(), later_ms + 1);
    assert!(counter.next(later_ms).is_err());
    assert!(counter.next_unwritten(NOW_MS / 1_000).is_err());
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(counter.next(later_ms).unwrap(), later_ms + 2);
    let stored: u64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert_eq!(stored, later_ms + 2 + AHEAD_MS);
}

// Kills: two holders of one signer, a lock that outlives its counter, one lock for all signers.
#[test]
fn a_signer_has_one_counter_at_a_time() {
    let folder = Folder::new("lock");
    let first = open(&folder);
    let error = NonceCounter::open(&folder.0, SIGNER).unwrap_err();
    assert_eq!(error.kind, Kind::Nonce);
    assert!(error.value.contains("in use by another process"), "{error}");
    assert!(NonceCounter::open(&folder.0, Address([0x43; 20])).is_ok());
    drop(first);
    assert!(NonceCounter::open(&folder.0, SIGNER).is_ok());
}

// Kills: damage read as 0, so that nonces start over below those used.
#[test]
fn a_damaged_file_is_refused() {
    let folder = Folder::new("damage");
    let file = folder.0.join(format!("{SIGNER}.nonce"));
    let too_late = "99999999999999999999\n";
    for content in ["", "\n", "176000000", "x\n", "-5\n", "1760000000000\n\n", "1760000000000 \n", too_late] {
        fs::write(&file, content).unwrap();
        let error = NonceCounter::open(&folder.0, SIGNER).unwrap_err();
        assert!(error.value.ends_with("(damaged)"), "{content:?}: {error}");
    }
    fs::write(&file, [0xff; 9]).unwrap();
    assert!(NonceCounter::open(&folder.0, SIGNER).is_err());
    fs::write(&file, format!("{NOW_MS}\n")).unwrap();
    assert_eq!(open(&folder).next(NOW_MS - 5).unwrap(), NOW_MS + 1);
}

// Kills: a clock in seconds or nanoseconds, which would spoil the counter for ever; a nonce the venue refuses.
#[test]
fn a_clock_that_cannot_be_right_is_refused_and_changes_nothing() {
    let folder = Folder::new("wrong-clock");
    let mut counter = open(&folder);
    assert_eq!(counter.next(NOW_MS).unwrap(), NOW_MS);
    for wrong in [0, NOW_MS / 1_000, NOW_MS * 1_000, NOW_MS * 1_000_000, u64::MAX] {
        assert_eq!(counter.next(wrong).unwrap_err().field, "now_ms");
    }
    let error = counter.next(NOW_MS + 1 - 86_400_000).unwrap_err();
    assert!(error.value.ends_with("(a day ahead of the clock)"), "{error}");
    assert_eq!(counter.next(NOW_MS + 2 - 86_400_000).unwrap(), NOW_MS + 1, "the venue takes it");
}

// Kills: a nonce given out although its bound is not on the disk.
#[test]
fn a_nonce_whose_bound_cannot_be_written_is_not_given_out() {
    let folder = Folder::new("unwritable");
    let mut counter = open(&folder);
    let obstacle = folder.0.join(format!("{SIGNER}.new"));
    fs::create_dir(&obstacle).unwrap();
    let error = counter.next(NOW_MS).unwrap_err();
    assert_eq!((error.kind, counter.last()), (Kind::Nonce, 0), "{error}");
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(counter.next(NOW_MS).unwrap(), NOW_MS);
}
