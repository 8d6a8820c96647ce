"""Faults on demand, from a TOML file: each at a time, or by chance from the seed.

    [[fault]]
    kind = "drop_socket"   # one of KINDS
    at_s = 12.5            # seconds since the exchange started; or
    probability = 0.001    # for each frame, request, order or second it could strike
    for_s = 5.0            # how long, for those that last
    channel = "trades"     # frames of this channel only
    coin = "ETH"           # frames of this coin only

| kind | what happens | chance is drawn |
|---|---|---|
| drop_socket | sockets are cut without a close frame; at a time all, by chance the one that was to hear | a frame |
| silence | frames are swallowed for `for_s` | a frame |
| duplicate | a frame is sent twice | a frame |
| reorder | a frame comes after the one behind it | a frame |
| delay | a frame, and all behind it on that socket, come `for_s` late | a frame |
| too_many_requests | HTTP and posts are answered with 429 for `for_s` | a request |
| refuse_post_only | post-only orders and replacements are refused for `for_s` as if they would match | an action |
| lose_ack | an action is carried out, its answer never comes | an action |
| restart | all sockets are cut and the port is closed for `for_s`; market and accounts go on | a second |

A fault with `at_s` that lasts holds from then on for `for_s`; one that does not strikes once, at the first chance.
"""

from __future__ import annotations

import difflib
import random
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback.toml_rows import read_rows

__all__ = ["KINDS", "Fate", "Fault", "FaultPlan", "load_faults"]

Kind = Literal[
    "drop_socket",
    "silence",
    "duplicate",
    "reorder",
    "delay",
    "too_many_requests",
    "refuse_post_only",
    "lose_ack",
    "restart",
]
KINDS: tuple[str, ...] = get_args(Kind)
_LASTING_S = {"silence": 5.0, "delay": 0.5, "too_many_requests": 10.0, "refuse_post_only": 5.0, "restart": 3.0}
_OF_FRAMES = ("drop_socket", "silence", "duplicate", "reorder", "delay")


class Fault(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row of the file; see the module."""

    kind: Kind
    at_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    probability: Annotated[float, Meta(gt=0, le=1)] | None = None
    for_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    channel: Annotated[str, Meta(min_length=1)] | None = None
    coin: Annotated[str, Meta(min_length=1)] | None = None

    @property
    def lasts_s(self) -> float:
        """How long it lasts; 0 for one that strikes once."""
        return _LASTING_S.get(self.kind, 0.0) if self.for_s is None else self.for_s


class Fate(Struct, frozen=True):
    """What becomes of a frame."""

    drop_socket: bool = False
    swallowed: bool = False
    copies: int = 1
    behind_next: bool = False
    delay_s: float = 0.0


_PLAIN = Fate()


def load_faults(path: Path) -> list[Fault]:
    """Reads a file of faults.

    Raises:
        InvalidConfigError: It is missing or no TOML, or a key is unknown, of the wrong type, missing or out of range.
    """
    return [_fault(row, f"{path}: fault[{place}]") for place, row in enumerate(read_rows(path, "fault"))]


def _fault(row: Any, place: str) -> Fault:
    if not isinstance(row, dict):
        raise InvalidConfigError(field=place, value=row, expected="a table [[fault]]")
    for key in row:
        if key not in Fault.__struct_fields__:
            near = difflib.get_close_matches(key, Fault.__struct_fields__, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            expected = f"one of {', '.join(Fault.__struct_fields__)}"
            raise InvalidConfigError(field=f"{place}.{key}", value=row[key], expected=expected, hint=hint)
    kind = row.get("kind")
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise InvalidConfigError(field=f"{place}.kind", value=kind, expected=f"one of {', '.join(KINDS)}", hint=hint)
    for key, value in row.items():
        try:
            msgspec.convert({"kind": kind, key: value}, Fault)
        except msgspec.ValidationError as error:
            expected = str(error).partition(" - at ")[0].removeprefix("Expected ")
            # Not from that error, which quotes the value.
            raise InvalidConfigError(field=f"{place}.{key}", value=value, expected=expected) from None
    fault = msgspec.convert(row, Fault)
    _check(fault, place)
    return fault


def _check(fault: Fault, place: str) -> None:
    if (fault.at_s is None) == (fault.probability is None):
        given = "neither" if fault.at_s is None else "both"
        raise InvalidConfigError(field=f"{place}.at_s", value=given, expected="either at_s or probability")
    if fault.for_s is not None and fault.kind not in _LASTING_S:
        raise InvalidConfigError(
            field=f"{place}.for_s", value=fault.for_s, expected=f"no length: {fault.kind} strikes once"
        )
    for key, value in (("channel", fault.channel), ("coin", fault.coin)):
        if value is not None and fault.kind not in _OF_FRAMES:
            raise InvalidConfigError(field=f"{place}.{key}", value=value, expected=f"none: {fault.kind} has no frames")


class _Rule:
    """A fault, with what was drawn for it and whether it is on."""

    def __init__(self, fault: Fault, seed: int, place: int) -> None:
        self.fault = fault
        # Each has draws of its own, so that adding one does not move the others.
        self._random = random.Random(f"{seed}/{place}")  # noqa: S311 - chance of a test, not a secret
        self._until_s = -1.0
        self._is_spent = False

    def strikes(self, now_s: float) -> bool:
        """At a chance it has."""
        fault = self.fault
        if fault.at_s is not None:
            if now_s < fault.at_s:
                return False
            if fault.lasts_s > 0.0 and fault.kind != "delay":
                return now_s < fault.at_s + fault.lasts_s
            struck, self._is_spent = not self._is_spent, True
            return struck
        if now_s < self._until_s:
            return True
        if not self.draws():
            return False
        if fault.kind != "delay":
            self._until_s = now_s + fault.lasts_s
        return True

    def draws(self) -> bool:
        """One draw of its chance."""
        return self._random.random() < (self.fault.probability or 0.0)

    def starts(self, now_s: float) -> bool:
        """Once when its time has come, for faults of the whole exchange."""
        if self.fault.at_s is None or self._is_spent or now_s < self.fault.at_s:
            return False
        self._is_spent = True
        return True

    def is_of(self, channel: str, coin: str | None) -> bool:
        fault = self.fault
        return fault.channel in (None, channel) and fault.coin in (None, coin)


class FaultPlan:
    """When which fault strikes.

    Args:
        faults: The faults.
        seed: Seed of those that come by chance.
    """

    def __init__(self, faults: list[Fault], seed: int) -> None:
        rules = [_Rule(fault, seed, place) for place, fault in enumerate(faults)]
        self._of_all = [rule for rule in rules if rule.fault.kind in ("drop_socket", "restart")]
        self._of_frames = [
            rule
            for rule in rules
            if rule.fault.kind in _OF_FRAMES and (rule.fault.kind != "drop_socket" or rule.fault.at_s is None)
        ]
        self._others = {
            kind: [rule for rule in rules if rule.fault.kind == kind]
            for kind in ("too_many_requests", "refuse_post_only", "lose_ack")
        }
        self._second = 0

    def strikes(self, kind: Literal["too_many_requests", "refuse_post_only", "lose_ack"], now_s: float) -> bool:
        """A request or an action meets a fault of the kind."""
        # All draw, whichever struck first.
        struck = [rule.strikes(now_s) for rule in self._others[kind]]
        return True in struck

    def fate(self, now_s: float, channel: str, coin: str | None) -> Fate:
        """What becomes of a frame that is to be sent now."""
        struck = [rule.fault for rule in self._of_frames if rule.is_of(channel, coin) and rule.strikes(now_s)]
        if not struck:
            return _PLAIN
        kinds = [fault.kind for fault in struck]
        return Fate(
            "drop_socket" in kinds,
            "silence" in kinds,
            1 + kinds.count("duplicate"),
            "reorder" in kinds,
            max([fault.lasts_s for fault in struck if fault.kind == "delay"], default=0.0),
        )

    def advance(self, now_s: float) -> tuple[bool, float]:
        """What strikes the whole exchange now.

        Returns:
            Cut all sockets; stay away for so many seconds (0: stay).
        """
        cut, away_s = False, 0.0
        seconds, self._second = int(now_s) - self._second, int(now_s)
        for rule in self._of_all:
            is_restart = rule.fault.kind == "restart"
            starts = rule.starts(now_s)
            if is_restart and rule.fault.at_s is None:
                drawn = [rule.draws() for _ in range(min(seconds, 60))]
                starts = True in drawn
            if starts and is_restart:
                away_s = max(away_s, rule.fault.lasts_s)
            cut = cut or (starts and (is_restart or rule.fault.at_s is not None))
        return cut, away_s
