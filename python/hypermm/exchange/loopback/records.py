"""What is kept beside the venue for its answers: fills and payments of an account, prints and candles of a market.

Rows are those of the wire.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from msgspec import Struct, field

from hypermm.exchange.loopback.decimals import decimal
from hypermm.exchange.loopback.subscriptions import INTERVALS_MS

__all__ = ["AccountRecords", "Bar", "Tape", "span"]

KEPT_ROWS = 10_000
KEPT_PRINTS = 500
KEPT_BARS = 5000


def _rows(length: int) -> Any:
    return field(default_factory=lambda: deque(maxlen=length))


class AccountRecords(Struct):
    """An account's fills and funding payments, oldest first."""

    fills: deque[dict[str, Any]] = _rows(KEPT_ROWS)
    fundings: deque[dict[str, Any]] = _rows(KEPT_ROWS)


def span(rows: deque[dict[str, Any]], start_ms: int | None, end_ms: int | None, limit: int) -> list[dict[str, Any]]:
    """The first `limit` rows of a span of time, both ends included."""
    found = [
        row
        for row in rows
        if (start_ms is None or row["time"] >= start_ms) and (end_ms is None or row["time"] <= end_ms)
    ]
    return found[:limit]


class Bar(Struct):
    """A candle: its first ms, prices, size traded, prints."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    count: int = 0

    def take(self, other: Bar) -> None:
        """Takes a later candle in."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.count += other.count

    def row(self, coin: str, interval: str) -> dict[str, Any]:
        """As the venue shows it."""
        return {
            "t": self.start_ms,
            "T": self.start_ms + INTERVALS_MS[interval] - 1,
            "s": coin,
            "i": interval,
            "o": decimal(self.open, 6),
            "c": decimal(self.close, 6),
            "h": decimal(self.high, 6),
            "l": decimal(self.low, 6),
            "v": decimal(self.volume, 6),
            "n": self.count,
        }


class Tape(Struct):
    """Prints of a market: the newest as rows, all as minute candles."""

    rows: deque[dict[str, Any]] = _rows(KEPT_PRINTS)
    minutes: deque[Bar] = _rows(KEPT_BARS)

    def note(self, row: dict[str, Any]) -> None:
        """A print."""
        self.rows.append(row)
        price, time_ms = float(row["px"]), row["time"]
        bar = Bar(time_ms - time_ms % INTERVALS_MS["1m"], price, price, price, price, float(row["sz"]), 1)
        if self.minutes and self.minutes[-1].start_ms == bar.start_ms:
            self.minutes[-1].take(bar)
        else:
            self.minutes.append(bar)

    def bars(self, interval: str, start_ms: int, end_ms: int) -> list[Bar]:
        """Candles that overlap the span, oldest first."""
        length_ms = INTERVALS_MS[interval]
        bars: list[Bar] = []
        for minute in self.minutes:
            opened_ms = minute.start_ms - minute.start_ms % length_ms
            if opened_ms + length_ms <= start_ms or opened_ms > end_ms:
                continue
            if bars and bars[-1].start_ms == opened_ms:
                bars[-1].take(minute)
            else:
                bars.append(
                    Bar(opened_ms, minute.open, minute.high, minute.low, minute.close, minute.volume, minute.count)
                )
        return bars
