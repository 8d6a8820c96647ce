"""Whose action it is: reads the envelope of an ``exchange`` request, recovers the signer, and says for whom he may act.

Checked in the venue's order, with its texts: the request can be read, somebody signed it, he is an account or an
agent of one, the account has money, the nonce is new. Whether the action comes too late its block says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from hypermm._core import Action, recover_signer
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.loopback.actions import items
from hypermm.exchange.loopback.nonces import NonceSets

if TYPE_CHECKING:
    from hypermm.exchange.loopback.settings import AgentSettings, ExchangeSettings

__all__ = ["Authority", "Authorized", "Refused", "Unreadable", "read_envelope"]

MAX_ITEMS = 200


class Signature(Struct):
    """r and s as hexadecimal text, leading zeros or not."""

    r: str
    s: str
    v: int


class Envelope(Struct):
    """A signed action."""

    action: Raw
    nonce: Annotated[int, Meta(ge=0)]
    signature: Signature
    vaultAddress: str | None = None
    expiresAfter: Annotated[int, Meta(ge=0)] | None = None


class Unreadable(Exception):  # noqa: N818 - an outcome, caught where the answer is made
    """The request is no request: HTTP status and text of the answer."""

    def __init__(self, status: Literal[400, 422], text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Refused(Exception):  # noqa: N818 - an outcome, caught where the answer is made
    """The venue answers `err` with the text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Authorized(Struct, frozen=True):
    """An action that may be carried out.

    Attributes:
        account: Address of the account it is for.
        action: Canonical JSON, read.
        nonce: Its nonce.
        expires_after_ms: Time after which a block must not carry it out, or None.
    """

    account: str
    action: dict[str, Any]
    nonce: int
    expires_after_ms: int | None


def read_envelope(body: bytes) -> Envelope:
    """Reads the body of an ``exchange`` request.

    Raises:
        Unreadable: It is no JSON, or not a signed action.
    """
    try:
        return msgspec.json.decode(body, type=Envelope)
    except msgspec.ValidationError as error:
        raise Unreadable(422, "Failed to deserialize the JSON body into the target type") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unreadable(400, "Failed to parse the request body as JSON") from error


class Authority:
    """Accounts, agents and nonces.

    Args:
        settings: Accounts there are, and the network signatures are made for.
        start_ms: When the exchange started, ms since 1970.
    """

    def __init__(self, settings: ExchangeSettings, start_ms: int) -> None:
        self._is_mainnet = settings.is_mainnet
        self._funded = {account.address: account.deposit_usd > 0.0 for account in settings.accounts}
        self._agents = {
            agent.address: (account.address, agent, agent.expires_ms(start_ms))
            for account in settings.accounts
            for agent in account.agents
        }
        self._nonces = NonceSets()

    def authorize(self, envelope: Envelope, now_ms: int) -> Authorized:
        """Passes an action, and uses its nonce up.

        Raises:
            Unreadable: The action is none the venue knows.
            Refused: See the module.
        """
        try:
            action = Action.from_json(bytes(envelope.action))
        except InvalidInputError as error:
            raise Unreadable(422, "Failed to deserialize the JSON body into the target type") from error
        signature = envelope.signature
        vault = None if envelope.vaultAddress is None else envelope.vaultAddress.lower()
        try:
            signer = recover_signer(
                action,
                (signature.r, signature.s, signature.v),
                envelope.nonce,
                is_mainnet=self._is_mainnet,
                vault_address=vault,
                expires_after_ms=envelope.expiresAfter,
            )
        except InvalidInputError as error:
            raise Refused("Unable to recover signer.") from error
        account = self._account_of(signer, now_ms)
        if vault is not None:
            raise Refused(f"Vault not registered: {vault}")
        if not self._funded[account]:
            raise Refused(f"Must deposit before performing actions. User: {signer}")
        read = msgspec.json.decode(action.to_json())
        if items(read) > MAX_ITEMS:
            raise Refused(f"Signed action over weight limit of {MAX_ITEMS}.")
        refusal = self._nonces.use(signer, envelope.nonce, now_ms)
        if refusal is not None:
            raise Refused(refusal)
        return Authorized(account, read, envelope.nonce, envelope.expiresAfter)

    def _account_of(self, signer: str, now_ms: int) -> str:
        if signer in self._funded:
            return signer
        master, _, until_ms = self._agents.get(signer, (None, None, 0))
        if master is None or now_ms > until_ms:
            raise Refused(f"User or API Wallet {signer} does not exist.")
        return master

    def role(self, address: str, now_ms: int) -> dict[str, Any]:
        """The venue's answer to ``userRole``."""
        if address in self._funded:
            return {"role": "user"}
        master, _, until_ms = self._agents.get(address, (None, None, 0))
        if master is None or now_ms > until_ms:
            return {"role": "missing"}
        return {"role": "agent", "data": {"user": master}}

    def agents(self, address: str) -> list[tuple[AgentSettings, int]]:
        """Agents of an account, with the last moment they may sign."""
        return [(agent, until) for master, agent, until in self._agents.values() if master == address]
