"""Agents of accounts: keys that may trade for an account, approved by it, with a name and an end.

One without a name and three with, as the venue allows; a name used again replaces its agent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from hypermm._core import recover_approver
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.loopback.settings import AGENT_LIFE_MS, AgentSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypermm.exchange.loopback.settings import AccountSettings

__all__ = ["Agents", "Approval", "read_approval"]

MAX_NAMED = 3
LONGEST_LIFE_MS = 180 * 86_400_000
_VALID_UNTIL = re.compile(r"^(?P<name>.*) valid_until (?P<until>[0-9]{1,15})$")


class Approval(Struct, tag="approveAgent", tag_field="type"):
    """An account lets an agent act for it."""

    agentAddress: Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")]
    nonce: Annotated[int, Meta(ge=0)]
    signatureChainId: Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{1,15}$")]
    hyperliquidChain: str
    agentName: str | None = None

    def account(self, signature: tuple[str, str, int], *, is_mainnet: bool) -> str | None:
        """Who signed it; None when nobody can have."""
        try:
            return recover_approver(
                self.agentAddress,
                self.agentName or "",
                self.nonce,
                signature,
                is_mainnet=is_mainnet,
                signature_chain_id=int(self.signatureChainId, 16),
            )
        except InvalidInputError:
            return None


class Agents:
    """Who may act for whom, until when.

    Args:
        accounts: Accounts with the agents they start with.
        start_ms: Now, ms since 1970.
    """

    def __init__(self, accounts: Iterable[AccountSettings], start_ms: int) -> None:
        self._by_address: dict[str, tuple[str, AgentSettings, int]] = {}
        for account in accounts:
            for agent in account.agents:
                until_ms = start_ms + AGENT_LIFE_MS if agent.valid_until_ms is None else agent.valid_until_ms
                self._by_address[agent.address] = (account.address, agent, until_ms)

    def master(self, address: str, now_ms: int) -> str | None:
        """The account that the agent may act for now."""
        found = self._by_address.get(address)
        return found[0] if found is not None and now_ms <= found[2] else None

    def named(self, account: str) -> list[tuple[AgentSettings, int]]:
        """Agents of an account that have a name, with their last moment."""
        return [
            (agent, until) for master, agent, until in self._by_address.values() if master == account and agent.name
        ]

    def approve(self, account: str, approval: Approval, now_ms: int, taken: Iterable[str]) -> str | None:
        """Takes an agent in.

        Args:
            account: Who approved it.
            approval: What was approved.
            now_ms: Now.
            taken: Addresses that are accounts.

        Returns:
            None, or why it is refused.
        """
        address = approval.agentAddress.lower()
        name, until_ms = approval.agentName or "", now_ms + AGENT_LIFE_MS
        match = _VALID_UNTIL.match(name)
        if match is not None:
            name, until_ms = match["name"], min(int(match["until"]), now_ms + LONGEST_LIFE_MS)
        if until_ms <= now_ms:
            return "Agent valid_until already expired."
        if address in self._by_address or address in taken:
            return "Extra agent already used."
        others = {agent.name: agent.address for master, agent, _ in self._by_address.values() if master == account}
        if name and name not in others and len(self.named(account)) >= MAX_NAMED:
            return f"Too many extra agents for cumulative volume traded. Current limit is {MAX_NAMED}"
        if name in others:
            del self._by_address[others[name]]
        settings = AgentSettings(address=address, name=name, valid_until_ms=until_ms)
        self._by_address[address] = (account, settings, until_ms)
        return None


def read_approval(action: bytes | msgspec.Raw) -> Approval | None:
    """Reads an action that approves an agent; None for any other."""
    try:
        return msgspec.json.decode(action, type=Approval)
    except msgspec.ValidationError:
        return None
