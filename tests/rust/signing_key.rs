//! The key file: who may read it, what it may hold, and that the key is never seen again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use hypermm_signing::action::Action;
use hypermm_signing::error::{Error, Kind};
use hypermm_signing::key::Signer;
use hypermm_signing::typed_data::{Network, Terms};

const KEY: &str = "8f2a559490cc2a7ab61c32ed3d8060216ee02e4960a83f97bde6ceb39d4b4d5e";

/// A folder of one test, removed with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file of mode 0600 with this content.
pub(crate) fn key_file(folder: &Folder, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.0.join("key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn load(path: &Path) -> Result<Signer, Error> {
    Signer::from_file(path, Network::Testnet, None, false)
}

// Kills: a bit of the mode that is not looked at, a refusal that does not say how to mend it.
#[test]
fn a_file_anyone_else_can_use_is_refused() {
    let folder = Folder::new("modes");
    let path = key_file(&folder, KEY);
    for bit in 0..9 {
        let mode = 0o600 | (1 << bit);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if mode == 0o600 {
            assert!(load(&path).is_ok());
            continue;
        }
        let error = load(&path).unwrap_err();
        assert_eq!(error.kind, Kind::Key);
        assert_eq!(error.hint, format!("chmod 600 {}", path.display()));
        assert!(error.value.ends_with(&format!("(mode {mode:04o})")), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(load(&path).is_ok(), "read-only is narrower");
}

// Kills: the owner not looked at. Only root can give a file away, so elsewhere there is nothing to try.
#[test]
fn a_file_of_another_user_is_refused() {
    let folder = Folder::new("owner");
    let path = key_file(&folder, KEY);
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        println!("skipped: only root can give a file away");
        return;
    }
    let error = load(&path).unwrap_err();
    assert!(error.value.ends_with("(owned by user 12345)"), "{error}");
}

// Kills: a pipe that is waited for, a folder or a missing file taken for a damaged one.
#[test]
fn what_is_not_a_file_is_refused_at_once() {
    let folder = Folder::new("kinds");
    let pipe = folder.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    for (path, state) in [
        (pipe, "not a regular file"),
        (folder.0.clone(), "not a regular file"),
        (PathBuf::from("/dev/null"), "not a regular file"),
        (folder.0.join("absent"), "entity not found"),
    ] {
        let error = load(&path).unwrap_err();
        assert!(error.value.contains(state), "{error}");
    }
    let link = folder.0.join("link");
    symlink(key_file(&folder, KEY), &link).unwrap();
    assert!(load(&link).is_ok(), "a link to a private file of ours");
    fs::set_permissions(folder.0.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load(&link).is_err(), "a link does not hide the mode");
}

// Kills: a message that quotes the content, a key of the wrong length or out of range taken.
#[test]
fn other_content_is_refused_and_not_quoted() {
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let folder = Folder::new("content");
    let zeros = "0".repeat(64);
    let (short, long, twice) = (&KEY[..63], format!("{KEY}0"), format!("{KEY}\n{KEY}"));
    let letter = KEY.replacen('8', "g", 1);
    let store = format!("{{\"address\":\"\",\"crypto\":\"{KEY}\"}}");
    let huge = KEY.repeat(5);
    let contents: [&str; 10] = ["", short, &long, &twice, &letter, &store, &zeros, ORDER, &huge, "0X00"];
    for content in contents {
        let error = load(&key_file(&folder, content)).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(error.value.contains("content not shown"), "{error}");
        for start in (0..content.len().saturating_sub(8)).step_by(4) {
            assert!(!text.contains(&content[start..start + 8]), "{text}");
        }
    }
    assert!(load(&key_file(&folder, [0xff, 0xfe, 0])).is_err());
    let plain = load(&key_file(&folder, KEY)).unwrap();
    for same in [format!("0x{KEY}"), format!(" {KEY}\r\n"), KEY.to_uppercase()] {
        assert_eq!(load(&key_file(&folder, same)).unwrap().address(), plain.address());
    }
}

// Kills: the master key signed with unasked, an agent's key refused, the flag ignored.
#[test]
fn the_master_key_is_refused_unless_allowed() {
    let folder = Folder::new("master");
    let path = key_file(&folder, KEY);
    let address = load(&path).unwrap().address();
    let other = "0x1719884eb866cb12b2287399b15f7db5e7d775ea".parse().unwrap();
    let load = |account, allowed| Signer::from_file(&path, Network::Mainnet, account, allowed);
    let error = load(Some(address), false).unwrap_err();
    assert_eq!(error.kind, Kind::Key);
    assert!(error.value.contains(&address.to_string()) && error.hint.contains("--allow-master-key"), "{error}");
    assert!(load(Some(address), true).is_ok());
    assert!(load(Some(other), false).is_ok());
    assert!(load(None, false).is_ok());
}

// Kills: a derived Debug.
#[test]
fn debug_shows_address_and_network_only() {
    let folder = Folder::new("debug");
    let signer = load(&key_file(&folder, KEY)).unwrap();
    assert_eq!(format!("{signer:?}"), format!("Signer {{ address: {}, network: Testnet }}", signer.address()));
}

/// How often `key` stands in this process's writable memory, as bytes or as text of either case. It is compared in
/// disguise, so that the search does not find itself.
#[cfg(target_os = "linux")]
fn copies_in_memory(disguised: &[u8]) -> usize {
    use std::os::unix::fs::FileExt;

    const DISGUISE: u8 = 0xa5;
    const CHUNK: usize = 1 << 16;
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let memory = fs::File::open("/proc/self/mem").unwrap();
    let mut chunk = vec![0; CHUNK];
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut at, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let own = chunk.as_ptr() as u64;
        while at < end {
            let wanted = CHUNK.min((end - at) as usize);
            let Ok(length) = memory.read_at(&mut chunk[..wanted], at) else { break };
            if length == 0 {
                break;
            }
            let begins = chunk[..length]
                .windows(disguised.len())
                .enumerate()
                .filter(|(_, window)| window.iter().zip(disguised).all(|(byte, hidden)| *byte == hidden ^ DISGUISE));
            // What was read stands in the chunk, too.
            found += begins.filter(|(offset, _)| !(own..own + CHUNK as u64).contains(&(at + *offset as u64))).count();
            at += if length == wanted && at + (length as u64) < end {
                (length - disguised.len() + 1) as u64
            } else {
                length as u64
            };
        }
        chunk.fill(0);
    }
    found
}

// Kills: a copy of the key left on the stack or heap, a drop that does not wipe.
#[test]
#[cfg(target_os = "linux")]
fn a_dropped_signer_leaves_no_copy_of_the_key_in_memory() {
    // The key is made in disguise and written to its file byte by byte, so that only the signer ever holds it.
    let disguised: Vec<u8> = (0..32_u8).map(|index| index.wrapping_mul(37).wrapping_add(11) ^ 0xa5).collect();
    let folder = Folder::new("memory");
    let path = key_file(&folder, "");
    {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        for byte in &disguised {
            write!(file, "{:02x}", byte ^ 0xa5).unwrap();
        }
    }
    let text: Vec<u8> = disguised
        .iter()
        .flat_map(|byte| format!("{:02x}", byte ^ 0xa5).into_bytes())
        .map(|letter| letter ^ 0xa5)
        .collect();
    let action = Action::from_json(br#"{"type":"noop"}"#).unwrap();
    let terms = Terms { nonce: 1, vault_address: None, expires_after_ms: None };
    // The allocator writes over the first half of what is freed: the second tells whether it was wiped.
    let (disguised, text) = (&disguised[16..], &text[32..]);
    let signer = load(&path).unwrap();
    for _ in 0..10 {
        signer.sign(&action, &terms).unwrap();
    }
    let alive = (copies_in_memory(disguised), copies_in_memory(text));
    // Freed after it, blocks of its size are taken again before it: the search then does not overwrite what it seeks.
    let decoys: Vec<Box<[u8; 32]>> = (0..6).map(|_| Box::new([0; 32])).collect();
    drop(signer);
    drop(decoys);
    let dropped = (copies_in_memory(disguised), copies_in_memory(text));
    println!("signing: copies of the key (bytes, text): {alive:?} while it signs, {dropped:?} after");
    assert_eq!(alive, (1, 0), "one place while it lives");
    assert_eq!(dropped, (0, 0), "none afterwards");
}
