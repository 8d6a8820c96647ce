//! Approvals of agents, from their signature back to the account that gave them: for the exchange on loopback.
//!
//! The venue's user-signed scheme: EIP-712 over the words of the approval itself. Nothing here signs.

use secp256k1::Message;

use crate::action::identity::Address;
use crate::error::Result;
use crate::typed_data::{Network, Signature, keccak, recover};

const DOMAIN_TYPE: &[u8] = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const APPROVAL_TYPE: &[u8] =
    b"HyperliquidTransaction:ApproveAgent(string hyperliquidChain,address agentAddress,string agentName,uint64 nonce)";

/// What an account signs to let an agent act for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentApproval<'a> {
    /// Chain of the wallet, any: part of the domain.
    pub signature_chain_id: u64,
    /// Where it holds.
    pub network: Network,
    /// The agent.
    pub agent_address: Address,
    /// Its name; empty for the one without.
    pub agent_name: &'a str,
    /// Number that is used once.
    pub nonce: u64,
}

/// A number as a word of 32 bytes.
fn word(number: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

impl AgentApproval<'_> {
    fn digest(&self) -> [u8; 32] {
        let (name, version) = (keccak(&[b"HyperliquidSignTransaction"]), keccak(&[b"1"]));
        let domain = keccak(&[&keccak(&[DOMAIN_TYPE]), &name, &version, &word(self.signature_chain_id), &[0; 32]]);
        let chain: &[u8] = if self.network == Network::Mainnet { b"Mainnet" } else { b"Testnet" };
        let mut agent = [0; 32];
        agent[12..].copy_from_slice(&self.agent_address.0);
        let (chain, name) = (keccak(&[chain]), keccak(&[self.agent_name.as_bytes()]));
        let approval = keccak(&[&keccak(&[APPROVAL_TYPE]), &chain, &agent, &name, &word(self.nonce)]);
        keccak(&[b"\x19\x01", &domain, &approval])
    }

    /// The account that signed it; a signature over anything else gives some other address.
    ///
    /// # Errors
    ///
    /// No key fits the signature.
    pub fn recover_account(&self, signature: &Signature) -> Result<Address> {
        recover(Message::from_digest(self.digest()), signature)
    }
}
