"""What became of orders whose answer is lost: looked up by name until each is known or can no longer arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from hypermm._core import OrderStatus
from hypermm.exceptions import AnswerLostError, VenueError, WireError
from hypermm.exchange.hyperliquid.answers import refused
from hypermm.exchange.hyperliquid.decode import own_order
from hypermm.exchange.hyperliquid.rate_limit import NS_PER_S
from hypermm.exchange.orders import OrderOutcome, OutcomeKind, Refusal

if TYPE_CHECKING:
    from hypermm.exchange.hyperliquid.http import HttpClient
    from hypermm.exchange.hyperliquid.wire_info import StatusRow

__all__ = ["LOST_HINT", "Deadline", "find_orders"]

LOST_HINT = "the account's events will tell"
LOOK_AGAIN_S = 0.5
GIVE_UP_AFTER_S = 20.0
_MOST_SIZE_DECIMALS = 8


class Deadline(msgspec.Struct, frozen=True):
    """Until when an order may be carried out.

    Attributes:
        late_ns: By the client's clock, which never goes back, ns.
        expires_ms: What the venue is told and compares with its own clock, ms since 1970.
    """

    late_ns: int
    expires_ms: int


async def find_orders(
    http: HttpClient, account: str, names: Sequence[str], deadline: Deadline, tolerance_ms: int
) -> list[OrderOutcome]:
    """What became of orders by name, asked again until each is known or too late to arrive.

    Args:
        http: Where to ask.
        account: Whose they are.
        names: Their names.
        deadline: Until when they could arrive.
        tolerance_ms: By how much the venue's clock must be past that, ms.

    Raises:
        AnswerLostError: The venue does not say, or its clock does not get there, in time.
    """
    known: dict[str, OrderOutcome] = {}
    problem = "still under way"
    while True:
        try:
            # Asked before the orders are: what is unknown afterwards cannot come any more.
            is_last = await _has_expired(http, deadline, tolerance_ms)
            for name in names:
                if name not in known:
                    told = await http.info("orderStatus", user=account, oid=name)
                    if told.order is not None:
                        known[name] = _outcome_of(told.order)
                    elif is_last:
                        text = "never arrived: no order has its name"
                        known[name] = OrderOutcome(OutcomeKind.REFUSED, refusal=Refusal.EXPIRED, text=text)
        except (VenueError, WireError) as error:
            problem = error.value
        if len(known) == len(set(names)):
            return [known[name] for name in names]
        if http.clock() > deadline.late_ns + round(GIVE_UP_AFTER_S * NS_PER_S):
            text = f"{problem} (looking up {', '.join(name for name in names if name not in known)})"
            raise AnswerLostError(field="orders", value=text, expected="an answer", hint=LOST_HINT)
        await asyncio.sleep(LOOK_AGAIN_S)


async def _has_expired(http: HttpClient, deadline: Deadline, tolerance_ms: int) -> bool:
    """By the venue's own clock: ours may be wrong, or set back, and the venue goes by its own."""
    if http.clock() < deadline.late_ns:
        return False
    try:
        status = await http.info("exchangeStatus")
    except (VenueError, WireError):
        return False
    return bool(status.time > deadline.expires_ms + tolerance_ms)


def _outcome_of(row: StatusRow) -> OrderOutcome:
    """What an order's status says of its placing; what traded is the original size less the remaining one.

    The mean price is not told. Of a reduce-only order that the venue shrank before it filled, the original size says
    too much: the account's fills and position are the truth there.
    """
    order = own_order(row.order, row.status, row.statusTimestamp)
    if order.status is OrderStatus.REJECTED:
        told = refused(order.status_text)
        return msgspec.structs.replace(told, venue_id=order.venue_id)
    filled = max(0.0, round((order.original_size or 0.0) - order.remaining_size, _MOST_SIZE_DECIMALS))
    kind = OutcomeKind.RESTING
    if order.status is OrderStatus.FILLED or (order.status is OrderStatus.CANCELED and filled > 0.0):
        kind = OutcomeKind.FILLED
    elif order.status is OrderStatus.CANCELED:
        kind = OutcomeKind.ACCEPTED
    text = order.status_text if order.status is OrderStatus.CANCELED else ""
    return OrderOutcome(kind, venue_id=order.venue_id, filled_size=filled, text=text)
