"""What the venue publishes of its markets: frames of the public channels, on the venue's clocks, and in the log.

Books go out on two clocks that all coins share, 5 levels every 0.54 s and 20 every 5 s, unchanged ones again; best
quotes and prints with the block that changed them. Rows of an account are `own_feed`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hypermm._core import VenueBest, VenueSettlement, VenueTrade
from hypermm.exchange.loopback import subscriptions as wanted
from hypermm.exchange.loopback.rows import NS_PER_MS, book_side

if TYPE_CHECKING:
    from hypermm.exchange.loopback.event_log import EventLog
    from hypermm.exchange.loopback.hub import Hub
    from hypermm.exchange.loopback.subscriptions import Subscription
    from hypermm.exchange.loopback.world import World

__all__ = ["Clocks", "MarketFeed", "book_row"]

NS_PER_S = 1_000_000_000
PERIODS_NS = {
    "fast": 540_000_000,
    "slow": 5 * NS_PER_S,
    "context": NS_PER_S,
    "candle": NS_PER_S,
    "mids": 5 * NS_PER_S,
    "all_contexts": 14 * NS_PER_S,
    "states": 5 * NS_PER_S,
}
"""How often what is sent again and again is sent."""
FAST_LEVELS, SLOW_LEVELS = 5, 20
REPLAYED_TRADES = 30


class Clocks:
    """Which of `PERIODS_NS` are due; all start together."""

    def __init__(self, start_ns: int) -> None:
        self._next_ns = dict.fromkeys(PERIODS_NS, start_ns)

    def due(self, now_ns: int) -> set[str]:
        """Those due by now, each once however late it is."""
        due = {name for name, at_ns in self._next_ns.items() if at_ns <= now_ns}
        for name in due:
            self._next_ns[name] = max(self._next_ns[name] + PERIODS_NS[name], now_ns + 1)
        return due


def book_row(
    world: World,
    coin: str,
    levels: int = SLOW_LEVELS,
    figures: int | None = None,
    mantissa: int | None = None,
) -> dict[str, Any]:
    """A book; in buckets it tells its spread too."""
    contract = world.listing.by_coin[coin]
    bids: list[tuple[str, str, int]] = []
    asks: list[tuple[str, str, int]] = []
    if not contract.is_delisted:
        bids, asks = world.venue.book(coin, levels, significant_figures=figures, mantissa=mantissa)
    row: dict[str, Any] = {"coin": coin, "time": world.block_ms, "levels": [book_side(bids), book_side(asks)]}
    if figures is not None and bids and asks:
        decimals = 6 - contract.size_decimals
        spread = round((float(asks[0][0]) - float(bids[0][0])) * 10**decimals)
        whole, fraction = divmod(spread, 10**decimals)
        row["spread"] = f"{whole}." + ((f"{fraction:0{decimals}d}".rstrip("0") or "0") if decimals else "0")
    return row


class MarketFeed:
    """Publishes markets, block by block.

    Args:
        world: The venue.
        hub: Who listens.
        log: Where all of it is written down.
    """

    def __init__(self, world: World, hub: Hub, log: EventLog) -> None:
        self._world = world
        self._hub = hub
        self._log = log

    def publish(self, events: Iterable[Any], due: set[str], now_ns: int) -> None:
        """Publishes what one block did, then what the clocks say."""
        trades: dict[str, list[dict[str, Any]]] = {}
        bests = []
        for event in events:
            if isinstance(event, VenueTrade):
                row = self._world.rows.trade(event)
                self._world.tapes[event.coin].note(row)
                trades.setdefault(event.coin, []).append(row)
            elif isinstance(event, VenueBest):
                bests.append(event)
            elif isinstance(event, VenueSettlement):
                self._world.settlements[event.coin].append({
                    "coin": event.coin,
                    "fundingRate": event.rate,
                    "premium": event.premium,
                    "time": event.time_ns // NS_PER_MS,
                })  # fmt: skip
        for coin, rows in trades.items():
            self._log.write_all(self._world.block_ns, "trades", None, rows)
            self._hub.publish(wanted.Trades(coin), rows, now_ns)
        for best in bests:
            self._send(wanted.Bbo(best.coin), self._best(best.coin, best.bid, best.ask), now_ns)
        self._publish_books(due, now_ns)
        self._publish_contexts(due, now_ns)

    def _send(self, subscription: Subscription, payload: Any, now_ns: int) -> None:
        self._log.write(self._world.block_ns, subscription.channel, None, payload)
        self._hub.publish(subscription, payload, now_ns)

    def _best(self, coin: str, bid: Any, ask: Any) -> dict[str, Any]:
        sides = [None if level is None else book_side([level])[0] for level in (bid, ask)]
        return {"coin": coin, "time": self._world.block_ms, "bbo": sides}

    def _publish_books(self, due: set[str], now_ns: int) -> None:
        for clock, is_fast in (("fast", True), ("slow", False)):
            if clock not in due:
                continue
            asked = {each for each in self._hub.wanted(wanted.L2Book) if each.fast == is_fast}
            if self._log.is_kept:
                asked |= {wanted.L2Book(coin, fast=is_fast) for coin in self._world.listing.by_coin}
            for subscription in sorted(asked, key=repr):
                payload = self._book(subscription)
                if subscription.nSigFigs is None:
                    self._log.write(self._world.block_ns, "l2Book", None, payload)
                self._hub.publish(subscription, payload, now_ns)

    def _book(self, subscription: wanted.L2Book) -> dict[str, Any]:
        levels = FAST_LEVELS if subscription.fast else SLOW_LEVELS
        row = book_row(self._world, subscription.coin, levels, subscription.nSigFigs, subscription.mantissa)
        return row | {"fast": True} if subscription.fast else row

    def _publish_contexts(self, due: set[str], now_ns: int) -> None:
        world = self._world
        if "context" in due:
            for contract in world.listing.by_coin.values():
                subscription = wanted.ActiveAssetCtx(contract.coin)
                self._send(subscription, {"coin": contract.coin, "ctx": world.context(contract)}, now_ns)
        if "candle" in due:
            for candle in self._hub.wanted(wanted.Candle):
                for payload in self._candle(candle):
                    self._hub.publish(candle, payload, now_ns)
        if "mids" in due:
            for mids in self._hub.wanted(wanted.AllMids):
                for payload in self._mids(mids):
                    self._hub.publish(mids, payload, now_ns)
        if "all_contexts" in due:
            for everything in self._hub.wanted(wanted.AllDexsAssetCtxs):
                self._hub.publish(everything, self._all_contexts(), now_ns)

    def _candle(self, candle: wanted.Candle) -> list[Any]:
        length_ms = wanted.INTERVALS_MS[candle.interval]
        now_ms = self._world.block_ms
        bars = self._world.tapes[candle.coin].bars(candle.interval, now_ms - now_ms % length_ms, now_ms)
        return [bar.row(candle.coin, candle.interval) for bar in bars[-1:]]

    def _mids(self, mids: wanted.AllMids) -> list[Any]:
        payload: dict[str, Any] = {"mids": self._world.mids(mids.dex or "")}
        return [payload | {"dex": mids.dex} if mids.dex else payload]

    def _all_contexts(self) -> dict[str, Any]:
        return {"ctxs": [[dex, self._world.contexts(dex)] for dex in self._world.listing.dexes]}

    def snapshot(self, subscription: Subscription) -> list[Any]:
        """What a new subscription to a market gets at once."""
        match subscription:
            case wanted.L2Book():
                return [self._book(subscription)]
            case wanted.Bbo(coin=coin):
                is_delisted = self._world.listing.by_coin[coin].is_delisted
                return [self._best(coin, *((None, None) if is_delisted else self._world.venue.best(coin)))]
            case wanted.Trades(coin=coin):
                rows = list(self._world.tapes[coin].rows)[-REPLAYED_TRADES:]
                return [rows] if rows else []
            case wanted.ActiveAssetCtx(coin=coin):
                return [{"coin": coin, "ctx": self._world.context(self._world.listing.by_coin[coin])}]
            case wanted.AllMids():
                return self._mids(subscription)
            case wanted.AllDexsAssetCtxs():
                return [self._all_contexts()]
            case wanted.Candle():
                return self._candle(subscription)
            case _:
                return []
