"""How old each stream is, against the cadence the venue was measured to keep (September 2026).

Books are sent again when nothing changed, so silence there is a fault. Best quotes, prints and account events come when
something happens: their silence says nothing, and they are never late.
"""

from __future__ import annotations

import enum

from msgspec import Struct

__all__ = ["CADENCES", "Cadence", "Stream", "StreamAge", "StreamStatus"]

NS_PER_S = 1_000_000_000


class Cadence(Struct, frozen=True):
    """How often a channel speaks; None for one that speaks when something happens.

    Attributes:
        expected_s: Usual time between two frames, s.
        late_after_s: Silence that is a fault, s.
    """

    expected_s: float | None = None
    late_after_s: float | None = None


CADENCES = {
    "l2Book": Cadence(0.54, 3.0),
    "activeAssetCtx": Cadence(1.0, 15.0),
}
"""By channel; those not named speak when something happens."""


class StreamStatus(enum.Enum):
    """State of one stream."""

    ASKED = "asked"
    LIVE = "live"
    LATE = "late"


class StreamAge(Struct, frozen=True):
    """A stream as of now.

    Attributes:
        channel: The venue's name of it.
        coin: Its coin, "" for one of the account.
        status: ASKED until the venue acknowledges it, LATE past its cadence.
        age_s: Since its last frame, or since the acknowledgement before the first; None before that.
        expected_s: Usual time between two frames; None where silence says nothing.
    """

    channel: str
    coin: str
    status: StreamStatus
    age_s: float | None
    expected_s: float | None


class Stream:
    """One subscription: acknowledged or not, and when it last spoke.

    Args:
        channel: The venue's name of it.
        coin: Its coin, "" for one of the account.
        cadence: How often it speaks; that of `CADENCES` when left out.
    """

    __slots__ = ("acknowledged", "cadence", "channel", "coin", "is_late", "last_ns", "venue_ms")

    def __init__(self, channel: str, coin: str, cadence: Cadence | None = None) -> None:
        self.channel = channel
        self.coin = coin
        self.cadence = CADENCES.get(channel, Cadence()) if cadence is None else cadence
        # The latest book's own time, through reconnections: a node that lags behind the last one tells nothing new.
        self.venue_ms = 0
        self.reset()

    def reset(self) -> None:
        """A new connection: nothing acknowledged, nothing heard."""
        self.acknowledged = False
        self.is_late = False
        self.last_ns = 0

    def acknowledge(self, now_ns: int) -> None:
        """The venue confirmed it; its silence counts from here."""
        self.acknowledged = True
        self.last_ns = now_ns

    def age_s(self, now_ns: int) -> float | None:
        """Seconds since it last spoke; None before the acknowledgement."""
        return (now_ns - self.last_ns) / NS_PER_S if self.acknowledged else None

    def late_at_ns(self) -> int | None:
        """When it will be late; None where it cannot be."""
        late_s = self.cadence.late_after_s
        if late_s is None or not self.acknowledged:
            return None
        return self.last_ns + round(late_s * NS_PER_S)

    def turned(self, now_ns: int) -> bool | None:
        """True when it has just become late, False when it has just come back, None when nothing changed."""
        at_ns = self.late_at_ns()
        late = at_ns is not None and now_ns >= at_ns
        if late == self.is_late:
            return None
        self.is_late = late
        return late

    def report(self, now_ns: int) -> StreamAge:
        """The stream as of now."""
        at_ns = self.late_at_ns()
        status = StreamStatus.LIVE if self.acknowledged else StreamStatus.ASKED
        if at_ns is not None and now_ns >= at_ns:
            status = StreamStatus.LATE
        return StreamAge(self.channel, self.coin, status, self.age_s(now_ns), self.cadence.expected_s)
