"""Whose action it is: reads the envelope of an ``exchange`` request, recovers the signer, and says for whom he may act.

Checked in the venue's order, with its texts: the request can be read, somebody signed it, he is an account or an
agent of one, the account has money, the nonce is new. Whether the action comes too late its block says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from hypermm._core import Action, recover_signer
from hypermm.exceptions import InvalidConfigError, InvalidInputError
from hypermm.exchange.loopback.actions import items
from hypermm.exchange.loopback.agents import Agents
from hypermm.exchange.loopback.nonces import NonceSets

if TYPE_CHECKING:
    from hypermm.exchange.loopback.agents import Approval
    from hypermm.exchange.loopback.settings import ExchangeSettings

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
    """Accounts, sub-accounts, agents and nonces.

    Args:
        settings: Accounts there are, and the network signatures are made for.
        start_ms: When the exchange started, ms since 1970.

    Raises:
        InvalidConfigError: The master of a sub-account is no account, or a sub-account itself.
    """

    def __init__(self, settings: ExchangeSettings, start_ms: int) -> None:
        self._is_mainnet = settings.is_mainnet
        self._funded = {account.address: account.deposit_usd > 0.0 for account in settings.accounts}
        self._master_of = {account.address: account.master for account in settings.accounts if account.master}
        for master in self._master_of.values():
            if master not in self._funded or master in self._master_of:
                raise InvalidConfigError(field="master", value=master, expected="an account that is no sub-account")
        self._agents = Agents(settings.accounts, start_ms)
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
            if self._master_of.get(vault) != account:
                raise Refused(f"Vault not registered: {vault}")
            account = vault
        if not self._funded[account]:
            raise Refused(f"Must deposit before performing actions. User: {signer}")
        read = msgspec.json.decode(action.to_json())
        if items(read) > MAX_ITEMS:
            raise Refused(f"Signed action over weight limit of {MAX_ITEMS}.")
        refusal = self._nonces.use(signer, envelope.nonce, now_ms)
        if refusal is not None:
            raise Refused(refusal)
        return Authorized(account, read, envelope.nonce, envelope.expiresAfter)

    def approve(self, envelope: Envelope, approval: Approval, now_ms: int) -> None:
        """Lets an account take an agent in; only its own key can.

        Raises:
            Refused: See the module; or the venue does not take the agent.
        """
        signature = envelope.signature
        signer = approval.account((signature.r, signature.s, signature.v), is_mainnet=self._is_mainnet)
        if signer is None:
            raise Refused("Unable to recover signer.")
        if not self._funded.get(signer, False):
            raise Refused(f"Must deposit before performing actions. User: {signer}")
        if approval.nonce != envelope.nonce:
            raise Refused(f"Invalid nonce: {approval.nonce} differs from {envelope.nonce}")
        refusal = self._nonces.use(signer, envelope.nonce, now_ms)
        if refusal is None:
            refusal = self._agents.approve(signer, approval, now_ms, self._funded)
        if refusal is not None:
            raise Refused(refusal)

    def _account_of(self, signer: str, now_ms: int) -> str:
        account = signer if signer in self._funded else self._agents.master(signer, now_ms)
        if account is None:
            raise Refused(f"User or API Wallet {signer} does not exist.")
        return account

    def role(self, address: str, now_ms: int) -> dict[str, Any]:
        """The venue's answer to ``userRole``."""
        if address in self._master_of:
            return {"role": "subAccount", "data": {"master": self._master_of[address]}}
        if address in self._funded:
            return {"role": "user"}
        master = self._agents.master(address, now_ms)
        return {"role": "missing"} if master is None else {"role": "agent", "data": {"user": master}}

    def extra_agents(self, address: str) -> list[dict[str, Any]]:
        """The venue's answer to ``extraAgents``."""
        return [
            {"address": agent.address, "name": agent.name, "validUntil": until_ms}
            for agent, until_ms in self._agents.named(address)
        ]
