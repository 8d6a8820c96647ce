"""What happens, in the words of the engine: one event of a market or of our account, whoever the venue is.

Times called `exchange_time_ns` are the venue's clock; the receiver's clock is handed to `apply` with the engine. Events
are read-only by convention (freezing costs time on the path from frame to engine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from hypermm._core import OrderStatus, QuoteEngine, Side
from hypermm.exceptions import InvalidInputError, WireError

__all__ = [
    "AccountEvent",
    "BestUpdate",
    "BookUpdate",
    "ContextUpdate",
    "EngineEvent",
    "FundingPayment",
    "MarketEvent",
    "OwnFill",
    "OwnOrder",
    "PositionUpdate",
    "QuotaUpdate",
    "ReferenceUpdate",
    "TradesUpdate",
    "apply_frame",
    "next_settlement_ns",
]

HOUR_NS = 3_600_000_000_000


class BookUpdate(Struct, gc=False):
    """A whole book: prices best first, sizes in contracts."""

    coin: str
    exchange_time_ns: int
    bid_prices: list[float]
    bid_sizes: list[float]
    ask_prices: list[float]
    ask_sizes: list[float]

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time."""
        engine.on_book(
            time_ns,
            self.bid_prices,
            self.bid_sizes,
            self.ask_prices,
            self.ask_sizes,
            self.exchange_time_ns,
        )


class BestUpdate(Struct, gc=False):
    """Best bid and offer; None and None is an empty side."""

    coin: str
    exchange_time_ns: int
    bid_price: float | None
    bid_size: float | None
    ask_price: float | None
    ask_size: float | None

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time."""
        engine.on_best(
            time_ns,
            self.bid_price,
            self.bid_size,
            self.ask_price,
            self.ask_size,
            self.exchange_time_ns,
        )


class TradesUpdate(Struct, gc=False):
    """Prints of one coin, oldest first: columns of equal length, none of them seen before.

    Attributes:
        trade_ids: With the exchange time they name the print.
        aggressors: Side of the taker.
        is_history: Prints from before the subscription, sent with its start. They date from a market the engine did
            not watch, so `apply` passes them over.
    """

    coin: str
    exchange_times_ns: list[int]
    prices: list[float]
    sizes: list[float]
    aggressors: list[Side]
    trade_ids: list[int]
    is_history: bool = False

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands them to an engine at the receiver's time, all or none."""
        if self.is_history:
            return
        if len(self.prices) == 1:
            engine.on_trade(
                time_ns,
                self.prices[0],
                self.sizes[0],
                self.aggressors[0],
                exchange_time_ns=self.exchange_times_ns[0],
            )
        else:
            engine.on_trades(
                [time_ns] * len(self.prices),
                self.prices,
                self.sizes,
                self.aggressors,
                exchange_times=self.exchange_times_ns,
            )


def next_settlement_ns(time_ns: int) -> int:
    """Time of the funding settlement to come: the next full hour."""
    return (time_ns // HOUR_NS + 1) * HOUR_NS


class ContextUpdate(Struct, gc=False):
    """What the venue says of a contract; the rate is that of the coming settlement, a fraction an hour."""

    coin: str
    mark_price: float
    oracle_price: float
    funding_rate: float
    open_interest: float
    mid_price: float | None = None
    premium: float | None = None

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time; funding settles on the full hour."""
        engine.on_context(
            time_ns,
            mark_price=self.mark_price,
            oracle_price=self.oracle_price,
            funding_rate=self.funding_rate,
            next_settlement_ns=next_settlement_ns(time_ns),
            open_interest=self.open_interest,
        )


class OwnOrder(Struct):
    """An order of ours as the venue has it.

    Attributes:
        order_id: Our name for it where we gave one, else the venue's number.
        venue_id: The venue's number.
        status: What it is now; UNKNOWN counts as live.
        status_text: The venue's own word.
        price: Limit price.
        remaining_size: What is left of it, contracts; of one that ended, what never filled.
        original_size: What was asked for, contracts; None where not told.
        exchange_time_ns: Since when it is so.
    """

    coin: str
    order_id: str | int
    venue_id: int
    status: OrderStatus
    status_text: str
    side: Side
    price: float
    remaining_size: float
    original_size: float | None
    exchange_time_ns: int

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time."""
        engine.on_order(
            time_ns,
            self.order_id,
            self.status,
            self.side,
            self.price,
            self.remaining_size,
            original_size=self.original_size,
        )


class OwnFill(Struct):
    """A fill of ours.

    Attributes:
        fill_id: Names it; a fill is applied once for each name.
        trade_id: The venue's number of the trade.
        order_id: Our name of the order where we gave one, else the venue's number.
        venue_id: The venue's number of the order.
        position_before: Signed contracts before it, by the venue.
        closed_profit: Realized by it, without fees, in `fee_token`'s dex collateral.
        fee: Paid, negative = rebate, in `fee_token`.
        is_taker: We were the aggressor.
        liquidation: "" none, "ours" when we are liquidated, "theirs" when the other side is, "unknown" which.
    """

    coin: str
    fill_id: str
    trade_id: int
    order_id: str | int
    venue_id: int
    side: Side
    price: float
    size: float
    exchange_time_ns: int
    position_before: float
    closed_profit: float
    fee: float
    fee_token: str
    is_taker: bool
    liquidation: str = ""

    @property
    def signed_size(self) -> float:
        """Contracts, + = bought."""
        return self.size if self.side is Side.BUY else -self.size

    @property
    def position_after(self) -> float:
        """Signed contracts after it, by the venue; floating point, so compare in lots."""
        return self.position_before + self.signed_size

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time."""
        engine.on_fill(
            time_ns,
            self.side,
            self.price,
            self.size,
            order_id=self.order_id,
            fill_id=self.fill_id,
            fee=self.fee,
        )


class FundingPayment(Struct):
    """Funding of ours. The engine forecasts rates from the context, so `apply` does nothing; ledgers book it.

    Attributes:
        received: In the dex's collateral, negative = paid.
        position: Signed contracts it was paid on.
        rate: Fraction an hour.
    """

    coin: str
    exchange_time_ns: int
    received: float
    position: float
    rate: float

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Nothing: no input of the engine."""


class PositionUpdate(Struct):
    """The venue's truth on our position, signed contracts."""

    coin: str
    position: float
    entry_price: float | None
    exchange_time_ns: int

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Replaces the engine's position."""
        engine.on_position(time_ns, self.position, entry_price=self.entry_price)


class QuotaUpdate(Struct):
    """Requests left to our address, and those of the last day."""

    coin: str
    requests_remaining: float
    requests_last_day: float

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time."""
        engine.on_quota(time_ns, self.requests_remaining, self.requests_last_day)


class ReferenceUpdate(Struct, gc=False):
    """A price of another market, for every engine whose calibration names it."""

    market: str
    exchange_time_ns: int
    price: float

    def apply(self, engine: QuoteEngine, time_ns: int) -> None:
        """Hands it to an engine at the receiver's time."""
        engine.on_reference(time_ns, self.market, self.price)


MarketEvent: TypeAlias = BookUpdate | BestUpdate | TradesUpdate | ContextUpdate
AccountEvent: TypeAlias = OwnOrder | OwnFill | FundingPayment | PositionUpdate | QuotaUpdate
EngineEvent: TypeAlias = MarketEvent | AccountEvent


def apply_frame(
    events: Sequence[EngineEvent], engines: Mapping[str, QuoteEngine], time_ns: int, *, channel: str = ""
) -> None:
    """Hands the events of one frame to the engines of their coins, all or none; other coins are passed over.

    Args:
        events: What one frame said.
        engines: Engine by coin.
        time_ns: Receiver's clock.
        channel: Where the frame came from, for the error.

    Raises:
        WireError: An engine refuses an event: off its price grid, out of order, crossed in itself.
        TimeOrderError: `time_ns` is earlier than the last event; the clock is at fault, not the frame.
    """
    try:
        if len(events) == 1:
            event = events[0]
            engine = engines.get(event.coin)
            if engine is not None:
                event.apply(engine, time_ns)
        else:
            _apply_together(events, engines, time_ns)
    except InvalidInputError as error:
        raise WireError(
            channel=channel, field=error.field, value=error.value, expected=error.expected, hint=error.hint
        ) from error


# A function of its own: comprehensions would make cells of the arguments, for every single best bid and offer too.
def _apply_together(events: Sequence[EngineEvent], engines: Mapping[str, QuoteEngine], time_ns: int) -> None:
    """One event may be taken and the next refused: what a frame says is tried on copies first."""
    routed = [event for event in events if event.coin in engines]
    copies = {coin: engines[coin].copy() for coin in {event.coin for event in routed}}
    for event in routed:
        event.apply(copies[event.coin], time_ns)
    for event in routed:
        event.apply(engines[event.coin], time_ns)
