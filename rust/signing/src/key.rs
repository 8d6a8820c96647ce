//! The signing key: read from a file only its owner can read, kept in one wiped place, shown to nobody.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use secp256k1::{Message, Secp256k1, SecretKey, SignOnly};
use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretBox};
use serde::Serialize;

use crate::action::Action;
use crate::action::identity::{Address, fill_from_hex};
use crate::error::{Error, Kind, NOT_SHOWN, Result, WORDS_OF_A_PHRASE, redacted};
use crate::typed_data::{Network, Signature, Terms, address_of, connection_id, digest, keccak};

/// More than a key with its prefix and line end has, bytes.
const LARGEST_FILE: usize = 256;
/// Bits of a file mode that anyone but the owner, or anything but reading and writing, would need.
const FOREIGN_BITS: u32 = 0o177;

/// The secret number; overwritten when dropped.
struct Scalar(SecretKey);

impl Zeroize for Scalar {
    fn zeroize(&mut self) {
        self.0.non_secure_erase();
    }
}

/// A key and the network it signs for. It can be asked for its address and for signatures, not for the key.
pub struct Signer {
    secret: SecretBox<Scalar>,
    curve: Secp256k1<SignOnly>,
    address: Address,
    network: Network,
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signer").field("address", &self.address).field("network", &self.network).finish()
    }
}

#[cold]
fn refuse(path: &Path, state: &str, expected: &'static str, hint: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    let shown = shown(path);
    let value = if state.is_empty() { shown } else { format!("{shown} ({state})") };
    Error::new(Kind::Key, "key file", value, expected, hint)
}

/// The path, unless it is itself a key or a phrase that someone put where the name of a file belongs. No name of a
/// file has twelve words, whatever these are.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_sentence = text.split_whitespace().count() >= WORDS_OF_A_PHRASE;
    if is_sentence { NOT_SHOWN } else { redacted(&text) }.to_owned()
}

/// Opens the file if only we can read it.
fn open_private(path: &Path) -> Result<File> {
    // Without NONBLOCK a pipe would make the call wait.
    let opened = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path);
    let unreadable = |error: &std::io::Error| {
        let hint = "name a file that holds the key; the key itself is never an argument or a variable";
        refuse(path, &error.kind().to_string(), "a readable file", hint)
    };
    let file = opened.map_err(|error| unreadable(&error))?;
    // Of the opened file, not of the name: nobody can swap them in between.
    let facts = file.metadata().map_err(|error| unreadable(&error))?;
    if !facts.is_file() {
        return Err(refuse(path, "not a regular file", "a regular file", ""));
    }
    if facts.uid() != geteuid().as_raw() {
        let state = format!("owned by user {}", facts.uid());
        let hint = format!("chown {} {}", geteuid().as_raw(), shown(path));
        return Err(refuse(path, &state, "a file owned by the user who runs this", hint));
    }
    let mode = facts.mode() & 0o7777;
    if mode & FOREIGN_BITS != 0 {
        let hint = format!("chmod 600 {}", shown(path));
        return Err(refuse(path, &format!("mode {mode:04o}"), "mode 0600: readable by its owner only", hint));
    }
    Ok(file)
}

/// The key in the file, straight into its place.
fn read_secret(path: &Path) -> Result<SecretBox<Scalar>> {
    let mut file = open_private(path)?;
    let unusable = || {
        let expected = "64 hexadecimal digits of a private key, 0x before them or not, and nothing else";
        refuse(path, "content not shown", expected, "")
    };
    let mut content = Zeroizing::new(vec![0; LARGEST_FILE]);
    let mut length = 0;
    while length < LARGEST_FILE {
        match file.read(&mut content[length..]).map_err(|_| unusable())? {
            0 => break,
            more => length += more,
        }
    }
    let text = content[..length].trim_ascii();
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    let mut bytes = Zeroizing::new([0; 32]);
    if !fill_from_hex(digits, bytes.as_mut_slice()) {
        return Err(unusable());
    }
    let mut scalar = SecretKey::from_byte_array(*bytes).map_err(|_| unusable())?;
    let secret = SecretBox::new(Box::new(Scalar(scalar)));
    scalar.non_secure_erase();
    Ok(secret)
}

impl Signer {
    /// Reads the key from `path`: a regular file of ours that nobody else can read, holding 64 hexadecimal digits.
    ///
    /// An agent's key can trade but not withdraw; the account's own (master) key can do both. So when the key turns
    /// out to be that of `account_address` it is refused, unless `allow_master_key`. Without `account_address` there
    /// is nothing to compare.
    ///
    /// # Errors
    ///
    /// The file is missing, not ours, readable by others or holds anything else; or the key is the master key.
    pub fn from_file(
        path: &Path,
        network: Network,
        account_address: Option<Address>,
        allow_master_key: bool,
    ) -> Result<Self> {
        let secret = read_secret(path)?;
        let mut curve = Secp256k1::signing_only();
        let key = &secret.expose_secret().0;
        let address = address_of(&key.public_key(&curve));
        if account_address == Some(address) && !allow_master_key {
            let hint = "approve an agent for the account and sign with the agent's key, or pass --allow-master-key";
            let state = format!("the master key of {address}");
            return Err(refuse(path, &state, "an agent's key, which cannot withdraw", hint));
        }
        // Blinds the arithmetic against timing: a number nobody can guess without the key. Signatures are the same.
        let seed = curve.sign_ecdsa(Message::from_digest(keccak(&[b"blinding"])), key).serialize_compact();
        curve.seeded_randomize(&keccak(&[&seed]));
        Ok(Self { secret, curve, address, network })
    }

    /// Address of the key.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The network it signs for.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// Signs an action.
    ///
    /// # Errors
    ///
    /// None in practice: writing to memory does not fail.
    pub fn sign(&self, action: &Action, terms: &Terms) -> Result<Signature> {
        Ok(self.sign_packed(&action.to_msgpack()?, terms))
    }

    /// Signs an action's msgpack.
    #[must_use]
    pub fn sign_packed(&self, packed: &[u8], terms: &Terms) -> Signature {
        let digest = digest(self.network, &connection_id(packed, terms));
        let key = &self.secret.expose_secret().0;
        let (id, compact) = self.curve.sign_ecdsa_recoverable(Message::from_digest(digest), key).serialize_compact();
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&compact[..32]);
        s.copy_from_slice(&compact[32..]);
        // Ids 2 and 3 need an r above the curve's order: a chance of 2^-127.
        Signature { r, s, v: 27 + u8::from(i32::from(id) == 1) }
    }

    /// The signed action as the venue's `/exchange` takes it, JSON.
    ///
    /// # Errors
    ///
    /// None in practice: writing to memory does not fail.
    pub fn request(&self, action: &Action, terms: &Terms) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Request<'a> {
            action: &'a Action,
            nonce: u64,
            signature: Signature,
            #[serde(skip_serializing_if = "Option::is_none")]
            vault_address: Option<Address>,
            #[serde(skip_serializing_if = "Option::is_none", rename = "expiresAfter")]
            expires_after_ms: Option<u64>,
        }

        let request = Request {
            action,
            nonce: terms.nonce,
            signature: self.sign(action, terms)?,
            vault_address: terms.vault_address,
            expires_after_ms: terms.expires_after_ms,
        };
        serde_json::to_vec(&request).map_err(|error| Error::input("action", &error.to_string(), "what can be encoded"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // Kills: a `zeroize` that does nothing, so that a drop would leave the key.
    #[test]
    fn wiping_leaves_nothing_of_the_key() {
        let mut scalar = Scalar(SecretKey::from_byte_array([0x5a; 32]).unwrap());
        scalar.zeroize();
        assert!(scalar.0.secret_bytes().iter().all(|byte| *byte != 0x5a));
    }

    // Kills: a path shown that is a key or a phrase, or an address taken for a key.
    #[test]
    fn a_key_in_place_of_a_path_is_not_shown() {
        let phrase = "one two three four five six seven eight nine ten eleven twelve";
        for secret in ["5a".repeat(32), format!("0x{}", "5a".repeat(32)), phrase.to_owned()] {
            let error = Signer::from_file(Path::new(&secret), Network::Testnet, None, false).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(&secret));
        }
        let named = "keys/0x14791697260e4c9a71f18484c9f997b308e59325";
        assert_eq!(shown(Path::new(named)), named);
    }
}
