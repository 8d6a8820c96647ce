"""What the loopback exchange is started with: accounts, their agents, limits."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback.limits import Limits
from hypermm.exchange.loopback.toml_rows import read_rows

__all__ = [
    "AGENT_LIFE_MS",
    "AccountSettings",
    "AgentSettings",
    "ExchangeSettings",
    "Latency",
    "load_accounts",
    "parse_account",
    "parse_agent",
    "parse_latency",
]

Address: TypeAlias = Annotated[str, Meta(pattern="^0x[0-9a-f]{40}$")]
Milliseconds: TypeAlias = Annotated[float, Meta(ge=0, le=60_000)]
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
AGENT_LIFE_MS = 90 * 86_400_000


class AgentSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key that may sign for an account, but not withdraw.

    Attributes:
        address: Its address, lowercase.
        name: Its name; "" for the one agent without.
        valid_until_ms: Last moment it may sign, ms since 1970; None is 90 days after the start.
    """

    address: Address
    name: str = ""
    valid_until_ms: Annotated[int, Meta(ge=0)] | None = None


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An account.

    Attributes:
        address: Its address, lowercase.
        deposit_usd: Its money at the start on each dex, USD; 0 is an account that cannot act.
        volume_usd: What it has traded before; it counts for limits.
        agents: Who may sign for it beside its own key.
        master: The account whose sub-account it is, None for one of its own. Who may sign for the master may sign for
            it, and names it in ``vaultAddress``.
    """

    address: Address
    deposit_usd: Annotated[float, Meta(ge=0, le=1e9)] = 10_000.0
    volume_usd: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    agents: tuple[AgentSettings, ...] = ()
    master: Address | None = None


class Latency(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Delays between clients and venue, constant, beside what the mempool and the block take; ms of the venue's time.

    Attributes:
        order_ms: From a client's request or frame to the venue.
        answer_ms: From the block, or from what needs none, to the answer heard.
        feed_ms: From the block to what it publishes heard, own orders and fills too.
    """

    order_ms: Milliseconds = 0.0
    answer_ms: Milliseconds = 0.0
    feed_ms: Milliseconds = 0.0


class ExchangeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the exchange is started with.

    Attributes:
        accounts: The accounts there are.
        is_mainnet: Signatures are those of mainnet; else of testnet, as the official client makes for any address but
            mainnet's.
        seed: Seed of every draw.
        limits: What one address of the internet may do.
        latency: How late what goes between clients and venue is; nothing is, unless said.
        initial_requests: Actions of an account that has traded nothing.
        schedule_cancel_volume_usd: Volume before the dead-man switch may be set.
    """

    accounts: tuple[AccountSettings, ...] = ()
    is_mainnet: bool = False
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    limits: Limits = Limits()
    latency: Latency = Latency()
    initial_requests: Annotated[int, Meta(ge=0, le=10**12)] = 10_000
    schedule_cancel_volume_usd: Annotated[float, Meta(ge=0, le=1e12)] = 1e6


def _address(text: str, field: str) -> str:
    address = text.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise InvalidConfigError(field=field, value=text, expected="an address: 0x and 40 hexadecimal digits")
    return address


def parse_account(text: str) -> AccountSettings:
    """Reads ADDRESS:DEPOSIT, or ADDRESS alone.

    Raises:
        InvalidConfigError: It is neither.
    """
    address, colon, deposit = text.partition(":")
    row: dict[str, Any] = {"address": _address(address, "--account")}
    if colon:
        try:
            row["deposit_usd"] = float(deposit)
            return msgspec.convert(row, AccountSettings)
        except (ValueError, msgspec.ValidationError):
            # Not from that error, here and below: it quotes what may be a key put in the wrong place.
            raise InvalidConfigError(
                field="--account", value=text, expected="a deposit of 0 to 1e9 USD after the colon"
            ) from None
    return msgspec.convert(row, AccountSettings)


def parse_agent(text: str) -> tuple[str, AgentSettings]:
    """Reads AGENT=MASTER or AGENT=MASTER@YYYY-MM-DD, the day it expires; gives master and agent.

    Raises:
        InvalidConfigError: It is neither.
    """
    agent, equals, rest = text.partition("=")
    master, at, day = rest.partition("@")
    if not equals:
        raise InvalidConfigError(field="--agent", value=text, expected="AGENT=MASTER, two addresses")
    until: int | None = None
    if at:
        try:
            until = round(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp() * 1000)
        except ValueError:
            raise InvalidConfigError(field="--agent", value=day, expected="a day, YYYY-MM-DD, after the @") from None
    settings = AgentSettings(address=_address(agent, "--agent"), name="cli", valid_until_ms=until)
    return _address(master, "--agent"), settings


def parse_latency(text: str) -> Latency:
    """Reads MS for all three ways, or ORDER,ANSWER,FEED.

    Raises:
        InvalidConfigError: It is neither, or out of range.
    """
    parts = text.split(",")
    try:
        order_ms, answer_ms, feed_ms = (float(part) for part in (parts * 3 if len(parts) == 1 else parts))
        return msgspec.convert({"order_ms": order_ms, "answer_ms": answer_ms, "feed_ms": feed_ms}, Latency)
    except (ValueError, msgspec.ValidationError):
        raise InvalidConfigError(
            field="--latency-ms", value=text, expected="milliseconds, 0 to 60000: one for all ways or ORDER,ANSWER,FEED"
        ) from None


def load_accounts(path: Path) -> tuple[AccountSettings, ...]:
    """Reads a TOML file of ``[[account]]`` with ``[[account.agents]]``.

    Raises:
        InvalidConfigError: It is missing or no TOML, or a key is unknown, of the wrong type or out of range.
    """
    try:
        return msgspec.convert(_lowered(read_rows(path, "account")), tuple[AccountSettings, ...])
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        field = f"{path}: account{place.strip('`$')}"
        raise InvalidConfigError(field=field, value="as written", expected=what.removeprefix("Expected ")) from error


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: item.lower() if key in ("address", "master") and isinstance(item, str) else _lowered(item)
            for key, item in value.items()
        }
    return [_lowered(item) for item in value] if isinstance(value, list) else value
