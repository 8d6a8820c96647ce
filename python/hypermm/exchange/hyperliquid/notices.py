"""What a session tells its keeper besides events: connection, faults, answers to actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Raw, Struct

if TYPE_CHECKING:
    from hypermm.exceptions import WireError

__all__ = [
    "AccountLimits",
    "ActionAnswered",
    "ActionLost",
    "ClockOffset",
    "Disconnected",
    "FillGap",
    "FillRefused",
    "FrameRefused",
    "Notice",
    "PositionMismatch",
    "Ready",
    "RequestFailed",
    "StreamTurned",
    "TapeGap",
    "VenueText",
]


class Ready(Struct, frozen=True):
    """Every stream is acknowledged, and orders, fills and positions agree with the venue's: quoting may begin."""

    connection: int


class Disconnected(Struct, frozen=True):
    """The socket is gone. What rests at the venue must be assumed alive until the session is ready again.

    Attributes:
        reason: As far as known.
        connect_at_ns: When to connect again.
        unacknowledged: "channel coin" of what the venue had not confirmed: a wrong one makes it drop the socket.
        lost_actions: Ids of actions without an answer; what became of them the account's events will tell.
    """

    reason: str
    connect_at_ns: int
    unacknowledged: tuple[str, ...]
    lost_actions: tuple[int, ...]


class FrameRefused(Struct, frozen=True):
    """A frame could not be read; nothing of it was applied."""

    error: WireError


class FillRefused(Struct, frozen=True):
    """A fill of ours in an answer could not be used and was left out; the position shows what it did."""

    error: WireError


class VenueText(Struct, frozen=True):
    """The venue complained in words."""

    text: str


class StreamTurned(Struct, frozen=True):
    """A stream fell silent past its cadence, or spoke again."""

    channel: str
    coin: str
    is_late: bool
    age_s: float


class ClockOffset(Struct, frozen=True):
    """Our clock and the venue's are apart: signatures' nonces, expiries and funding hours go by ours. Set it.

    Attributes:
        ahead_s: Ours less the venue's, s; what a message takes to arrive is part of it.
    """

    ahead_s: float


class TapeGap(Struct, frozen=True):
    """Prints between two connections may be missing: none of those repeated had been seen.

    Attributes:
        last_seen_ms: Venue's time of the last print before.
        first_seen_ms: Venue's time of the first after.
    """

    coin: str
    last_seen_ms: int
    first_seen_ms: int


class FillGap(Struct, frozen=True):
    """A fill does not start where the last one ended: one is missing, and the account is being read again."""

    coin: str
    expected_position: float
    stated_position: float


class PositionMismatch(Struct, frozen=True):
    """The venue's position is not the one its fills lead to, time and again; the position was taken."""

    coin: str
    position_by_fills: float
    stated_position: float


class AccountLimits(Struct, frozen=True):
    """Requests our address used and was granted since inception."""

    used: int
    cap: int


class ActionAnswered(Struct, frozen=True):
    """The answer to an action; `answers.read_outcomes` reads the payload."""

    request_id: int
    payload: Raw


class ActionLost(Struct, frozen=True):
    """No answer to an action in time: what became of it the account's events will tell.

    Attributes:
        request_id: The action's id.
        reason: Why there is none.
    """

    request_id: int
    reason: str


class RequestFailed(Struct, frozen=True):
    """A query of the session's own was refused or not answered; it is asked again.

    Attributes:
        kind: The request's type.
        reason: The venue's words, or that it was silent.
        again_at_ns: When it is asked again.
    """

    kind: str
    reason: str
    again_at_ns: int


Notice: TypeAlias = (
    Ready
    | Disconnected
    | FillRefused
    | FrameRefused
    | VenueText
    | StreamTurned
    | ClockOffset
    | TapeGap
    | FillGap
    | PositionMismatch
    | AccountLimits
    | ActionAnswered
    | ActionLost
    | RequestFailed
)
