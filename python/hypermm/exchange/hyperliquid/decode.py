"""Frames of the websocket to events, in the words of the engine; nothing comes out of a frame that cannot be read.

    frame (bytes) → `read_frame` → frame of one channel → `events_of` → events

Both steps check: `read_frame` types and ranges, `events_of` what only the meaning tells. What they refuse raises
`WireError` naming channel, field and value. Prints and fills are not told apart from repeated ones here; the session
does that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from hypermm._core import OrderStatus, Side
from hypermm.exceptions import WireError
from hypermm.exchange.events import (
    BestUpdate,
    BookUpdate,
    ContextUpdate,
    EngineEvent,
    FundingPayment,
    OwnFill,
    OwnOrder,
    PositionUpdate,
    TradesUpdate,
)
from hypermm.exchange.hyperliquid import wire

__all__ = [
    "NS_PER_MS",
    "UNREADABLE",
    "best_events",
    "book_events",
    "context_update",
    "decode",
    "events_of",
    "funding_payment",
    "order_status",
    "order_update",
    "own_fill",
    "own_order",
    "position_updates",
    "read_frame",
    "read_unchecked",
    "trades_update",
    "translate",
]

NS_PER_MS = 1_000_000
_SIDES = {"B": Side.BUY, "A": Side.SELL}
_frames = msgspec.json.Decoder(reduce(or_, wire.CHANNELS.values()), strict=False)
read_unchecked: Callable[[bytes | str], Any] = _frames.decode
"""`read_frame` that lets msgspec's own errors (`UNREADABLE`) through, a call cheaper."""
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises at bytes it cannot make sense of."""

# --- reading ----------------------------------------------------------------------------------------------------


def read_frame(frame: bytes | str) -> Any:
    """Reads a frame.

    Returns:
        The frame struct of its channel (`wire.CHANNELS`); the payload is its ``data``.

    Raises:
        WireError: It is no JSON, of an unknown channel, or a field is missing, of the wrong type or out of range.
    """
    try:
        return read_unchecked(frame)
    except UNREADABLE as error:
        raise translate(error, frame) from error


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def translate(error: Exception, payload: bytes | str, channel: str | None = None) -> WireError:
    """What msgspec says of a payload, with the value at fault.

    Args:
        error: The decoder's error.
        payload: What it was reading.
        channel: Where it came from; read from the payload when None.
    """
    try:
        value: Any = msgspec.json.decode(payload)
    except UNREADABLE:
        return WireError(
            channel=channel or "", field="frame", value=_short(payload), expected="JSON", hint=str(error)[:200]
        )
    if channel is None:
        named = value.get("channel") if isinstance(value, dict) else None
        channel = named if isinstance(named, str) else ""
    match = _PLACE.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    try:
        for key, place in _STEP.findall(path):
            value = value[key] if key else value[int(place)]
    except (LookupError, TypeError):
        value = None
    return WireError(
        channel=channel,
        field=path.lstrip(".") or "frame",
        value=_short(value),
        expected=what.removeprefix("Expected ")[:200],
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# --- markets ----------------------------------------------------------------------------------------------------


# On the path of every frame these give lists at once: a call saved is a tenth of what a best bid and offer costs.


def best_events(data: wire.Bbo) -> list[EngineEvent]:
    """Best bid and offer."""
    try:
        bid, ask = data.bbo
    except ValueError:
        bid, ask = [*data.bbo, None, None][:2]
    if bid is not None and ask is not None:
        return [BestUpdate(data.coin, data.time * NS_PER_MS, bid.px, bid.sz, ask.px, ask.sz)]
    empty = (None, None)
    return [
        BestUpdate(
            data.coin,
            data.time * NS_PER_MS,
            *(empty if bid is None else (bid.px, bid.sz)),
            *(empty if ask is None else (ask.px, ask.sz)),
        )
    ]


def book_events(data: wire.L2Book) -> list[EngineEvent]:
    """A whole book."""
    bids, asks = data.levels
    return [
        BookUpdate(
            data.coin,
            data.time * NS_PER_MS,
            [level.px for level in bids],
            [level.sz for level in bids],
            [level.px for level in asks],
            [level.sz for level in asks],
        )
    ]


def trades_update(coin: str, rows: Iterable[wire.WsTrade], *, is_history: bool = False) -> TradesUpdate:
    """Prints of one coin, in the order given."""
    rows = list(rows)
    return TradesUpdate(
        coin,
        [row.time * NS_PER_MS for row in rows],
        [row.px for row in rows],
        [row.sz for row in rows],
        [_SIDES[row.side] for row in rows],
        [row.tid for row in rows],
        is_history,
    )


def context_update(data: wire.ActiveAssetCtx) -> ContextUpdate:
    """Context of a contract."""
    ctx = data.ctx
    return ContextUpdate(data.coin, ctx.markPx, ctx.oraclePx, ctx.funding, ctx.openInterest, ctx.midPx, ctx.premium)


# --- our account ------------------------------------------------------------------------------------------------

_STATUSES = {
    "open": OrderStatus.OPEN,
    "triggered": OrderStatus.OPEN,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "scheduledCancel": OrderStatus.CANCELED,
    "internalCancel": OrderStatus.CANCELED,
    "rejected": OrderStatus.REJECTED,
}


def order_status(text: str) -> OrderStatus:
    """The venue's word for an order's state; every ``…Canceled`` and ``…Rejected`` is final, known or not.

    Any other word is UNKNOWN, which counts as live.
    """
    status = _STATUSES.get(text)
    if status is not None:
        return status
    if text.endswith("Canceled"):
        return OrderStatus.CANCELED
    return OrderStatus.REJECTED if text.endswith("Rejected") else OrderStatus.UNKNOWN


def own_order(order: wire.WsOrder, text: str, since_ms: int) -> OwnOrder:
    """An order of ours with its status word."""
    return OwnOrder(
        order.coin,
        order.oid if order.cloid is None else order.cloid,
        order.oid,
        order_status(text),
        text,
        _SIDES[order.side],
        order.limitPx,
        order.sz,
        order.origSz,
        since_ms * NS_PER_MS,
    )


def order_update(row: wire.OrderUpdate) -> OwnOrder:
    """A row of the order channel, or of an order status answer."""
    return own_order(row.order, row.status, row.statusTimestamp)


def own_fill(fill: wire.Fill, user: str) -> OwnFill:
    """A fill of ours.

    Args:
        fill: The venue's row.
        user: Our address, "" when not known; a liquidation stands on both legs and names the liquidated.
    """
    liquidation = "" if fill.liquidation is None else "unknown"
    if fill.liquidation is not None and user:
        liquidated = fill.liquidation.liquidatedUser
        liquidation = "ours" if liquidated is not None and liquidated.lower() == user.lower() else "theirs"
    return OwnFill(
        fill.coin,
        f"{fill.time}:{fill.tid}",
        fill.tid,
        fill.oid if fill.cloid is None else fill.cloid,
        fill.oid,
        _SIDES[fill.side],
        fill.px,
        fill.sz,
        fill.time * NS_PER_MS,
        fill.startPosition,
        fill.closedPnl,
        fill.fee,
        fill.feeToken,
        fill.crossed,
        liquidation,
    )


def funding_payment(row: wire.Funding) -> FundingPayment:
    """A funding payment of ours."""
    return FundingPayment(row.coin, row.time * NS_PER_MS, row.usdc, row.szi, row.fundingRate)


def position_updates(state: wire.ClearinghouseState, coins: Iterable[str]) -> list[PositionUpdate]:
    """Our position in each of `coins`; one the account does not list is flat."""
    held = {row.position.coin: row.position for row in state.assetPositions}
    updates = []
    for coin in coins:
        position = held.get(coin)
        if position is None or position.szi == 0.0:
            updates.append(PositionUpdate(coin, 0.0, None, state.time * NS_PER_MS))
        else:
            updates.append(PositionUpdate(coin, position.szi, position.entryPx, state.time * NS_PER_MS))
    return updates


# --- dispatch ---------------------------------------------------------------------------------------------------


def _trades(rows: list[wire.WsTrade]) -> list[EngineEvent]:
    by_coin: dict[str, list[wire.WsTrade]] = {}
    for row in rows:
        by_coin.setdefault(row.coin, []).append(row)
    return [trades_update(coin, rows) for coin, rows in by_coin.items()]


def _nothing(_: Any) -> list[EngineEvent]:
    return []


_EVENTS: dict[type[msgspec.Struct], Callable[[Any], list[EngineEvent]]] = dict.fromkeys(
    wire.CHANNELS.values(), _nothing
) | {
    wire.CHANNELS["bbo"]: best_events,
    wire.CHANNELS["l2Book"]: book_events,
    wire.CHANNELS["trades"]: _trades,
    wire.CHANNELS["activeAssetCtx"]: lambda data: [context_update(data)],
    wire.CHANNELS["orderUpdates"]: lambda data: [order_update(row) for row in data],
    wire.CHANNELS["userFills"]: lambda data: [own_fill(fill, data.user) for fill in data.fills],
    wire.CHANNELS["userFundings"]: lambda data: [funding_payment(row) for row in data.fundings],
    wire.CHANNELS["user"]: lambda data: [
        *(own_fill(fill, "") for fill in data.fills or ()),
        *([] if data.funding is None else [funding_payment(data.funding)]),
    ],
}


def events_of(frame: Any) -> list[EngineEvent]:
    """What a frame of `read_frame` says to an engine; empty for channels that say nothing to one."""
    return _EVENTS[type(frame)](frame.data)


def decode(frame: bytes | str) -> list[EngineEvent]:
    """`read_frame` and `events_of` in one.

    Raises:
        WireError: As `read_frame`.
    """
    try:
        read = read_unchecked(frame)
    except UNREADABLE as error:
        raise translate(error, frame) from error
    return _EVENTS[type(read)](read.data)
