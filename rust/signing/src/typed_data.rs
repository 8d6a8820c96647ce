//! From an action's bytes to the digest that is signed (EIP-712), and from a signature back to its signer.

use std::sync::LazyLock;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, Secp256k1, VerifyOnly};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use sha3::{Digest, Keccak256};

use crate::action::Action;
use crate::action::identity::{Address, HexText, fill_from_hex};
use crate::error::{Error, Result};

/// Hash of the domain {name Exchange, version 1, chain id 1337, verifying contract 0}, the same on both networks.
const DOMAIN_SEPARATOR: [u8; 32] = [
    0xd7, 0x92, 0x97, 0xfc, 0xdf, 0x2f, 0xfc, 0xd4, 0xae, 0x22, 0x3d, 0x01, 0xed, 0xaa, 0x2b, 0xa2, 0x14, 0xff, 0x8f,
    0x40, 0x1d, 0x7c, 0x93, 0x00, 0xd9, 0x95, 0xd1, 0x7c, 0x82, 0xaa, 0x40, 0x40,
];
/// Hash of `Agent(string source,bytes32 connectionId)`.
const AGENT_TYPE: [u8; 32] = [
    0x26, 0xf0, 0x5c, 0x2f, 0x72, 0x39, 0xb6, 0x98, 0x30, 0x75, 0xe5, 0x83, 0x21, 0x29, 0x2d, 0x77, 0xb3, 0xaa, 0x17,
    0x3d, 0x19, 0xb2, 0x72, 0x57, 0xac, 0x96, 0xab, 0x36, 0x25, 0x70, 0xf5, 0x08,
];

/// Where an action is sent; a signature for one is void on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Real money.
    Mainnet,
    /// Play money.
    Testnet,
}

impl Network {
    /// The phantom agent's `source`.
    const fn source(self) -> &'static [u8] {
        match self {
            Self::Mainnet => b"a",
            Self::Testnet => b"b",
        }
    }
}

/// What is signed along with an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Number that is used once.
    pub nonce: u64,
    /// Vault or sub-account traded for.
    pub vault_address: Option<Address>,
    /// Time after which the venue drops the action, ms.
    pub expires_after_ms: Option<u64>,
}

/// A signature: r, s (always the lower of the two) and v of 27 or 28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// First half.
    pub r: [u8; 32],
    /// Second half.
    pub s: [u8; 32],
    /// Which of the keys that fit.
    pub v: u8,
}

/// As the venue takes it: r and s as `0x` and 64 digits, v a number.
impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_struct("Signature", 3)?;
        parts.serialize_field("r", HexText::of(&self.r).as_str())?;
        parts.serialize_field("s", HexText::of(&self.s).as_str())?;
        parts.serialize_field("v", &self.v)?;
        parts.end()
    }
}

impl Signature {
    /// Reads r and s as `0x` and up to 64 digits; leading zeros may be missing, as the official SDK sends them.
    ///
    /// # Errors
    ///
    /// Other text, or a v that is neither 27 nor 28.
    pub fn from_parts(r: &str, s: &str, v: u64) -> Result<Self> {
        let half = |field: &'static str, text: &str| {
            let refuse = || Error::input(field, text, "0x and 1 to 64 hexadecimal digits");
            let digits = text.strip_prefix("0x").ok_or_else(refuse)?.as_bytes();
            let mut padded = [b'0'; 64];
            let start = padded.len().checked_sub(digits.len()).ok_or_else(refuse)?;
            padded[start..].copy_from_slice(digits);
            let mut bytes = [0; 32];
            if !digits.is_empty() && fill_from_hex(&padded, &mut bytes) { Ok(bytes) } else { Err(refuse()) }
        };
        let v = match v {
            27 => 27,
            28 => 28,
            _ => return Err(Error::input("v", &v.to_string(), "27 or 28")),
        };
        Ok(Self { r: half("r", r)?, s: half("s", s)?, v })
    }

    /// r and s as `0x` and 64 digits, and v.
    #[must_use]
    pub fn to_parts(&self) -> (String, String, u8) {
        (HexText::of(&self.r).as_str().to_owned(), HexText::of(&self.s).as_str().to_owned(), self.v)
    }
}

pub(crate) fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// keccak(bytes ‖ nonce ‖ vault ‖ expiry): 8 bytes big-endian; `00`, or `01` and the address; nothing, or `00` and
/// 8 bytes big-endian. `packed` is an action's msgpack.
#[must_use]
pub fn connection_id(packed: &[u8], terms: &Terms) -> [u8; 32] {
    let nonce = terms.nonce.to_be_bytes();
    let mut vault = [0; 21];
    let vault: &[u8] = match terms.vault_address {
        None => &[0],
        Some(Address(address)) => {
            vault[0] = 1;
            vault[1..].copy_from_slice(&address);
            &vault
        }
    };
    let mut expiry = [0; 9];
    let expiry: &[u8] = match terms.expires_after_ms {
        None => &[],
        Some(time_ms) => {
            expiry[1..].copy_from_slice(&time_ms.to_be_bytes());
            &expiry
        }
    };
    keccak(&[packed, &nonce, vault, expiry])
}

/// The EIP-712 digest of the phantom agent {source, connection id}.
#[must_use]
pub fn digest(network: Network, connection_id: &[u8; 32]) -> [u8; 32] {
    let source = keccak(&[network.source()]);
    let agent = keccak(&[&AGENT_TYPE, &source, connection_id]);
    keccak(&[b"\x19\x01", &DOMAIN_SEPARATOR, &agent])
}

/// The address of a public key: the last 20 bytes of the hash of its coordinates.
pub(crate) fn address_of(key: &PublicKey) -> Address {
    let hash = keccak(&[&key.serialize_uncompressed()[1..]]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Address(address)
}

/// Whose signature this is. A signature over anything else gives some other address, as at the venue.
///
/// # Errors
///
/// No key fits the signature.
pub fn recover_signer(action: &Action, network: Network, terms: &Terms, signature: &Signature) -> Result<Address> {
    recover(Message::from_digest(digest(network, &connection_id(&action.to_msgpack()?, terms))), signature)
}

/// Whose signature of `message` this is.
pub(crate) fn recover(message: Message, signature: &Signature) -> Result<Address> {
    static CURVE: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);
    let refuse = |_| Error::input("signature", "the one given", "a signature some key could have made");
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r);
    compact[32..].copy_from_slice(&signature.s);
    let id = if signature.v == 28 { RecoveryId::One } else { RecoveryId::Zero };
    let recoverable = RecoverableSignature::from_compact(&compact, id).map_err(refuse)?;
    CURVE.recover_ecdsa(message, &recoverable).map(|key| address_of(&key)).map_err(refuse)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // Kills: a constant mistyped. The words are those of EIP-712, hashed here from text.
    #[test]
    fn constants_are_hashes_of_their_texts() {
        let domain = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let mut chain_id = [0; 32];
        chain_id[30..].copy_from_slice(&1337_u16.to_be_bytes());
        let separator = keccak(&[&keccak(&[domain]), &keccak(&[b"Exchange"]), &keccak(&[b"1"]), &chain_id, &[0; 32]]);
        assert_eq!(separator, DOMAIN_SEPARATOR);
        assert_eq!(keccak(&[b"Agent(string source,bytes32 connectionId)"]), AGENT_TYPE);
    }
}
