"""What a session tells of the account agrees with the venue's after every connection, gap and doubt."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from hypermm.exceptions import InvalidInputError
from hypermm.exchange.events import OwnFill, OwnOrder
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.notices import (
    ActionAnswered,
    ActionLost,
    Disconnected,
    FillGap,
    PositionMismatch,
    RequestFailed,
)
from hypermm.exchange.hyperliquid.rate_limit import IpWeight
from hypermm.exchange.hyperliquid.session import Phase
from session_rig import T0, Rig, ready_rig
from venue_double import LOT, START_MS


def test_the_first_snapshot_is_history_and_the_position_counts() -> None:
    rig = Rig()
    rig.venue.place()
    rig.venue.fill()
    rig.venue.pass_time(1_000)
    rig.pass_time(100)
    rig.run(500)
    assert rig.session.phase is Phase.READY
    assert rig.told_of(OwnFill) == []
    assert rig.engine.position == rig.venue.position / LOT != 0.0


def test_a_restored_engine_is_told_the_fills_it_missed() -> None:
    rig = Rig(settings={"fills_since_ms": START_MS + 500})
    rig.venue.place()
    rig.venue.fill()
    rig.venue.pass_time(1_000)
    rig.venue.place()
    rig.venue.fill()
    rig.pass_time(100)
    rig.run(500)
    assert [fill.trade_id for fill in rig.told_of(OwnFill)] == [rig.venue.fills[-1]["tid"]]


def test_orders_stay_alive_when_the_connection_is_lost_and_are_asked_for_afterwards() -> None:
    rig = ready_rig()
    for _ in range(3):
        rig.venue.place()
    rig.run(200)
    names = {order.order_id for order in rig.engine.open_orders}
    assert len(names) == 3
    rig.drop()
    rig.pump()
    assert {order.order_id for order in rig.engine.open_orders} == names
    rig.venue.cancel()
    rig.venue.fill()
    rig.pass_time(1_000)
    rig.run(1_000)
    assert rig.session.phase is Phase.READY
    assert {order.order_id for order in rig.engine.open_orders} == {row["cloid"] for row in rig.venue.orders.values()}
    assert rig.engine.position == rig.venue.position / LOT


def test_an_order_the_venue_no_longer_knows_is_dead() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    rig.drop()
    rig.venue.orders.clear()
    rig.pass_time(1_000)
    rig.run(1_000)
    assert rig.session.phase is Phase.READY
    assert rig.engine.open_orders == []
    placed, *_, gone = rig.told_of(OwnOrder)
    # With nothing left it would be said to have filled.
    assert (gone.status_text, gone.remaining_size) == ("unknownOid", placed.remaining_size)


def test_the_dead_stay_dead_and_repeated_words_are_not_passed_on() -> None:
    rig = ready_rig()
    rig.venue.place()
    placed = json.dumps(rig.venue.outbox[-1])
    rig.run(200)
    rig.venue.cancel()
    rig.run(200)
    told = len(rig.told_of(OwnOrder))
    assert rig.session.receive(rig.now, placed) == []
    assert told == 2
    assert rig.engine.open_orders == []


def test_a_fill_lost_on_the_way_is_noticed_by_the_next_and_fetched() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.venue.place()
    rig.run(200)
    rig.wire.lose_fills = 1.0
    rig.venue.fill()
    rig.run(200)
    assert rig.told_of(OwnFill) == []
    rig.wire.lose_fills = 0.0
    rig.venue.fill()
    rig.venue.place()
    rig.pump()
    assert rig.session.phase is not Phase.READY, "a gap must stop the quoting"
    rig.run(1_000)
    assert len(rig.of(FillGap)) == 1
    assert {fill.trade_id for fill in rig.told_of(OwnFill)} == {fill["tid"] for fill in rig.venue.fills}
    assert rig.session.phase is Phase.READY
    assert rig.engine.position == rig.venue.position / LOT


def test_a_position_stated_before_the_latest_fill_gives_way_to_it() -> None:
    # The venue's statement lags its own fills: kills "the statement always wins".
    rig = ready_rig()
    rig.venue.state_lags = True
    for _ in range(2):
        rig.venue.place()
    rig.run(200)
    rig.venue.fill()
    rig.pump()
    rig.session.reconcile(rig.now)
    rig.run(5_000)
    assert rig.session.phase is Phase.READY
    assert rig.engine.position == rig.venue.position / LOT
    assert rig.of(PositionMismatch) == []


def test_a_position_that_fills_do_not_explain_is_taken_and_told() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.venue.fill()
    rig.run(200)
    rig.venue.position += 3 * LOT
    rig.venue.pass_time(1_000)
    rig.session.reconcile(rig.now)
    rig.run(3_000)
    assert rig.session.phase is Phase.RECONCILING, "asked again, with pauses"
    rig.run(20_000)
    assert rig.session.phase is Phase.READY
    (mismatch,) = rig.of(PositionMismatch)
    assert mismatch.stated_position == rig.venue.position / LOT
    assert rig.engine.position == rig.venue.position / LOT


def test_more_fills_than_one_answer_holds_are_read_page_by_page() -> None:
    rig = ready_rig()
    rig.drop()
    for _ in range(4_500):
        rig.venue.place()
        rig.venue.fill()
        rig.venue.pass_time(1)
        for oid in list(rig.venue.orders):
            rig.venue.end(oid, "canceled")
    rig.pass_time(1_000)
    rig.run(1_000)
    assert rig.session.phase is Phase.READY
    assert Counter(fill.trade_id for fill in rig.told_of(OwnFill)) == Counter(row["tid"] for row in rig.venue.fills)


def test_refused_and_unanswered_queries_are_asked_again() -> None:
    rig = Rig()
    rig.connect()
    rig.pump()
    rig.session.take_outgoing(rig.now)
    rig.wire.queue.clear()
    for number, post in list(rig.session._posts._under_way.items()):
        kind = post.query.kind if post.query else ""
        payload = "429 Too Many Requests" if kind == "clearinghouseState" else None
        response: Any = {"type": "error", "payload": payload}
        if payload is None:
            response = {"type": "info", "payload": {"type": kind, "data": "nonsense"}}
        rig.take(
            rig.session.receive(rig.now, json.dumps({"channel": "post", "data": {"id": number, "response": response}}))
        )
    assert rig.session.phase is Phase.RECONCILING
    rig.run(4_000)
    assert rig.session.phase is Phase.READY
    assert len(rig.of(RequestFailed)) == 4
    assert any("429" in failed.reason for failed in rig.of(RequestFailed))
    rig.session.reconcile(rig.now)
    rig.session.take_outgoing(rig.now)
    rig.run(15_000)
    assert rig.session.phase is Phase.READY
    assert sum("no answer" in failed.reason for failed in rig.of(RequestFailed)) == 4


def test_queries_wait_for_the_weight_they_cost() -> None:
    weight = IpWeight(1200, reserve=0)
    weight.try_spend(T0, 1190)
    rig = Rig(settings={"weight": weight})
    rig.pass_time(100)
    rig.run(2_000)
    assert rig.session.phase is Phase.RECONCILING
    assert weight.left(rig.now) >= 0
    rig.run(60_000)
    assert rig.session.phase is Phase.READY


def test_answers_over_http_do_as_well() -> None:
    rig = Rig()
    rig.connect()
    rig.pump()
    rig.wire.queue.clear()
    for query in rig.session.open_queries:
        body = json.dumps(rig.venue.info({"type": query.kind, **dict(query.fields)})).encode()
        read_info(query.kind, body)
        rig.take(rig.session.answer_over_http(rig.now, query, body))
        assert rig.session.answer_over_http(rig.now, query, body) == []
    assert rig.session.phase is Phase.READY
    assert rig.session.open_queries == []


def test_a_query_answered_over_http_is_not_asked_again() -> None:
    # Kills: an answer by the other way that leaves the refused query waiting, to be asked and charged once more.
    rig = Rig()
    rig.connect()
    rig.pump()
    rig.wire.queue.clear()
    assert len(rig.sent()) == 4
    refused = {"type": "error", "payload": "429 Too Many Requests"}
    for number in list(rig.session._posts._under_way):
        message = {"channel": "post", "data": {"id": number, "response": refused}}
        rig.take(rig.session.receive(rig.now, json.dumps(message)))
    for query in rig.session.open_queries:
        body = json.dumps(rig.venue.info({"type": query.kind, **dict(query.fields)})).encode()
        rig.take(rig.session.answer_over_http(rig.now, query, body))
    assert rig.session.phase is Phase.READY
    assert rig.session.open_queries == []
    rig.pass_time(3_000)
    rig.session.advance(rig.now)
    assert rig.sent() == []


def test_actions_are_answered_lost_or_given_up_with_the_connection() -> None:
    rig = ready_rig()
    ok = {"status": "ok", "response": {"type": "default"}}
    first, second, third, fourth = (rig.session.send_action(rig.now, {"action": {"type": "noop"}}) for _ in range(4))
    for number, kind, payload in ((first, "action", ok), (second, "error", "429 Too Many Requests")):
        message = {"channel": "post", "data": {"id": number, "response": {"type": kind, "payload": payload}}}
        rig.session.receive(rig.now, json.dumps(message))
        rig.session.receive(rig.now, json.dumps(message))
    rig.session._posts._under_way[third].answer_by_ns = rig.now
    rig.session.advance(rig.now)
    rig.session.disconnected(rig.now, "dropped")
    (answered,) = [n for n in rig.session.notices if isinstance(n, ActionAnswered)]
    lost = [n for n in rig.session.notices if isinstance(n, ActionLost)]
    (gone,) = [n for n in rig.session.notices if isinstance(n, Disconnected)]
    assert answered.request_id == first
    assert json.loads(bytes(answered.payload)) == ok
    assert [(n.request_id, n.reason) for n in lost] == [(second, '"429 Too Many Requests"'), (third, "no answer")]
    assert gone.lost_actions == (fourth,)
    with pytest.raises(InvalidInputError):
        rig.session.send_action(rig.now, {})
