"""The account's truth from two ways that overtake one another: laws of orders, fills and positions, one at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermm import OrderStatus
from hypermm.exceptions import InvalidInputError, WireError
from hypermm.exchange.events import FundingPayment, OwnFill, OwnOrder, TradesUpdate
from hypermm.exchange.hyperliquid.account import Account
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.assets import Asset
from hypermm.exchange.hyperliquid.decode import read_frame
from hypermm.exchange.hyperliquid.memory import SeenIds
from hypermm.exchange.hyperliquid.notices import ActionLost, ClockOffset, Disconnected, FillGap, RequestFailed, TapeGap
from hypermm.exchange.hyperliquid.rate_limit import SocketCounts, SocketLimits
from hypermm.exchange.hyperliquid.reconciliation import Reconciliation
from hypermm.exchange.hyperliquid.session import Phase
from session_rig import Rig, ready_rig
from venue_double import COIN, LOT, START_MS, USER

ETH = Asset(coin=COIN, asset_id=1, dex="", size_decimals=4, max_leverage=25)


def account() -> Account:
    return Account(USER, {COIN: ETH})


def fill(time: int, before: str, size: str = "1.0", side: str = "B", tid: int | None = None, **changes: Any) -> Any:
    row = {
        "coin": COIN, "px": "3000.0", "sz": size, "side": side, "time": time, "startPosition": before, "dir": "",
        "closedPnl": "0.0", "oid": 1, "crossed": False, "fee": "0.0", "tid": time if tid is None else tid,
    }  # fmt: skip
    (read,) = read_info("userFills", json.dumps([row | changes]))
    return read


def order(status: str, time: int, oid: int = 7, size: str = "1.0", coin: str = COIN) -> Any:
    row = {"coin": coin, "side": "B", "limitPx": "3000.0", "sz": size, "oid": oid, "timestamp": 1, "origSz": "1.0"}
    update = {"order": row, "status": status, "statusTimestamp": time}
    return read_frame(json.dumps({"channel": "orderUpdates", "data": [update]})).data


def state(szi: str, time: int) -> Any:
    summary = {"accountValue": "1.0", "totalNtlPos": "1.0", "totalRawUsd": "1.0", "totalMarginUsed": "1.0"}
    held = {"coin": COIN, "szi": szi, "leverage": {"type": "cross", "value": 5}, "entryPx": "2999.5"}
    body = {
        "crossMarginSummary": summary, "withdrawable": "1.0", "time": time,
        "assetPositions": [{"type": "oneWay", "position": held}],
    }  # fmt: skip
    return read_info("clearinghouseState", json.dumps(body))


def reconcile(target: Account, stated: Any, fills: list[Any] | None = None, orders: str = "[]") -> Reconciliation:
    """All answers of the first round."""
    work = Reconciliation(target)
    for query in work.start():
        values = {
            "userFillsByTime": fills or [],
            "frontendOpenOrders": read_info("frontendOpenOrders", orders),
            "clearinghouseState": stated,
        }
        work.answer(query, values[query.kind])
    return work


# --- orders -----------------------------------------------------------------------------------------------------


def test_repeated_and_older_words_on_an_order_are_not_passed_on() -> None:
    # Kills: a repeated "open" that restores the size a fill has taken; a late word that undoes a newer one.
    target = account()
    assert len(target.on_order_rows(order("open", 10))) == 1
    assert target.on_order_rows(order("open", 10)) == []
    assert target.on_order_rows(order("open", 9, size="0.5")) == []
    (shrunk,) = target.on_order_rows(order("open", 11, size="0.5"))
    assert isinstance(shrunk, OwnOrder)
    assert shrunk.remaining_size == 0.5
    assert len(target.on_order_rows(order("canceled", 11, size="0.5"))) == 1
    assert target.on_order_rows(order("open", 12)) == []
    assert target.open_orders == {}


def test_orders_of_coins_we_do_not_trade_are_passed_over() -> None:
    assert account().on_order_rows(order("open", 10, coin="BTC")) == []


def test_a_size_the_venue_shrank_meanwhile_is_taken_over() -> None:
    # A reduce-only order shrinks with the position, without a fill of its own.
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    rig.drop()
    next(iter(rig.venue.orders.values()))["sz"] = "0.25"
    rig.pass_time(1_000)
    rig.run(1_000)
    assert [o.remaining_size for o in rig.engine.open_orders] == [0.25]


def test_a_list_older_than_an_orders_death_does_not_bring_it_back() -> None:
    target = account()
    target.on_order_rows(order("open", 10))
    target.on_order_rows(order("canceled", 12))
    listed = json.dumps([{
        "coin": COIN, "side": "B", "limitPx": "3000.0", "sz": "1.0", "oid": 7, "timestamp": 10, "origSz": "1.0",
    }])  # fmt: skip
    work = reconcile(target, state("0.0", 11), orders=listed)
    assert work.done
    assert target.open_orders == {}


# --- fills and positions ----------------------------------------------------------------------------------------


@given(st.permutations(range(5)), st.lists(st.integers(1, 9), min_size=5, max_size=5))
def test_fills_of_one_time_lead_to_the_same_position_in_any_order(places: list[int], sizes: list[int]) -> None:
    # Kills: the position after the last one to arrive.
    target, before, fills = account(), 0, []
    for tid, size in enumerate(sizes):
        fills.append(fill(100, str(before / LOT), str(size / LOT), tid=tid))
        before += size
    for place in places:
        target.on_fills([fills[place]], is_snapshot=False)
    assert target.position_by_fills(COIN) == (100, before)


def test_a_fill_that_does_not_start_where_the_last_ended_is_a_gap_and_asked_for_from_before_it() -> None:
    target = account()
    target.on_fills([fill(100_000, "0.0"), fill(200_000, "1.0")], is_snapshot=False)
    assert target.gaps == []
    target.on_fills([fill(300_000, "5.0")], is_snapshot=False)
    assert target.gaps == [FillGap(COIN, 2.0, 5.0)]
    assert target.fills_from_ms() <= 200_000


def test_floating_point_noise_of_a_position_is_no_gap() -> None:
    target = account()
    target.on_fills([fill(1, "-3695042.8999999999"), fill(2, "-3695041.9")], is_snapshot=False)
    assert target.gaps == []


def test_fills_are_told_once_however_they_come_and_others_never() -> None:
    target = account()
    target.settled(0)
    first = fill(100, "0.0")
    assert len(target.on_fills([first, first], is_snapshot=False)) == 1
    assert target.on_fills([first], is_snapshot=True) == []
    assert target.on_fills([fill(101, "1.0", coin="BTC")], is_snapshot=False) == []
    same_number = fill(101, "1.0", tid=100)
    assert len(target.on_fills([same_number], is_snapshot=False)) == 1, "a number alone does not name a fill"


def test_a_fill_without_a_price_is_refused_with_all_of_its_frame() -> None:
    target = account()
    with pytest.raises(WireError) as refused:
        target.on_fills([fill(1, "0.0"), fill(2, "1.0", px="0.0")], is_snapshot=False)
    assert refused.value.field == "fills[1].px"
    assert target.position_by_fills(COIN) == (-1, None)
    assert len(target.on_fills([fill(1, "0.0")], is_snapshot=False)) == 1


@pytest.mark.parametrize(("stated_ms", "position"), [(150, 2.0), (200, 2.0)])
def test_a_statement_not_newer_than_the_latest_fill_gives_way_at_once(stated_ms: int, position: float) -> None:
    target = account()
    target.on_fills([fill(100, "0.0"), fill(200, "1.0")], is_snapshot=False)
    work = reconcile(target, state("1.0", stated_ms))
    assert work.done
    assert work.attempts == 0
    assert target.position_by_fills(COIN)[1] == position * LOT


def test_a_newer_statement_that_contradicts_the_fills_is_asked_for_again_before_it_is_taken() -> None:
    target = account()
    target.on_fills([fill(100, "0.0")], is_snapshot=False)
    work = Reconciliation(target)
    asked, rounds = work.start(), 0
    while asked:
        rounds += 1
        following: list[Any] = []
        for query in asked:
            empty: list[Any] = []
            value = state("7.0", 300) if query.kind == "clearinghouseState" else empty
            events, more = work.answer(query, value)
            following += more
        asked = following
    assert rounds > 2
    assert work.done
    assert [(m.position_by_fills, m.stated_position) for m in work.mismatches] == [(1.0, 7.0)]
    assert [event.position for event in events] == [7.0]
    assert target.position_by_fills(COIN)[1] == 7 * LOT


def test_a_gap_while_the_account_is_being_read_starts_the_reading_anew() -> None:
    # Kills: answers given before the gap taken for the truth after it; the fill would never be told.
    rig = ready_rig()
    for _ in range(3):
        rig.venue.place()
    rig.venue.fill()
    rig.run(200)
    rig.session.reconcile(rig.now)
    for frame in rig.session.take_outgoing(rig.now):
        rig.venue.handle(frame)
    rig.wire.take_from(rig.venue)
    early, rig.wire.queue = rig.wire.queue, []
    rig.venue.pass_time(10)
    rig.wire.lose_fills = 1.0
    rig.venue.fill()
    rig.wire.take_from(rig.venue)
    rig.wire.lose_fills = 0.0
    rig.venue.pass_time(10)
    rig.venue.place()
    rig.venue.fill()
    rig.wire.take_from(rig.venue)
    rig.wire.queue += early
    rig.run(2_000)
    assert rig.session.phase is Phase.READY
    assert {f.trade_id for f in rig.told_of(OwnFill)} == {row["tid"] for row in rig.venue.fills}
    assert rig.engine.position == rig.venue.position / LOT


def test_fills_of_another_account_are_passed_over() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.venue.fill()
    rig.run(200)
    told = len(rig.told_of(OwnFill))
    other = {"user": "0x" + "cd" * 20, "fills": [rig.venue.fills[-1] | {"tid": 99}]}
    for user, count in ((other, told), (other | {"user": USER.upper().replace("X", "x")}, told + 1)):
        rig.take(rig.session.receive(rig.now, json.dumps({"channel": "userFills", "data": user})))
        assert len(rig.told_of(OwnFill)) == count


def test_funding_is_told_once_and_not_from_before_the_start() -> None:
    rig = Rig()
    paid = {"time": START_MS - 5, "coin": COIN, "usdc": "-1.0", "szi": "1.0", "fundingRate": "0.0001"}
    frame = {"channel": "userFundings", "data": {"user": USER, "fundings": [paid], "isSnapshot": True}}
    rig.connect()
    rig.take(rig.session.receive(rig.now, json.dumps(frame)))
    rig.run(500)
    assert rig.told_of(FundingPayment) == []
    late = {"time": START_MS + 100} | {key: paid[key] for key in paid if key != "time"}
    for snapshot in (False, True, False):
        frame["data"] = {"user": USER, "fundings": [paid, late], "isSnapshot": snapshot}
        rig.take(rig.session.receive(rig.now, json.dumps(frame)))
    assert [payment.exchange_time_ns for payment in rig.told_of(FundingPayment)] == [(START_MS + 100) * 1_000_000]


def test_funding_from_before_the_start_is_history_although_its_snapshot_comes_late() -> None:
    # Kills: history told by readiness alone; what was paid in an outage taken for history.
    rig = Rig()
    rig.connect()
    for frame in rig.session.take_outgoing(rig.now):
        rig.venue.handle(frame)
    rig.venue.outbox = [frame for frame in rig.venue.outbox if frame["channel"] != "userFundings"]
    rig.run(1_000)
    assert rig.session.phase is Phase.READY
    paid = {"coin": COIN, "usdc": "-1.0", "szi": "1.0", "fundingRate": "0.0001"}
    rows = [paid | {"time": time} for time in (START_MS - 3_600_000, rig.venue.now_ms + 5)]
    frame = {"channel": "userFundings", "data": {"user": USER, "fundings": rows, "isSnapshot": True}}
    rig.take(rig.session.receive(rig.now, json.dumps(frame)))
    assert [event.exchange_time_ns // 1_000_000 for event in rig.told_of(FundingPayment)] == [rows[1]["time"]]


# --- connections ------------------------------------------------------------------------------------------------


def test_prints_from_before_the_first_connection_are_history_and_teach_nothing() -> None:
    # Kills: thirty old prints taken for a burst of the present; fresh ones taken for history.
    rig = Rig(settings={"user": None})
    rig.venue.print_trades(3)
    rig.venue.pass_time(60_000)
    rig.venue.print_trades(2)
    rig.connect()
    rig.pump()
    updates = rig.told_of(TradesUpdate)
    assert [(len(update.prices), update.is_history) for update in updates] == [(3, True), (2, False)]
    rig.drop()
    rig.venue.pass_time(60_000)
    rig.venue.print_trades(1)
    rig.venue.pass_time(60_000)
    rig.connect()
    rig.pump()
    assert [update.is_history for update in rig.told_of(TradesUpdate)[2:]] == [False]
    assert rig.of(TapeGap) == []


@pytest.mark.parametrize(("offset_s", "told"), [(120.0, True), (-120.0, True), (4.0, False), (-4.0, False)])
def test_a_clock_that_is_off_is_told_once_a_connection(offset_s: float, *, told: bool) -> None:
    rig = Rig(settings={"user": None})
    rig.connect()
    rig.venue.subscribed.add("l2Book")
    for _ in range(3):
        rig.venue.book()
        frame = json.dumps(rig.venue.outbox.pop())
        rig.session.receive(rig.now + round(offset_s * 1e9), frame)
    rig.notices += rig.session.notices
    assert rig.of(ClockOffset) == ([ClockOffset(offset_s)] if told else [])


@pytest.mark.parametrize(("jump_s", "told_s"), [(60.0, 1), (-60.0, 60), (-10.0, 60), (4.0, None)])
def test_a_clock_that_is_set_while_connected_is_told_within_a_minute_and_each_minute(
    jump_s: float, told_s: int | None
) -> None:
    # Kills: only a connection's first book looked at; a minute by our clock alone, which may be set back.
    rig = ready_rig(settings={"user": None})
    told = []
    for second in range(1, 130):
        rig.pass_time(1_000)
        rig.venue.book()
        frame = json.dumps(rig.venue.outbox.pop())
        rig.session.receive(rig.now + round(jump_s * 1e9), frame)
        told += [(second, notice.ahead_s) for notice in rig.session.notices if isinstance(notice, ClockOffset)]
        rig.session.notices.clear()
    assert [at for at, _ in told] == ([] if told_s is None else list(range(told_s, 130, 60)))
    assert {ahead for _, ahead in told} <= {jump_s}


def test_books_that_waited_to_be_read_say_nothing_of_the_clock() -> None:
    rig = ready_rig(settings={"user": None})
    books = []
    for _ in range(90):
        rig.pass_time(1_000)
        rig.venue.book()
        books.append(json.dumps(rig.venue.outbox.pop()))
    rig.session.held_up(rig.now - 90 * 1_000_000_000)
    rig.session.resumed(rig.now)
    for book in books:
        rig.session.receive(rig.now, book)
    rig.run(120_000, step=1_000)
    assert rig.of(ClockOffset) == []


def test_actions_lost_with_the_connection_are_told_once() -> None:
    rig = ready_rig()
    rig.session.send_action(rig.now, {"action": {"type": "noop"}})
    rig.drop()
    rig.pass_time(1_000)
    rig.run(15_000)
    assert len(rig.of(Disconnected)) == 1
    assert rig.of(ActionLost) == []


def test_no_more_posts_are_under_way_than_the_venue_takes() -> None:
    rig = ready_rig(settings={"limits": SocketLimits(SocketCounts(posts=5))})
    for _ in range(5):
        rig.session.send_action(rig.now, {})
    with pytest.raises(InvalidInputError, match="posts"):
        rig.session.send_action(rig.now, {})


def test_prints_that_may_be_missing_are_told() -> None:
    rig = Rig(settings={"user": None})
    rig.connect()
    rig.pump()
    rig.venue.print_trades(1)
    rig.pump()
    rig.drop()
    rig.venue.pass_time(1_000)
    rig.venue.print_trades(40)
    rig.connect()
    rig.pump()
    assert rig.of(TapeGap) == [TapeGap(COIN, START_MS, START_MS + 1_000)]


def test_nothing_of_a_lost_connection_is_waited_for_on_the_next() -> None:
    rig = Rig()
    rig.connect()
    rig.pump()
    rig.session.take_outgoing(rig.now)
    number = next(iter(rig.session._posts._under_way))
    failure = {"channel": "post", "data": {"id": number, "response": {"type": "error", "payload": "429"}}}
    rig.session.receive(rig.now, json.dumps(failure))
    rig.drop()
    rig.venue.pass_time(5_000)
    rig.connect()
    rig.session.advance(rig.now)
    assert {frame["method"] for frame in rig.sent()} == {"subscribe"}
    rig.notices.clear()
    rig.session.notices.clear()
    rig.drop()
    rig.pass_time(40_000)
    rig.run(20_000)
    assert rig.session.phase is Phase.READY
    assert rig.of(RequestFailed) == []


# --- memory -----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), max_size=300), st.integers(1, 40))
def test_nothing_is_told_twice_and_memory_stays_small(names: list[tuple[int, int]], capacity: int) -> None:
    # Oracle: the set of everything. Kills: names forgotten and told again; memory that grows.
    seen, told = SeenIds(capacity), set()
    for time, name in names:
        if seen.add(time, name):
            assert (time, name) not in told
            told.add((time, name))
        assert len(seen) <= capacity + 5
        assert seen.newest == max(at for at, _ in told)
    assert all(seen.knows(time, name) for time, name in names)


def test_nothing_is_lost_while_memory_suffices() -> None:
    seen = SeenIds(100)
    assert all(seen.add(time, name) for time in (5, 3, 9, 1) for name in range(20))
    assert seen.newest == 9
    assert not seen.knows(4, 1)


def test_orders_have_statuses_of_the_engine() -> None:
    (event,) = account().on_order_rows(order("reduceOnlyCanceled", 5))
    assert isinstance(event, OwnOrder)
    assert event.status is OrderStatus.CANCELED
