"""An engine's orders agree with the venue's whatever it refused, whatever shares a name, whichever stream is dead."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from hypermm import EngineConfig, Instrument, OrderStatus, QuoteEngine
from hypermm.exceptions import InvalidInputError, WireError
from hypermm.exchange.events import OwnOrder
from hypermm.exchange.hyperliquid.account import Query
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.notices import ActionLost, Disconnected, Ready, RequestFailed
from hypermm.exchange.hyperliquid.posts import Posts
from hypermm.exchange.hyperliquid.rate_limit import IpWeight, SocketCounts, SocketLimits
from hypermm.exchange.hyperliquid.reconciliation import Reconciliation
from hypermm.exchange.hyperliquid.session import Phase
from session_rig import MS, Rig, ready_rig, session
from test_session_account import account, order, reconcile, state
from venue_double import COIN, LOT, USER


def refuse(rig: Rig) -> None:
    """The session takes all that is under way, the engine none of it."""
    rig.wire.take_from(rig.venue)
    for message in rig.wire.deliver(1_000):
        rig.session.receive(rig.now, json.dumps(message))


def names(rig: Rig) -> set[Any]:
    return {order.order_id for order in rig.engine.open_orders}


def listed(size: str) -> str:
    row = {"coin": COIN, "side": "B", "limitPx": "3000.0", "sz": size, "oid": 7, "timestamp": 1, "origSz": "1.0"}
    return json.dumps([row])


# --- what an engine refused -------------------------------------------------------------------------------------


def test_a_reconciliation_tells_an_engine_the_orders_and_deaths_it_refused() -> None:
    # Kills: the list compared with what the session knows, which is not what the engine took.
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    refused = dict(rig.venue.orders)
    rig.venue.cancel()
    rig.venue.place()
    refuse(rig)
    assert names(rig) == {row["cloid"] for row in refused.values()}
    rig.session.reconcile(rig.now)
    rig.run(1_000)
    assert rig.session.phase is Phase.READY
    assert names(rig) == {row["cloid"] for row in rig.venue.orders.values()}
    assert len(rig.venue.orders) == 1


def test_a_death_that_is_told_anew_and_refused_again_is_told_once_more() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    rig.venue.cancel()
    refuse(rig)
    rig.session.reconcile(rig.now)
    for frame in rig.session.take_outgoing(rig.now):
        rig.venue.handle(frame)
    refuse(rig)
    assert rig.session.phase is Phase.READY
    assert len(names(rig)) == 1
    rig.session.reconcile(rig.now)
    rig.run(1_000)
    assert names(rig) == set()


# --- two legs of one name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("old_first", [False, True])
def test_the_leg_that_lives_outlives_the_death_of_the_other(*, old_first: bool) -> None:
    # The sheet: both legs of a modification share the name, and come in either order.
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    (old,) = rig.venue.orders
    row = rig.venue.orders.pop(old)
    new = row | {"oid": 999, "limitPx": "2990.0", "timestamp": rig.venue.now_ms}
    rig.venue.orders[999] = new
    rig.venue.ended[old] = (row, "canceled", rig.venue.now_ms)
    legs = [(new, "open"), (row, "canceled")]
    for leg, status in reversed(legs) if old_first else legs:
        rig.venue.update(leg, status)
    for _ in range(2):
        rig.run(1_000)
        assert [(o.order_id, o.price) for o in rig.engine.open_orders] == [(row["cloid"], 2990.0)]
        rig.session.reconcile(rig.now)
    rig.run(1_000)
    rig.venue.end(999, "canceled")
    rig.run(200)
    assert rig.engine.open_orders == []


def test_a_leg_that_was_refused_leaves_the_old_one_where_it_was() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    (row,) = rig.venue.orders.values()
    new = row | {"oid": 999, "limitPx": "2990.0"}
    rig.venue.update(new, "open")
    rig.venue.update(new, "badAloPxRejected")
    rig.run(200)
    assert [(o.order_id, o.price) for o in rig.engine.open_orders] == [(row["cloid"], 3000.0)]


# --- lists and words --------------------------------------------------------------------------------------------


def test_a_list_decides_although_the_word_before_bears_a_later_time() -> None:
    # A reduce-only order shrinks twice, the second time without a word; an open order's row bears its placement's time.
    target = account()
    target.on_order_rows(order("open", 10))
    target.on_order_rows(order("open", 20, size="0.5"))
    assert reconcile(target, state("0.0", 30), orders=listed("0.2")).done
    assert target.open_orders[7].remaining_size == 0.2


def test_a_word_since_the_asking_stands_and_a_late_one_from_before_it_does_not() -> None:
    target = account()
    target.on_order_rows(order("open", 10))
    work = Reconciliation(target, asked_ns=50 * MS)
    queries = work.start()
    target.on_order_rows(order("open", 60, size="0.4"))
    answer(work, queries, listed("0.7"))
    assert target.open_orders[7].remaining_size == 0.4
    work = Reconciliation(target, asked_ns=90 * MS)
    queries = work.start()
    target.on_order_rows(order("open", 80, size="0.9"))
    answer(work, queries, listed("0.3"))
    assert target.open_orders[7].remaining_size == 0.3
    assert target.on_order_rows(order("open", 85, size="0.9")) == []
    # But a death is a death, whatever time it bears.
    (gone,) = target.on_order_rows(order("canceled", 85))
    assert isinstance(gone, OwnOrder)
    assert gone.status is OrderStatus.CANCELED
    assert target.open_orders == {}


def answer(work: Reconciliation, queries: list[Any], orders: str) -> None:
    rows = read_info("frontendOpenOrders", orders)
    values = {"userFillsByTime": [], "frontendOpenOrders": rows, "clearinghouseState": state("0.0", 100)}
    for query in queries:
        work.answer(query, values[query.kind])
    assert work.done


# --- streams that die in silence --------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", [{"orderUpdates", "userFills"}, {"userFills"}, {"orderUpdates"}])
def test_a_dead_stream_of_the_account_is_noticed_while_books_flow(dead: set[str]) -> None:
    # Kills: no check; a check that finds what was not told, and goes on with the dead stream.
    rig = ready_rig()
    rig.venue.subscribed -= dead
    rig.venue.place()
    rig.venue.fill()
    rig.venue.place()
    rig.run(330_000, step=1_000)
    (gone,) = rig.of(Disconnected)
    assert "channels" in gone.reason
    assert rig.venue.subscribed >= {"orderUpdates", "userFills"}
    assert rig.session.phase is Phase.READY
    assert rig.engine.position == rig.venue.position / LOT != 0.0
    assert names(rig) == {row["cloid"] for row in rig.venue.orders.values()}


def test_an_account_that_agrees_is_read_every_five_minutes_and_stays_ready() -> None:
    weight = IpWeight(1200, reserve=0)
    rig = ready_rig(settings={"weight": weight})
    rig.venue.place()
    rig.venue.fill()
    rig.venue.place()
    before = rig.session.reconciliations
    left = []
    for _ in range(620):
        rig.run(1_000, step=1_000)
        assert rig.session.phase is Phase.READY
        left.append(weight.left(rig.now))
    assert rig.session.reconciliations - before == 2
    assert len(rig.of(Ready)) == 1
    assert rig.of(Disconnected) == []
    # 20 for fills, orders and limits each, 2 for positions.
    assert min(left[70:]) == 1200 - 62


def test_a_check_that_finds_position_and_fills_apart_ends_readiness() -> None:
    rig = ready_rig(settings={"check_every_s": 10.0})
    rig.venue.place()
    rig.venue.fill()
    rig.run(2_000)
    rig.venue.position += 3 * LOT
    phases = set()
    for _ in range(40):
        rig.run(500)
        phases.add(rig.session.phase)
    assert phases == {Phase.READY, Phase.RECONCILING}
    assert rig.session.phase is Phase.READY
    assert rig.engine.position == rig.venue.position / LOT
    for every_s in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInputError, match="check_every_s"):
            session(check_every_s=every_s)


# --- requests under way -----------------------------------------------------------------------------------------


def test_queries_leave_a_fifth_of_the_requests_under_way_to_actions() -> None:
    # Kills: 150 questions at once, of which the venue takes 100; questions kept back for ever.
    rig = ready_rig()
    for _ in range(150):
        rig.venue.place()
    rig.run(500)
    rig.drop()
    rig.venue.ended = {oid: (row, "canceled", rig.venue.now_ms) for oid, row in rig.venue.orders.items()}
    rig.venue.orders.clear()
    most, step = 0, 0
    while (rig.session.phase is not Phase.READY or not rig.is_up) and step < 100:
        rig.pass_time(100)
        if rig.is_up:
            for frame in rig.session.take_outgoing(rig.now):
                rig.venue.handle(frame)
        most, step = max(most, len(rig.session._posts)), step + 1
        rig.pump(7)
    assert 70 < most <= 80
    assert rig.session.phase is Phase.READY
    assert rig.session.open_queries == []
    assert rig.engine.open_orders == []


def test_an_answer_makes_room_for_a_query_at_once() -> None:
    rig = ready_rig(settings={"limits": SocketLimits(SocketCounts(posts=5))})
    for _ in range(6):
        rig.venue.place()
    rig.run(1_500)
    rig.venue.orders.clear()
    rig.session.reconcile(rig.now)
    for frame in rig.session.take_outgoing(rig.now):
        rig.venue.handle(frame)
    refuse(rig)
    assert (len(rig.session._posts), len(rig.session.open_queries)) == (4, 6)
    (frame, *_) = rig.session.take_outgoing(rig.now)
    rig.venue.handle(frame)
    refuse(rig)
    assert (len(rig.session._posts), len(rig.session.open_queries)) == (4, 5)
    assert rig.session.has_outgoing


def test_a_request_too_many_is_asked_again_or_lost_at_once() -> None:
    rig = Rig(settings={"limits": SocketLimits(SocketCounts(posts=10))})
    rig.connect()
    rig.pump()
    rig.wire.queue.clear()
    action = rig.session.send_action(rig.now, {})
    assert len(rig.session.open_queries) == 4
    for number in [*range(1, 5), action, 77]:
        text = f"too many pending post requests id={number}"
        rig.session.receive(rig.now, json.dumps({"channel": "error", "data": text}))
    rig.session.take_outgoing(rig.now)
    rig.pump()
    assert len(rig.of(RequestFailed)) == 4
    assert [lost.request_id for lost in rig.of(ActionLost)] == [action]
    rig.run(3_000)
    assert rig.session.phase is Phase.READY


# --- a node that lags -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["l2Book", "bbo"])
def test_a_book_older_than_the_last_is_passed_over_and_is_no_sign_of_life(channel: str) -> None:
    # Kills: the book of a node that lags told as news, in an engine and in a recording, which then refuses its row.
    rig = ready_rig()
    level = {"px": "2999.9", "sz": "1.0", "n": 1}
    other = {"px": "3000.1", "sz": "1.0", "n": 1}
    shown = {"levels": [[level], [other]]} if channel == "l2Book" else {"bbo": [level, other]}
    told, quiet = [], []
    for later_ms in (1_000, 900, 1_000, 1_001):
        frame = {"channel": channel, "data": {"coin": COIN, "time": rig.venue.now_ms + later_ms} | shown}
        # Heard ever later, whatever its own time.
        told.append(len(rig.session.receive(rig.now + len(told) * MS, json.dumps(frame))))
        ages = {age.channel: age.age_s for age in rig.session.ages(rig.now + 3 * MS) if age.coin == COIN}
        quiet.append(ages[channel])
    assert told == [1, 0, 1, 1]
    assert quiet == [pytest.approx(age) for age in (0.003, 0.003, 0.001, 0.0)]
    rig.drop()
    rig.connect()
    old = {"channel": channel, "data": {"coin": COIN, "time": rig.venue.now_ms + 500} | shown}
    assert rig.session.receive(rig.now, json.dumps(old)) == []
    # One wrong time far ahead does not silence the stream for good.
    for later_ms, events in ((3_600_000, 1), (1_002, 1), (1_001, 0)):
        frame = {"channel": channel, "data": {"coin": COIN, "time": rig.venue.now_ms + later_ms} | shown}
        assert len(rig.session.receive(rig.now, json.dumps(frame))) == events


# --- a check while quoting --------------------------------------------------------------------------------------


def test_a_check_leaves_the_quotes_of_a_maker_who_was_filled_long_ago() -> None:
    # Kills: deaths told anew with what was ordered, which an engine that forgot them takes for fills still to be told.
    rig = ready_rig(settings={"check_every_s": 120.0})
    rig.engine = QuoteEngine(Instrument(COIN, 4, 25), EngineConfig(max_position=5.0))
    for side in "BABABABABA":
        rig.venue.place()
        number = max(rig.venue.orders)
        row = rig.venue.orders[number]
        row["side"] = side
        held = rig.venue.position
        rig.venue.fills.append(
            {
                "coin": COIN,
                "px": "3000.0",
                "sz": "1.0",
                "side": side,
                "time": rig.venue.now_ms,
                "oid": number,
                "startPosition": f"{held / LOT}",
                "dir": "x",
                "closedPnl": "0.0",
                "hash": "0x",
                "crossed": False,
                "fee": "0.01",
                "tid": rig.venue.number_for(),
                "feeToken": "USDC",
                "cloid": row["cloid"],
            }
        )
        rig.venue.position += LOT if side == "B" else -LOT
        row["sz"] = "0.0"
        rig.venue.send("userFills", {"user": USER, "fills": rig.venue.fills[-1:]})
        rig.venue.end(number, "filled")
        rig.run(300)
    rig.run(70_000)
    checks = rig.session.reconciliations
    before = rig.engine.quote(rig.now)
    assert sum(before.bids.sizes) > 0.0
    while rig.session.reconciliations == checks:
        rig.run(1_000)
    rig.run(1_000)
    after = rig.engine.quote(rig.now)
    assert rig.session.phase is Phase.READY
    assert sum(after.bids.sizes) > 0.5 * sum(before.bids.sizes)
    assert sum(after.asks.sizes) > 0.5 * sum(before.asks.sizes)


def test_an_order_just_placed_is_not_dead_by_the_word_of_a_node_that_lags() -> None:
    # Kills: unknownOid believed at once, after which no list and no word of the channel brings the order back.
    held = account()
    held.on_order_rows(order("open", 49_950))
    reading = Reconciliation(held, asked_ns=50_000 * MS)
    answers: dict[str, Any] = {"userFillsByTime": [], "frontendOpenOrders": []}
    answers["clearinghouseState"] = state("0.0", 50_100)
    (asked,) = [more for query in reading.start() for more in reading.answer(query, answers[query.kind])[1]]
    unknown = read_info("orderStatus", b'{"status":"unknownOid"}')
    for _ in range(3):
        with pytest.raises(WireError):
            reading.answer(asked, unknown)
    assert list(held.open_orders) == [7]
    # Asked so often, it is believed.
    assert reading.answer(asked, unknown)[0]
    assert held.open_orders == {}


def test_a_query_that_fails_again_and_again_is_asked_ever_less_often() -> None:
    outgoing: deque[bytes] = deque()
    posts = Posts(outgoing, deque(), None, 100)
    query = Query("userFillsByTime", (("user", USER), ("startTime", 0)))
    asked_s = []
    for second in range(120):
        posts.advance(second * 1_000 * MS)
        if not second:
            posts.ask(0, [query])
        while outgoing:
            number = json.loads(outgoing.popleft())["id"]
            asked_s.append(second)
            post = posts.take(number)
            assert post is not None
            posts.fail(second * 1_000 * MS, number, post, "unreadable")
    assert asked_s == [0, 2, 6, 14, 30, 46, 62, 78, 94, 110]
