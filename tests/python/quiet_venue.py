"""The loopback exchange's venue over books nobody moves, and requests to it: for tests of its binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm import Instrument, Side
from hypermm._core import (
    LoopbackCoin,
    LoopbackVenue,
    VenueAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

START_NS = 1_763_740_000_000_000_000
S = 1_000_000_000
ETH = Instrument("ETH", 4, 25)
DEX = Instrument("hyna:HYPE", 2, 10)


def still(price: float, instrument: Instrument, size: float = 50.0) -> dict[str, Any]:
    """A recording of one book: ten levels a side, one increment apart, around `price`."""
    step = instrument.price_increment_at(price)
    away = step * np.arange(10, dtype=float)
    sizes = np.full((1, 10), size)
    return {
        "book_time_ns": np.array([1]),
        "book_exchange_time_ns": np.array([1]),
        "bid_prices": (price - away)[None, :],
        "bid_sizes": sizes,
        "ask_prices": (price + step + away)[None, :],
        "ask_sizes": sizes,
    }


def quiet_venue(**given: Any) -> LoopbackVenue:
    """ETH and a builder's HYPE whose books nobody moves."""
    coins = [
        LoopbackCoin(ETH, 1, recording=still(4000.0, ETH)),
        LoopbackCoin(
            DEX,
            140_002,
            recording=still(30.0, DEX, 500.0),
            dex="hyna",
            deployer_fee_scale=1.0,
            margin_mode="strict_isolated",
        ),
    ]
    return LoopbackVenue(coins, start_ns=given.pop("start_ns", START_NS), **given)


def order(
    side: Side, price: str, size: str, time_in_force: str = "post_only", *, coin: str = "ETH", name: str | None = None
) -> Any:
    return (coin, side, price, size, time_in_force, False, name)


def fields(thing: object) -> dict[str, Any]:
    """Every attribute, results of answers too."""
    told = {name: getattr(thing, name) for name in dir(thing) if not name.startswith("_")}
    if "results" in told:
        told["results"] = [fields(result) for result in told["results"]]
    return told


def answers(events: Iterable[object]) -> list[VenueAnswer]:
    return [event for event in events if isinstance(event, VenueAnswer)]


def ask(venue: LoopbackVenue, request: int, within_ns: int = S) -> tuple[VenueAnswer, list[Any]]:
    """The answer to a request sent just now, with everything that happened until a while after it."""
    events = venue.advance(venue.next_block_ns + within_ns)
    (answer,) = [answer for answer in answers(events) if answer.request_id == request]
    return answer, events


def now(venue: LoopbackVenue) -> int:
    return venue.next_block_ns
