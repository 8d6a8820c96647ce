"""What the venue remembers of an account and of a market's prints, in the words of its answers.

Rows are those of the wire: orders as the front end shows them, fills, payments, prints, candles.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from hypermm.exchange.loopback import decimals
from hypermm.exchange.loopback.subscriptions import INTERVALS_MS

__all__ = ["AccountRecords", "Bar", "Tape", "order_view"]

KEPT_ORDERS = 2000
KEPT_FILLS = 10_000
KEPT_PRINTS = 500
KEPT_BARS = 5000
DAY_MS = 86_400_000
_SHORT = ("coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz")


def order_view(row: dict[str, Any]) -> dict[str, Any]:
    """A front-end order as `openOrders` and the order channel show it: no name and no flag where there is none."""
    view = {key: row[key] for key in _SHORT}
    if row["cloid"] is not None:
        view["cloid"] = row["cloid"]
    if row["reduceOnly"]:
        view["reduceOnly"] = True
    return view


class AccountRecords:
    """Orders, fills and payments of an account.

    Attributes:
        fills: Oldest first.
        fundings: Payments, oldest first.
        volume_usd: Traded since the start, USD.
    """

    def __init__(self) -> None:
        self.fills: deque[dict[str, Any]] = deque(maxlen=KEPT_FILLS)
        self.fundings: deque[dict[str, Any]] = deque(maxlen=KEPT_FILLS)
        self.volume_usd = 0.0
        self._open: dict[int, dict[str, Any]] = {}
        self._ended: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._by_cloid: dict[str, int] = {}

    def note_order(self, row: dict[str, Any], status: str, time_ms: int) -> None:
        """An order is in this state since then."""
        oid = row["oid"]
        entry = {"order": row, "status": status, "statusTimestamp": time_ms}
        if row["cloid"] is not None:
            self._by_cloid[row["cloid"]] = oid
        if status == "open":
            self._open[oid] = entry
            return
        self._open.pop(oid, None)
        self._ended[oid] = entry
        while len(self._ended) > KEPT_ORDERS:
            _, gone = self._ended.popitem(last=False)
            cloid = gone["order"]["cloid"]
            if self._by_cloid.get(cloid) == gone["order"]["oid"]:
                del self._by_cloid[cloid]

    def open_orders(self) -> Iterator[dict[str, Any]]:
        """Resting orders, newest first."""
        return (self._open[oid]["order"] for oid in sorted(self._open, reverse=True))

    def open_order(self, oid: int) -> dict[str, Any] | None:
        """A resting order."""
        entry = self._open.get(oid)
        return None if entry is None else entry["order"]

    def status(self, name: int | str) -> dict[str, Any] | None:
        """An order with its state, by number or by the account's own name."""
        oid = self._by_cloid.get(name.lower()) if isinstance(name, str) else name
        if oid is None:
            return None
        return self._open.get(oid) or self._ended.get(oid)

    def history(self) -> list[dict[str, Any]]:
        """Orders with their states, newest first."""
        entries = [*self._ended.values(), *self._open.values()]
        entries.sort(key=lambda entry: (entry["statusTimestamp"], entry["order"]["oid"]), reverse=True)
        return entries[:KEPT_ORDERS]


class Bar(Struct):
    """A candle: its first ms, prices, size traded, prints."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    notional: float = 0.0
    count: int = 0

    def add(self, price: float, size: float) -> None:
        """Takes a print in."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size
        self.notional += price * size
        self.count += 1

    def row(self, coin: str, interval: str, size_decimals: int) -> dict[str, Any]:
        """As the venue shows it."""
        o, c, h, l = (  # noqa: E741 - the venue's words
            decimals.price(value, size_decimals) for value in (self.open, self.close, self.high, self.low)
        )
        return {
            "t": self.start_ms,
            "T": self.start_ms + INTERVALS_MS[interval] - 1,
            "s": coin,
            "i": interval,
            "o": o,
            "c": c,
            "h": h,
            "l": l,
            "v": decimals.size(self.volume, size_decimals),
            "n": self.count,
        }


class Tape(Struct):
    """Prints of a market: the newest as rows, all as minute candles."""

    rows: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_PRINTS))
    minutes: deque[Bar] = field(default_factory=lambda: deque(maxlen=KEPT_BARS))
    last_price: float | None = None

    def note(self, row: dict[str, Any], price: float, size: float, time_ms: int) -> None:
        """A print."""
        self.rows.append(row)
        self.last_price = price
        start_ms = time_ms - time_ms % INTERVALS_MS["1m"]
        if not self.minutes or self.minutes[-1].start_ms != start_ms:
            self.minutes.append(Bar(start_ms, price, price, price, price))
        self.minutes[-1].add(price, size)

    def bars(self, interval: str, start_ms: int, end_ms: int) -> list[Bar]:
        """Candles that overlap the span, oldest first."""
        length_ms = INTERVALS_MS[interval]
        bars: list[Bar] = []
        for minute in self.minutes:
            opened_ms = minute.start_ms - minute.start_ms % length_ms
            if opened_ms + length_ms <= start_ms or opened_ms > end_ms:
                continue
            if not bars or bars[-1].start_ms != opened_ms:
                bars.append(Bar(opened_ms, minute.open, minute.high, minute.low, minute.close))
            bar = bars[-1]
            bar.high, bar.low, bar.close = max(bar.high, minute.high), min(bar.low, minute.low), minute.close
            bar.volume += minute.volume
            bar.notional += minute.notional
            bar.count += minute.count
        return bars

    def day(self, now_ms: int) -> tuple[float, float, float | None]:
        """Notional and size traded in the last 24 hours, and the price before them (the first there is)."""
        recent = [bar for bar in self.minutes if bar.start_ms > now_ms - DAY_MS]
        before = recent[0].open if recent else None
        return sum(bar.notional for bar in recent), sum(bar.volume for bar in recent), before
