"""Frames become events of the engine, whole or not at all, and never an exception but the one for it."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermm import Instrument, OrderStatus, QuoteEngine, Side, TimeOrderError
from hypermm.exceptions import WireError
from hypermm.exchange.events import BestUpdate, BookUpdate, OwnFill, apply_frame
from hypermm.exchange.hyperliquid import wire
from hypermm.exchange.hyperliquid.answers import classify, read_info, read_outcomes, unwrap_post
from hypermm.exchange.hyperliquid.decode import (
    decode,
    order_status,
    order_update,
    own_fill,
    position_updates,
    read_frame,
)
from hypermm.exchange.orders import OutcomeKind, Refusal

NOW = 1_788_490_065_000_000_000
COIN = "ETH"


def engine() -> QuoteEngine:
    return QuoteEngine(Instrument(COIN, 4, 25))


def frame(channel: str, data: Any) -> str:
    return json.dumps({"channel": channel, "data": data})


def level(price: float, size: float = 1.0) -> dict[str, Any]:
    return {"px": f"{price:.1f}", "sz": f"{size:.4f}", "n": 2}


def book(bids: list[float], asks: list[float]) -> str:
    levels = [[level(price) for price in side] for side in (bids, asks)]
    return frame("l2Book", {"coin": COIN, "time": 1788490065008, "levels": levels, "fast": True})


def trade(price: str = "3000.1", side: str = "B", tid: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"coin": COIN, "side": side, "px": price, "sz": "0.5", "time": 1788490065008, "tid": tid, "hash": "0x00"}
    return row | changes


def order(status: str, oid: int = 7, price: str = "2999.9", size: str = "1.0", **changes: Any) -> dict[str, Any]:
    row = {"coin": COIN, "side": "B", "limitPx": price, "sz": size, "oid": oid, "timestamp": 1, "origSz": "1.0"}
    return {"order": row | changes, "status": status, "statusTimestamp": 1788490065008}


def fill(tid: int = 1, **changes: Any) -> dict[str, Any]:
    row = {
        "coin": COIN, "px": "2999.9", "sz": "0.25", "side": "A", "time": 1788490065008, "startPosition": "1.5",
        "dir": "Close Long", "closedPnl": "-1.25", "hash": "0x00", "oid": 7, "crossed": False, "fee": "-0.012",
        "tid": tid, "feeToken": "USDC", "twapId": None,
    }  # fmt: skip
    return row | changes


def events(text: str | bytes) -> list[Any]:
    return decode(text)


# --- what comes out ---------------------------------------------------------------------------------------------


def test_best_bid_and_offer_reach_the_engine_with_times_in_nanoseconds() -> None:
    (event,) = events(frame("bbo", {"coin": COIN, "time": 1788490065008, "bbo": [level(2999.9, 2.5), level(3000.1)]}))
    assert event == BestUpdate(COIN, 1788490065008000000, 2999.9, 2.5, 3000.1, 1.0)
    target = engine()
    apply_frame([event], {COIN: target}, NOW)
    assert target.mid_price == pytest.approx(3000.0)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([None, None], (None, None, None, None)),
        ([level(2999.9), None], (2999.9, 1.0, None, None)),
        ([None, level(3000.1)], (None, None, 3000.1, 1.0)),
        ([level(2999.9)], (2999.9, 1.0, None, None)),
        ([], (None, None, None, None)),
    ],
)
def test_empty_sides_of_the_best_quotes_stay_empty(sides: list[Any], expected: tuple[float | None, ...]) -> None:
    # Kills: bid and ask swapped where one is missing.
    (event,) = events(frame("bbo", {"coin": COIN, "time": 1, "bbo": sides}))
    assert (event.bid_price, event.bid_size, event.ask_price, event.ask_size) == expected


def test_books_reach_the_engine_side_by_side() -> None:
    (event,) = events(book([2999.9, 2999.8], [3000.1, 3000.4]))
    assert isinstance(event, BookUpdate)
    assert (event.bid_prices, event.ask_prices) == ([2999.9, 2999.8], [3000.1, 3000.4])
    target, by_hand = engine(), engine()
    apply_frame([event], {COIN: target}, NOW)
    levels = ([2999.9, 2999.8], [1.0, 1.0], [3000.1, 3000.4], [1.0, 1.0])
    by_hand.on_book(NOW, *levels, exchange_time_ns=event.exchange_time_ns)
    assert target.snapshot() == by_hand.snapshot()


def test_prints_reach_the_engine_with_the_aggressor_and_the_venues_time() -> None:
    rows = [trade("3000.1", "B", 1), trade("3000.2", "B", 2), trade("2999.9", "A", 3, time=1788490065070)]
    (event,) = events(frame("trades", rows))
    assert event.aggressors == [Side.BUY, Side.BUY, Side.SELL]
    assert event.trade_ids == [1, 2, 3]
    many, one_by_one = engine(), engine()
    apply_frame([event], {COIN: many}, NOW)
    for row, side in zip(rows, event.aggressors, strict=True):
        exchange_time_ns = row["time"] * 1_000_000
        one_by_one.on_trade(NOW, float(row["px"]), 0.5, side, exchange_time_ns=exchange_time_ns)
    assert many.snapshot() == one_by_one.snapshot() != engine().snapshot()
    (single,) = events(frame("trades", rows[:1]))
    apply_frame([single], {COIN: (alone := engine())}, NOW)
    assert alone.estimates() != engine().estimates()


def test_prints_from_before_the_subscription_do_not_teach_the_engine() -> None:
    (event,) = events(frame("trades", [trade()]))
    event.is_history = True
    target = engine()
    apply_frame([event], {COIN: target}, NOW)
    assert target.snapshot() == engine().snapshot()


def test_a_frame_of_two_coins_gives_each_its_prints() -> None:
    made = events(frame("trades", [trade(), trade(coin="BTC"), trade(tid=2)]))
    assert [(event.coin, len(event.prices)) for event in made] == [(COIN, 2), ("BTC", 1)]


def test_context_funding_is_the_hourly_rate_and_settles_on_the_hour() -> None:
    ctx = {
        "funding": "-0.0000125", "openInterest": "1000.5", "prevDayPx": "2900.0", "dayNtlVlm": "1.0", "premium": None,
        "oraclePx": "3000.25", "markPx": "3000.5", "midPx": None, "impactPxs": None,
    }  # fmt: skip
    (event,) = events(frame("activeAssetCtx", {"coin": COIN, "ctx": ctx}))
    assert (event.mark_price, event.oracle_price, event.funding_rate) == (3000.5, 3000.25, -0.0000125)
    target, by_hand = engine(), engine()
    apply_frame([event], {COIN: target}, NOW)
    settlement = (NOW // 10**9 // 3600 + 1) * 3600 * 10**9
    by_hand.on_context(NOW, 3000.5, 3000.25, -0.0000125, None, settlement, 1000.5)
    assert target.snapshot() == by_hand.snapshot()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("open", OrderStatus.OPEN), ("filled", OrderStatus.FILLED), ("canceled", OrderStatus.CANCELED),
        ("triggered", OrderStatus.OPEN), ("rejected", OrderStatus.REJECTED),
        ("marginCanceled", OrderStatus.CANCELED), ("selfTradeCanceled", OrderStatus.CANCELED),
        ("scheduledCancel", OrderStatus.CANCELED), ("internalCancel", OrderStatus.CANCELED),
        ("badAloPxRejected", OrderStatus.REJECTED), ("perpMarginRejected", OrderStatus.REJECTED),
        ("somethingNewCanceled", OrderStatus.CANCELED), ("somethingNewRejected", OrderStatus.REJECTED),
        ("somethingNew", OrderStatus.UNKNOWN), ("Canceled?", OrderStatus.UNKNOWN),
    ],
)  # fmt: skip
def test_every_order_status_is_final_or_live_never_a_guess(text: str, status: OrderStatus) -> None:
    assert order_status(text) is status


def test_orders_bear_our_name_where_we_gave_one() -> None:
    named = "0x" + "ab" * 16
    ours, theirs = events(frame("orderUpdates", [order("open", 7, cloid=named), order("canceled", 8, side="A")]))
    assert (ours.order_id, ours.venue_id, ours.status, ours.side) == (named, 7, OrderStatus.OPEN, Side.BUY)
    assert (theirs.order_id, theirs.venue_id, theirs.status, theirs.side) == (8, 8, OrderStatus.CANCELED, Side.SELL)
    target = engine()
    apply_frame([ours], {COIN: target}, NOW)
    assert [(o.order_id, o.price, o.remaining_size) for o in target.open_orders] == [(named, 2999.9, 1.0)]


def test_an_immediate_fill_says_open_then_filled_and_leaves_nothing_open() -> None:
    target = engine()
    apply_frame(events(frame("orderUpdates", [order("open", 9), order("filled", 9, size="0.0")])), {COIN: target}, NOW)
    assert target.open_orders == []


def test_fills_are_signed_facts_and_move_the_engines_position_once() -> None:
    made = events(
        frame("userFills", {"user": "0xaa", "fills": [fill(), fill(), fill(2, side="B")], "isSnapshot": True})
    )
    first = made[0]
    assert isinstance(first, OwnFill)
    assert (first.signed_size, first.position_before, first.position_after) == (-0.25, 1.5, 1.25)
    assert (first.closed_profit, first.fee, first.fee_token, first.is_taker) == (-1.25, -0.012, "USDC", False)
    assert first.exchange_time_ns == 1788490065008000000
    target = engine()
    apply_frame(made[:2], {COIN: target}, NOW)
    assert target.position == -0.25


def test_a_liquidation_is_ours_only_where_it_names_us() -> None:
    # The key stands on both legs: kills "a liquidation key means we were liquidated".
    mark = {"markPx": "3000.0", "method": "market"}
    for liquidated, expected in (("0xAA", "ours"), ("0xbb", "theirs"), (None, "theirs")):
        (row,) = read_info("userFills", json.dumps([fill(liquidation=mark | {"liquidatedUser": liquidated})]))
        assert own_fill(row, "0xaa").liquidation == expected
    assert own_fill(row, "").liquidation == "unknown"
    (plain,) = read_info("userFills", json.dumps([fill()]))
    assert own_fill(plain, "0xaa").liquidation == ""


def test_funding_is_negative_when_paid() -> None:
    row = {"time": 1788490065008, "coin": COIN, "usdc": "-2.5", "szi": "3.0", "fundingRate": "0.0000125"}
    for made in (
        events(frame("userFundings", {"user": "0xaa", "fundings": [row]})),
        events(frame("user", {"funding": row})),
    ):
        assert [(e.received, e.position, e.rate) for e in made] == [(-2.5, 3.0, 0.0000125)]


def test_positions_the_account_does_not_list_are_flat() -> None:
    summary = {"accountValue": "1.0", "totalNtlPos": "1.0", "totalRawUsd": "1.0", "totalMarginUsed": "1.0"}
    held = {"coin": COIN, "szi": "-1.5", "leverage": {"type": "cross", "value": 5}, "entryPx": "3000.5"}
    state = read_info(
        "clearinghouseState",
        json.dumps({
            "crossMarginSummary": summary, "withdrawable": "0.0", "time": 1788490065008,
            "assetPositions": [{"type": "oneWay", "position": held}],
        }),
    )  # fmt: skip
    made = position_updates(state, [COIN, "BTC"])
    assert [(e.coin, e.position, e.entry_price) for e in made] == [(COIN, -1.5, 3000.5), ("BTC", 0.0, None)]


# --- all or nothing ---------------------------------------------------------------------------------------------

REFUSED = {
    "book off the grid": book([2999.9, 2999.85], [3000.1]).replace("2999.9", "2999.95").replace("2999.8", "2999.87"),
    "book crossed in itself": book([3000.2], [3000.1]),
    "book not in order": book([2999.8, 2999.9], [3000.1]),
    "second print off the grid": frame("trades", [trade(), trade("3000.123", tid=2)]),
    "second print without a size": frame("trades", [trade(), trade(tid=2, sz="0.0")]),
    "second order off the grid": frame("orderUpdates", [order("open", 1), order("open", 2, price="2999.95123")]),
    "second order of a size below a lot": frame("orderUpdates", [order("open", 1), order("open", 2, size="0.00001")]),
    "second fill off the grid": frame("userFills", {"user": "0xaa", "fills": [fill(1), fill(2, px="2999.95123")]}),
    "second fill without a price": frame("userFills", {"user": "0xaa", "fills": [fill(1), fill(2, px="0.0")]}),
}


def seasoned() -> QuoteEngine:
    """An engine that has seen something of every kind."""
    target = engine()
    target.on_book(NOW - 10, [2999.9], [1.0], [3000.1], [1.0])
    target.on_trade(NOW - 9, 3000.1, 0.5, Side.BUY)
    target.on_order(NOW - 8, 3, OrderStatus.OPEN, Side.SELL, 3001.0, 1.0)
    return target


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_nothing_is_applied_from_a_refused_frame(name: str) -> None:
    # Kills: events applied one by one until one is refused.
    target = seasoned()
    before = target.snapshot()
    with pytest.raises(WireError) as refused:
        apply_frame(events(REFUSED[name]), {COIN: target}, NOW, channel="here")
    assert target.snapshot() == before
    assert refused.value.field
    assert refused.value.value
    assert refused.value.channel


def test_nothing_is_applied_to_one_engine_when_another_refuses() -> None:
    mixed = [order("open", 1, coin="BTC", price="60000.0"), order("open", 2, price="2999.95123")]
    bitcoin = QuoteEngine(Instrument("BTC", 5, 40))
    with pytest.raises(WireError):
        apply_frame(events(frame("orderUpdates", mixed)), {COIN: seasoned(), "BTC": bitcoin}, NOW)
    assert bitcoin.open_orders == []


def test_a_clock_that_went_back_is_no_fault_of_the_frame() -> None:
    target = seasoned()
    before = target.snapshot()
    for text in (book([2999.9], [3000.1]), frame("orderUpdates", [order("open", 1), order("open", 2)])):
        with pytest.raises(TimeOrderError):
            apply_frame(events(text), {COIN: target}, NOW - 1000)
    assert target.snapshot() == before


# --- fuzz -------------------------------------------------------------------------------------------------------

BODIES: list[Any] = [
    json.loads(book([2999.9, 2999.8], [3000.1, 3000.2])),
    json.loads(frame("bbo", {"coin": COIN, "time": 1788490065008, "bbo": [level(2999.9), level(3000.1)]})),
    json.loads(frame("trades", [trade(), trade("2999.9", "A", 2)])),
    json.loads(frame("orderUpdates", [order("open"), order("badAloPxRejected", 8)])),
    json.loads(frame("userFills", {"user": "0xaa", "fills": [fill(), fill(2)]})),
    json.loads(frame("user", {"fills": [fill()]})),
    json.loads(frame("post", {"id": 1, "response": {"type": "action", "payload": {"status": "err", "response": "x"}}})),
    json.loads(frame("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "bbo", "coin": COIN}})),
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(["", "0.0", "-1", "nan", "1e309", "2999.95", "0.00001", "ETH", "B", "open", "\ud800", "9" * 400]),
    st.text(max_size=8),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["px", "sz", "coin", "x"]), st.integers(), max_size=2),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a payload."""
    inner = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    return [(*path, key) for key, _ in inner] + [deep for key, value in inner for deep in places(value, (*path, key))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A frame with values replaced, keys dropped, bytes overwritten or its end cut off."""
    body = json.loads(json.dumps(draw(st.sampled_from(BODIES))))
    for _ in range(draw(st.integers(0, 3))):
        paths = places(body)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        node = body
        for key in way:
            node = node[key]
        if draw(st.booleans()):
            node[last] = draw(JUNK)
        elif isinstance(node, dict):
            del node[last]
        else:
            node.insert(last, draw(JUNK))
    data = json.dumps(body).encode()
    if draw(st.integers(0, 4)) == 0:
        cut = draw(st.integers(0, len(data)))
        data = data[:cut] + draw(st.binary(max_size=4)) + data[cut + draw(st.integers(0, 6)) :]
    return data


def applied_or_refused(data: bytes | str) -> None:
    """A value or a typed error; refused frames leave the engine as it was."""
    target = seasoned()
    before = target.snapshot()
    error: WireError | None = None
    try:
        made = events(data)
        for event in made:
            numbers = [getattr(event, name) for name in event.__struct_fields__]
            assert all(math.isfinite(number) for number in numbers if isinstance(number, float))
        apply_frame(made, {COIN: target}, NOW)
    except WireError as refusal:
        error = refusal
    if error is not None:
        assert error.field
        assert target.snapshot() == before
    assert target.quote(NOW).status is not None


@settings(max_examples=800, deadline=None)
@given(mutated())
def test_mutated_frames_give_events_or_the_typed_error(data: bytes) -> None:
    # Kills: any exception of the decoder, of Python or of the engine that is let through.
    applied_or_refused(data)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_random_bytes_and_text_give_the_typed_error(data: bytes | str) -> None:
    applied_or_refused(data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(wire.CHANNELS)), st.recursive(JUNK, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)
def test_every_channel_with_any_payload_gives_events_or_the_typed_error(channel: str, data: Any) -> None:
    applied_or_refused(json.dumps({"channel": channel, "data": data}))


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["meta", "clearinghouseState", "userFillsByTime", "frontendOpenOrders", "orderStatus", "perpDexs"]),
    st.one_of(st.binary(max_size=60), mutated(), st.recursive(JUNK, lambda i: st.lists(i, max_size=3)).map(json.dumps)),
    st.integers(1, 3),
)
def test_answers_of_any_content_give_a_value_or_the_typed_error(kind: str, data: Any, items: int) -> None:
    for read in (lambda: read_info(kind, data), lambda: read_outcomes(data, items)):
        with contextlib.suppress(WireError):
            read()


def test_captured_frames_reach_an_engine_or_are_refused_whole(real_frames: Path) -> None:
    count = 0
    for path in sorted(real_frames.rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            applied_or_refused(line)
            count += 1
    assert count > 20


# --- answers ----------------------------------------------------------------------------------------------------


def answer(statuses: list[Any], kind: str = "order") -> str:
    return json.dumps({"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}})


def test_each_item_of_a_batch_has_its_outcome() -> None:
    resting, filled, refused = read_outcomes(
        answer([
            {"resting": {"oid": 77738308, "cloid": "0x01"}},
            {"filled": {"totalSz": "0.02", "avgPx": "1891.4", "oid": 77747314}},
            {"error": "Post only order would have immediately matched, bbo was 50001@50002. asset=4"},
        ]),
        3,
    )  # fmt: skip
    assert (resting.kind, resting.venue_id) == (OutcomeKind.RESTING, 77738308)
    assert (filled.kind, filled.filled_size, filled.average_price) == (OutcomeKind.FILLED, 0.02, 1891.4)
    assert (refused.kind, refused.refusal) == (OutcomeKind.REFUSED, Refusal.WOULD_CROSS)
    assert "50001@50002" in refused.text
    canceled = read_outcomes(answer(["success", {"error": "Order was never placed, already canceled, or filled."}]), 2)
    assert [(o.kind, o.refusal) for o in canceled] == [
        (OutcomeKind.ACCEPTED, None),
        (OutcomeKind.REFUSED, Refusal.ORDER_GONE),
    ]


def test_one_refusal_of_the_whole_batch_is_that_of_each_item() -> None:
    for text in (
        answer([{"error": "Order has invalid size."}]),
        '{"status":"err","response":"Order has invalid size."}',
    ):
        outcomes = read_outcomes(text, 3)
        assert [outcome.refusal for outcome in outcomes] == [Refusal.BAD_SIZE] * 3


def test_an_answer_for_another_number_of_items_is_refused() -> None:
    # One success for two orders: what became of the second is unknown, and must not look like success.
    with pytest.raises(WireError, match="statuses"):
        read_outcomes(answer([{"resting": {"oid": 1}}]), 2)
    with pytest.raises(WireError, match="statuses"):
        read_outcomes(answer([{}]), 1)


def test_actions_without_items_are_accepted() -> None:
    (outcome,) = read_outcomes('{"status":"ok","response":{"type":"default"}}', 1)
    assert outcome.kind is OutcomeKind.ACCEPTED


@pytest.mark.parametrize(
    ("text", "refusal", "hint"),
    [
        ("User or API Wallet 0x12 does not exist.", Refusal.SIGNER, "wrong network"),
        ("L1 error: User or API Wallet 0x12 does not exist.", Refusal.SIGNER, "wrong key"),
        ("Must deposit before performing actions. User: 0x12", Refusal.UNFUNDED, "deposit"),
        ("Invalid nonce: nonce too low 1 < 2", Refusal.NONCE, "clock"),
        ("Action already expired", Refusal.EXPIRED, "clock"),
        ("Too many cumulative requests sent (2 > 1) for cumulative volume traded $1.", Refusal.RATE_LIMIT, "10 s"),
        ("Signed action over weight limit of 200.", Refusal.BATCH_TOO_LARGE, "nothing"),
        ("Insufficient margin to place order. asset=4", Refusal.MARGIN, ""),
        ("Something never heard of", Refusal.OTHER, ""),
    ],
)
def test_refusals_are_told_apart_and_say_what_to_do(text: str, refusal: Refusal, hint: str) -> None:
    found, said = classify(text)
    assert found is refusal
    assert hint in said


def test_post_answers_must_be_of_the_kind_asked_for() -> None:
    frame_ = read_frame(
        frame("post", {"id": 3, "response": {"type": "info", "payload": {"type": "openOrders", "data": []}}})
    )
    assert bytes(unwrap_post("openOrders", frame_.data.response.payload)) == b"[]"
    with pytest.raises(WireError, match="openOrders"):
        unwrap_post("meta", frame_.data.response.payload)


def test_orders_of_status_answers_are_read_like_updates() -> None:
    row = {"order": order("open")["order"], "status": "filled", "statusTimestamp": 5}
    read = read_info("orderStatus", json.dumps({"status": "order", "order": row}))
    assert isinstance(read.order.order, wire.WsOrder)
    assert order_update(read.order).status is OrderStatus.FILLED
    assert order_update(read.order).exchange_time_ns == 5_000_000
