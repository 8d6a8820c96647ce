"""What cannot be read costs no order, no fill and no readiness: the account is read anew, odd rows are left out."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from hypermm.exceptions import WireError
from hypermm.exchange.events import OwnFill
from hypermm.exchange.hyperliquid.answers import read_info, read_own
from hypermm.exchange.hyperliquid.notices import FillRefused, FrameRefused, PositionMismatch
from hypermm.exchange.hyperliquid.reconciliation import Reconciliation
from hypermm.exchange.hyperliquid.session import Phase
from session_rig import Rig, ready_rig
from test_session_account import account, fill
from venue_double import COIN, LOT, START_MS

ODD = {
    "coin": "+12090", "px": "0.0", "sz": "0.0", "side": "B", "time": START_MS - 1_000, "startPosition": "0.0",
    "dir": "Settlement", "closedPnl": "0.0", "hash": "0x00", "oid": 99, "crossed": False, "fee": "0.0", "tid": 4242,
    "feeToken": "USDC",
}  # fmt: skip
UNPRICED = ODD | {"coin": COIN, "sz": "1.0"}


# --- frames -----------------------------------------------------------------------------------------------------


def test_a_death_in_a_frame_that_cannot_be_read_is_learned_by_asking() -> None:
    # Kills: a frame of orders refused and nothing asked; the dead order would be counted for ever.
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    oid = next(iter(rig.venue.orders))
    row = rig.venue.orders[oid]
    rig.venue.end(oid, "canceled")
    rig.venue.outbox.clear()
    rows = [
        {"order": row, "status": "canceled", "statusTimestamp": rig.venue.now_ms},
        {"order": row | {"coin": "BTC", "limitPx": "-1"}, "status": "open", "statusTimestamp": rig.venue.now_ms},
    ]
    rig.venue.send("orderUpdates", rows)
    rig.pump()
    assert rig.session.phase is Phase.RECONCILING
    rig.run(1_000)
    assert len(rig.of(FrameRefused)) == 1
    assert rig.engine.open_orders == []
    assert rig.session.phase is Phase.READY


def test_a_fill_in_a_frame_that_cannot_be_read_is_fetched() -> None:
    rig = ready_rig()
    rig.venue.place()
    rig.run(200)
    rig.venue.fill()
    for frame in rig.venue.outbox:
        if frame["channel"] == "userFills":
            frame["data"]["fills"] = [*frame["data"]["fills"], ODD]
    rig.run(1_000)
    assert rig.of(FrameRefused)
    assert Counter(f.trade_id for f in rig.told_of(OwnFill)) == Counter(row["tid"] for row in rig.venue.fills)
    assert rig.engine.position == rig.venue.position / LOT != 0.0
    assert rig.session.phase is Phase.READY


def test_a_frame_cut_short_may_have_been_of_the_account_and_one_of_the_market_is_not() -> None:
    rig = ready_rig()
    rig.session.receive(rig.now, '{"channel":"l2Book","data":{"coin":"ETH","time":-1,"levels":[[],[]]}}')
    assert rig.session.phase is Phase.READY
    rig.session.receive(rig.now, '{"channel":"orderUpdates","data":[{"order":{"coin"')
    assert rig.session.phase is Phase.RECONCILING


def test_fills_are_asked_for_from_before_what_was_missed_although_later_ones_were_heard() -> None:
    # Kills: the latest fill heard taken for the place to go on from.
    target = account()
    target.on_fills([fill(100_000, "0.0")], is_snapshot=False)
    target.settled(110_000)
    target.missed()
    target.on_fills([fill(300_000, "1.0")], is_snapshot=False)
    target.interrupted()
    assert target.fills_from_ms() <= 95_000, "frames may have changed places"
    fresh = account()
    fresh.missed()
    assert fresh.fills_from_ms() == 0


# --- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [ODD, UNPRICED, UNPRICED | {"px": "-1"}], ids=["anothers", "unpriced", "negative"])
@pytest.mark.parametrize("last_first", [False, True])
def test_one_odd_row_of_the_history_does_not_keep_a_session_from_being_ready(
    odd: dict[str, Any], *, last_first: bool
) -> None:
    # Kills: a history refused whole, and a query given up when its answer is; no answer, and nothing asked again.
    rig = Rig()
    rig.venue.place()
    rig.venue.fill()
    rig.venue.fills.append(odd)
    rig.pass_time(100)
    for _ in range(20):
        rig.pass_time(100)
        rig.venue.book()
        for frame in rig.session.take_outgoing(rig.now):
            rig.venue.handle(frame)
        if last_first:
            rig.venue.outbox.sort(key=lambda frame: -frame["data"]["id"] if frame["channel"] == "post" else -1_000)
        rig.pump()
    assert rig.session.phase is Phase.READY
    assert bool(rig.of(FillRefused)) == (odd["coin"] == COIN)
    assert rig.engine.position == rig.venue.position / LOT
    assert rig.of(PositionMismatch) == []


def test_an_odd_row_over_http_leaves_nothing_open() -> None:
    rig = Rig()
    rig.venue.fills += [ODD, UNPRICED]
    rig.connect()
    rig.pump()
    rig.wire.queue.clear()
    for query in rig.session.open_queries:
        body = json.dumps(rig.venue.info({"type": query.kind, **dict(query.fields)})).encode()
        if query.kind == "userFillsByTime":
            with pytest.raises(WireError):
                rig.session.answer_over_http(rig.now, query, b'{"no": "rows"}')
            assert query in rig.session.open_queries
        rig.take(rig.session.answer_over_http(rig.now, query, body))
    assert rig.session.open_queries == []
    assert rig.session.phase is Phase.READY


def test_what_an_odd_fill_of_ours_did_the_position_shows() -> None:
    rig = ready_rig()
    rig.drop()
    rig.venue.place()
    rig.venue.fill()
    rig.venue.fills[-1] = rig.venue.fills[-1] | {"px": "0.0"}
    rig.pass_time(1_000)
    rig.run(20_000)
    assert rig.session.phase is Phase.READY
    assert rig.told_of(OwnFill) == []
    assert rig.engine.position == rig.venue.position / LOT != 0.0


def test_a_full_page_with_an_odd_row_is_followed_by_the_next() -> None:
    # Kills: rows counted after the odd ones are left out; what comes after the page would never be asked for.
    work = Reconciliation(account())
    (query, *_) = work.start()
    rows = [UNPRICED | {"px": "3000.0", "time": START_MS + n, "tid": n, "sz": "1.0"} for n in range(1_999)]
    answer = read_own(query.kind, json.dumps([ODD, *rows]).encode(), [COIN])
    assert (len(answer.value), answer.rows, answer.refused) == (1_999, 2_000, [])
    _, following = work.answer(query, answer.value, answer.rows)
    assert [dict(more.fields)["startTime"] for more in following] == [START_MS + 1_998]


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        ("frontendOpenOrders", lambda rows: [row["order"] for row in rows]),
        ("clearinghouseState", lambda rows: STATE | {"assetPositions": [row["held"] for row in rows]}),
    ],
)
def test_odd_orders_and_positions_of_other_coins_are_left_out_and_ours_are_not(kind: str, wrap: Any) -> None:
    good = _listing(COIN, "1.0")
    told = read_own(kind, json.dumps(wrap([good, _listing("@107", "nonsense")])).encode(), [COIN])
    assert told.value == read_info(kind, json.dumps(wrap([good])))
    with pytest.raises(WireError) as refused:
        read_own(kind, json.dumps(wrap([good, _listing(COIN, "nonsense")])).encode(), [COIN])
    assert refused.value.value == "nonsense"
    for other in (b"{", b"3", b'{"assetPositions": 3}'):
        with pytest.raises(WireError):
            read_own(kind, other, [COIN])


SUMMARY = {"accountValue": "1.0", "totalNtlPos": "1.0", "totalRawUsd": "1.0", "totalMarginUsed": "1.0"}
STATE = {"crossMarginSummary": SUMMARY, "withdrawable": "1.0", "time": START_MS}


def _listing(coin: str, size: str) -> dict[str, Any]:
    order = {"coin": coin, "side": "B", "limitPx": "3000.0", "sz": size, "oid": 7, "timestamp": 1}
    held = {"coin": coin, "szi": size, "leverage": {"type": "cross", "value": 5}}
    return {"order": order, "held": {"type": "oneWay", "position": held}}
