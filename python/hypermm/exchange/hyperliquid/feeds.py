"""Market streams of some coins: frames to events, each print once, and how old every stream is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hypermm.exchange.hyperliquid import wire
from hypermm.exchange.hyperliquid.decode import NS_PER_MS, best_events, book_events, context_update, trades_update
from hypermm.exchange.hyperliquid.memory import SeenIds
from hypermm.exchange.hyperliquid.notices import ClockOffset, TapeGap
from hypermm.exchange.hyperliquid.streams import NS_PER_S, Stream

if TYPE_CHECKING:
    import msgspec

    from hypermm.exchange.events import EngineEvent

__all__ = ["MARKET_CHANNELS", "MarketFeeds"]

MARKET_CHANNELS = ("l2Book", "bbo", "trades", "activeAssetCtx")
HISTORY_AGE_NS = 5 * NS_PER_S
CLOCK_TOLERANCE_NS = 5 * NS_PER_S
CLOCK_CHECKED_NS = 60 * NS_PER_S
# No node lags so far behind another: a time further back is the venue's own, or the one before was wrong.
LAG_MS = 60_000


class MarketFeeds:
    """Handles the frames of `MARKET_CHANNELS`; those of other coins are passed over.

    The venue repeats about thirty prints with every subscription. Before the first connection they date from a market
    nobody watched and are handed on as history; later they fill the gap, and each is told once. Where they begin after
    what was seen, prints may be missing, and a notice says so; prints of one coin are taken to come in order.

    A book or a best up to a minute older than the last of its stream is passed over: it comes of a node that lags,
    after a new connection, and does not count as a sign of life.

    Args:
        coins: Coins to follow.

    Attributes:
        venue_ns: The venue's clock as the latest book told it; 0 before the first.
    """

    def __init__(self, coins: Sequence[str]) -> None:
        self.streams = {(channel, coin): Stream(channel, coin) for coin in coins for channel in MARKET_CHANNELS}
        self.faults: list[TapeGap | ClockOffset] = []
        self.venue_ns = 0
        self._clocks_checked: tuple[int, int] | None = None
        self._books = {coin: self.streams["l2Book", coin] for coin in coins}
        self._bests = {coin: self.streams["bbo", coin] for coin in coins}
        self._contexts = {coin: self.streams["activeAssetCtx", coin] for coin in coins}
        self._seen = {coin: SeenIds() for coin in coins}
        self._replays: set[str] = set()
        self.handlers: dict[type[msgspec.Struct], Callable[[int, Any], list[EngineEvent]]] = {
            wire.CHANNELS["bbo"]: self._on_best,
            wire.CHANNELS["l2Book"]: self._on_book,
            wire.CHANNELS["trades"]: self._on_trades,
            wire.CHANNELS["activeAssetCtx"]: self._on_context,
            wire.CHANNELS["activeSpotAssetCtx"]: self._on_spot_context,
        }

    def connected(self) -> None:
        """A new connection: the first prints of each coin will be repeated ones."""
        self._replays = set(self._seen)
        self._clocks_checked = None

    def resumed(self, now_ns: int) -> None:
        """Frames waited to be read and come late: their age says nothing of the clocks for a while."""
        if self._clocks_checked is not None:
            self._clocks_checked = (now_ns, now_ns)

    def silent_at_ns(self, patience_ns: int) -> int | None:
        """When every book will have been silent for so long; None before all are acknowledged."""
        books = self._books.values()
        if not all(book.acknowledged for book in books):
            return None
        return max(book.last_ns for book in books) + patience_ns

    def _on_best(self, now_ns: int, data: wire.Bbo) -> list[EngineEvent]:
        stream = self._bests.get(data.coin)
        if stream is None or 0 < stream.venue_ms - data.time < LAG_MS:
            return []
        stream.last_ns, stream.venue_ms = now_ns, data.time
        return best_events(data)

    def _on_book(self, now_ns: int, data: wire.L2Book) -> list[EngineEvent]:
        stream = self._books.get(data.coin)
        if stream is None or 0 < stream.venue_ms - data.time < LAG_MS:
            return []
        stream.last_ns, stream.venue_ms = now_ns, data.time
        self.venue_ns = venue_ns = data.time * NS_PER_MS
        checked = self._clocks_checked
        # A minute by either clock: ours may have been set forward or stand still.
        if checked is None or now_ns - checked[0] >= CLOCK_CHECKED_NS or venue_ns - checked[1] >= CLOCK_CHECKED_NS:
            self._check_clocks(now_ns, venue_ns)
        return book_events(data)

    def _check_clocks(self, now_ns: int, venue_ns: int) -> None:
        """Books are sent anew twice a second, so that the age of one is the distance of the clocks."""
        self._clocks_checked = (now_ns, venue_ns)
        if abs(now_ns - venue_ns) > CLOCK_TOLERANCE_NS:
            self.faults.append(ClockOffset((now_ns - venue_ns) / NS_PER_S))

    def _on_context(self, now_ns: int, data: wire.ActiveAssetCtx) -> list[EngineEvent]:
        stream = self._contexts.get(data.coin)
        if stream is None:
            return []
        stream.last_ns = now_ns
        return [context_update(data)]

    def _on_spot_context(self, now_ns: int, data: wire.ActiveSpotAssetCtx) -> list[EngineEvent]:
        stream = self._contexts.get(data.coin)
        if stream is not None:
            stream.last_ns = now_ns
        return []

    def _on_trades(self, now_ns: int, rows: list[wire.WsTrade]) -> list[EngineEvent]:
        events: list[EngineEvent] = []
        coins = {row.coin for row in rows}
        for coin in sorted(coins):
            if coin in self._seen:
                self.streams["trades", coin].last_ns = now_ns
                own = rows if len(coins) == 1 else [row for row in rows if row.coin == coin]
                events += self._prints(now_ns, coin, own)
        return events

    def _prints(self, now_ns: int, coin: str, rows: list[wire.WsTrade]) -> list[EngineEvent]:
        seen = self._seen[coin]
        last_ms = seen.newest
        new = [row for row in rows if seen.add(row.time, row.tid)]
        is_replay = coin in self._replays
        self._replays.discard(coin)
        history: list[wire.WsTrade] = []
        if is_replay and last_ms is None:
            horizon_ms = (now_ns - HISTORY_AGE_NS) // NS_PER_MS
            history = [row for row in new if row.time < horizon_ms]
            new = [row for row in new if row.time >= horizon_ms]
        elif is_replay and last_ms is not None and len(new) == len(rows):
            self.faults.append(TapeGap(coin, last_ms, min(row.time for row in rows)))
        events: list[EngineEvent] = []
        if history:
            events.append(trades_update(coin, history, is_history=True))
        if new:
            events.append(trades_update(coin, new))
        return events
