"""A bot that already has its own connection, order ids and event loop takes its quotes from hypermm.

The bot below is asyncio with three tasks: one reads the market, one hears of its own orders, one quotes. It keeps its
own order ids (`mm-1`, `mm-2`, ...), sends post-only orders to a small venue in memory that stands in for the real
connection, and is stopped half way. The second run restores what the engine had learned, is told the position that
the venue holds, which is the truth, and goes on.

    python examples/embed_in_existing_bot.py
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from itertools import count

import hypermm
from hypermm import OrderStatus, Side

SECOND_NS = 1_000_000_000
TICK_NS = 50_000_000
QUOTE_EVERY = 5


@dataclass
class Order:
    """An order as the venue keeps it."""

    order_id: str
    side: Side
    price: float
    size: float


@dataclass
class Venue:
    """Stands in for the exchange: a random walk of prices whose aggressors take what they reach."""

    clock_ns: int = 1_757_000_000 * SECOND_NS
    mid: float = 4300.0
    position: float = 0.0
    orders: dict[str, Order] = field(default_factory=dict)
    market: asyncio.Queue[tuple[str, tuple[object, ...]]] = field(default_factory=asyncio.Queue)
    account: asyncio.Queue[tuple[str, tuple[object, ...]]] = field(default_factory=asyncio.Queue)
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - a market, not a secret
    trade_ids: count[int] = field(default_factory=lambda: count(1))

    def tick(self) -> None:
        """50 ms of market: the price moves, the best quotes are told, now and then someone crosses the spread."""
        self.clock_ns += TICK_NS
        self.mid += self.chance.gauss(0.0, 0.15)
        bid, ask = round(self.mid - 0.2, 1), round(self.mid + 0.2, 1)
        self.market.put_nowait(("best", (self.clock_ns, bid, 12.0, ask, 15.0)))
        if self.chance.random() < 0.08:
            side = self.chance.choice((Side.BUY, Side.SELL))
            reach = self.chance.expovariate(1.0)
            self._aggress(side, round(ask + reach, 1) if side is Side.BUY else round(bid - reach, 1))

    def _aggress(self, aggressor: Side, price: float) -> None:
        self.market.put_nowait(("trade", (self.clock_ns, price, 0.4, aggressor)))
        for order in list(self.orders.values()):
            reached = order.price <= price if aggressor is Side.BUY else order.price >= price
            if order.side is aggressor or not reached:
                continue
            del self.orders[order.order_id]
            self.position += order.size if order.side is Side.BUY else -order.size
            fill = (self.clock_ns, order.side, order.price, order.size, order.order_id, f"fill-{next(self.trade_ids)}")
            self.account.put_nowait(("fill", fill))

    def place(self, order: Order) -> None:
        """Accepts an order; the bot hears of it later, as it would over a socket."""
        self.orders[order.order_id] = order
        self.account.put_nowait(("status", (self.clock_ns, order, OrderStatus.OPEN)))

    def cancel(self, order_id: str) -> None:
        """Cancels an order, if it still stands."""
        if (order := self.orders.pop(order_id, None)) is not None:
            self.account.put_nowait(("status", (self.clock_ns, order, OrderStatus.CANCELED)))


class Bot:
    """The existing bot. The engine is one attribute; the bot keeps everything else as it was."""

    def __init__(self, venue: Venue, engine: hypermm.QuoteEngine, first_id: int = 1) -> None:
        self.venue = venue
        self.engine = engine
        self.ids = count(first_id)
        self.live: dict[str, Order] = {}
        self.readers: list[asyncio.Task[None]] = []
        self.fills = 0

    async def read_market(self) -> None:
        """Feeds the engine what the market did."""
        while True:
            kind, values = await self.venue.market.get()
            if kind == "best":
                self.engine.on_best(*values)
            else:
                self.engine.on_trade(*values)

    async def read_account(self) -> None:
        """Feeds the engine what happened to our orders; it needs our ids only to tell orders apart."""
        while True:
            kind, values = await self.venue.account.get()
            if kind == "status":
                _, order, status = values
                self.engine.on_order(self._now(), order.order_id, status, order.side, order.price, order.size)
                if status is OrderStatus.CANCELED:
                    self.live.pop(order.order_id, None)
            else:
                _, side, price, size, order_id, fill_id = values
                self.live.pop(order_id, None)
                self.fills += self.engine.on_fill(self._now(), side, price, size, order_id=order_id, fill_id=fill_id)
                self.engine.on_order(self._now(), order_id, OrderStatus.FILLED, side, price, 0.0)

    def quote(self) -> None:
        """Makes what stands equal to what the engine wants: cancels the rest, then places what is missing."""
        decision = self.engine.quote(self._now())
        wanted = [Order("", Side.BUY, level.price, level.size) for level in decision.bids]
        wanted += [Order("", Side.SELL, level.price, level.size) for level in decision.asks]
        keep = {(order.side, order.price, order.size) for order in wanted}
        for order in list(self.live.values()):
            if (order.side, order.price, order.size) not in keep:
                self.engine.on_order(
                    self._now(), order.order_id, OrderStatus.CANCEL_PENDING, order.side, order.price, order.size
                )
                self.venue.cancel(order.order_id)
        standing = {(order.side, order.price, order.size) for order in self.live.values()}
        for order in wanted:
            if (order.side, order.price, order.size) in standing:
                continue
            order.order_id = f"mm-{next(self.ids)}"
            self.live[order.order_id] = order
            self.engine.on_order(self._now(), order.order_id, OrderStatus.PENDING, order.side, order.price, order.size)
            self.venue.place(order)

    async def run(self, seconds: float) -> None:
        """Runs for a while of venue time, then cancels what stands."""
        self.readers = [asyncio.create_task(self.read_market()), asyncio.create_task(self.read_account())]
        for step in range(round(seconds * SECOND_NS / TICK_NS)):
            self.venue.tick()
            await self._drain()
            if step % QUOTE_EVERY == 0:
                self.quote()
                await self._drain()
        for order_id in list(self.live):
            self.venue.cancel(order_id)
        await self._drain()
        for reader in self.readers:
            reader.cancel()
        await asyncio.gather(*self.readers, return_exceptions=True)

    async def _drain(self) -> None:
        while not (self.venue.market.empty() and self.venue.account.empty()):
            await asyncio.sleep(0)
            for reader in self.readers:
                if reader.done():
                    reader.result()  # raises what stopped it

    def _now(self) -> int:
        return self.venue.clock_ns


def main() -> tuple[float, float, int]:
    """Two sessions with a restart in between.

    Returns:
        Position at the venue, position the engine holds, fills of both sessions.
    """
    instrument = hypermm.Instrument("ETH", size_decimals=4, max_leverage=25)
    config = hypermm.EngineConfig(max_position=2.0, risk_aversion=0.03)
    venue = Venue()

    first = Bot(venue, hypermm.QuoteEngine(instrument, config))
    asyncio.run(first.run(120.0))
    saved = first.engine.snapshot()
    print(f"first session: {first.fills} fills, position {first.engine.position:+.4f}")

    # While the bot was down, a hand closed a part of the position: the venue's word replaces ours.
    venue.position = round(venue.position + 0.25, 4)
    venue.clock_ns += 30 * SECOND_NS
    venue.market, venue.account = asyncio.Queue(), asyncio.Queue()

    engine = hypermm.QuoteEngine.restore(saved, config=config.replace(risk_aversion=0.02))
    correction = engine.on_position(venue.clock_ns, venue.position)
    print(f"restarted: the venue's position differs from ours by {correction:+.4f}")
    second = Bot(venue, engine, first_id=1_000_000)
    asyncio.run(second.run(120.0))
    print(f"second session: {second.fills} fills, position {engine.position:+.4f}")
    return venue.position, engine.position, first.fills + second.fills


if __name__ == "__main__":
    main()
