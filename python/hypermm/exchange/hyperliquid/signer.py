"""Which key signs, where its nonces are kept, and how long its agent is still approved. The key stays in Rust."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Literal

import msgspec

from hypermm._core import NonceCounter, Signer
from hypermm.exceptions import SigningKeyError

__all__ = [
    "KEY_FILE_VARIABLE",
    "WARNING_MS",
    "AgentExpiry",
    "agent_expiry",
    "nonce_folder",
    "open_signer",
]

KEY_FILE_VARIABLE = "HYPERMM_KEY_FILE"
"""Environment variable that may name the key file; it never holds the key."""
WARNING_MS = 7 * 86_400_000
"""How long before an agent's approval ends its owner is warned, ms."""

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


def nonce_folder(environment: Mapping[str, str]) -> Path:
    """The folder of all nonce counters of this user: the same for every process, whatever folder it was started in."""
    state = environment.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "hypermm" / "nonces"


def open_signer(
    key_file: str | PathLike[str] | None,
    environment: Mapping[str, str],
    *,
    is_mainnet: bool,
    account_address: str | None = None,
    allow_master_key: bool = False,
    nonces: Path | None = None,
) -> tuple[Signer, NonceCounter]:
    """The signer and its nonce counter, which no other process can open meanwhile.

    Args:
        key_file: From the settings; None takes the file that `KEY_FILE_VARIABLE` names.
        environment: Usually ``os.environ``.
        is_mainnet: Sign for mainnet, else for testnet.
        account_address: The account traded for; its own (master) key is refused.
        allow_master_key: Take the master key all the same.
        nonces: Folder of the counters, by default `nonce_folder`.

    Raises:
        SigningKeyError: No file is named, or it is not one that `Signer.from_file` takes.
        NonceError: Another process signs with this key, or its counter is damaged.
    """
    path = environment.get(KEY_FILE_VARIABLE) if key_file is None else key_file
    if not path:
        raise SigningKeyError(
            field="key file",
            value="",
            expected="the name of a file that holds an agent's private key",
            hint=f"set it in the settings or in {KEY_FILE_VARIABLE}",
        )
    signer = Signer.from_file(
        path, is_mainnet=is_mainnet, account_address=account_address, allow_master_key=allow_master_key
    )
    return signer, NonceCounter(nonces or nonce_folder(environment), signer.address)


class AgentExpiry(msgspec.Struct, frozen=True):
    """How long an agent may still sign.

    Attributes:
        remaining_ms: Time left, ms; 0 when it has ended, None when the venue states no end.
        level: "info", "warning" from seven days ahead, "error" once it has ended.
        text: One line for a log or a status page.
    """

    remaining_ms: int | None
    level: Literal["info", "warning", "error"]
    text: str


def agent_expiry(valid_until_ms: int | None, now_ms: int) -> AgentExpiry:
    """What to show of an agent's approval.

    Args:
        valid_until_ms: Its end as the venue states it (``extraAgents``, ``webData3``), ms; None when there is none.
        now_ms: The clock, ms.
    """
    if valid_until_ms is None:
        return AgentExpiry(None, "info", "the agent's approval has no stated end")
    remaining_ms = max(0, valid_until_ms - now_ms)
    if remaining_ms == 0:
        return AgentExpiry(0, "error", "the agent's approval has ended: approve a new agent, with a new key")
    days, hours = remaining_ms // _DAY_MS, remaining_ms % _DAY_MS // _HOUR_MS
    text = f"the agent's approval ends in {days} d {hours} h"
    if remaining_ms <= WARNING_MS:
        return AgentExpiry(remaining_ms, "warning", f"{text}: approve a new agent, with a new key")
    return AgentExpiry(remaining_ms, "info", text)
