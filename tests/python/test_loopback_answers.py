"""What the exchange answers about what happened: orders of rows, flags, weights, holds of the mempool."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from hypermm.exchange.loopback import Fault, Limits
from loopback_session import ETH, MATIC, limit
from loopback_steps import NS, USER, Venue, taker


def statuses(answer: dict[str, Any]) -> list[Any]:
    rows: list[Any] = answer["response"]["data"]["statuses"]
    return rows


def orders(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"type": "order", "orders": list(rows), "grouping": "na"}


def test_statuses_stand_in_the_order_of_the_orders() -> None:
    venue = Venue()
    venue.run(1.0)
    delisted = limit("0.3", size="100", asset=MATIC)
    told = statuses(venue.act(orders(delisted, limit(3900.0), delisted, limit(3901.0))))
    assert [next(iter(status)) for status in told] == ["error", "resting", "error", "resting"]
    assert told[1]["resting"]["oid"] < told[3]["resting"]["oid"]


def test_reduce_only_is_shown_where_it_is_true() -> None:
    venue = Venue()
    feed = venue.connect()
    venue.subscribe(feed, "orderUpdates", user=USER)
    venue.run(1.0)
    venue.act(taker(ETH, 4400.0, "0.1"))
    venue.act(orders(limit(4500.0, buy=False, size="0.1", reduce_only=True), limit(3900.0)))
    plain, reducing = sorted(venue.ask("openOrders", user=USER), key=lambda row: row["side"], reverse=True)
    assert (plain.get("reduceOnly"), reducing.get("reduceOnly")) == (None, True)
    rows = {row["order"]["oid"]: row["order"] for data in venue.frames(feed, "orderUpdates") for row in data}
    assert (rows[plain["oid"]], rows[reducing["oid"]]) == (plain, reducing)
    shown = venue.ask("frontendOpenOrders", user=USER)
    assert {(row["oid"], row["reduceOnly"]) for row in shown} == {(plain["oid"], False), (reducing["oid"], True)}


def test_fills_are_newest_first_unless_asked_by_time() -> None:
    venue = Venue()
    venue.run(1.0)
    for size in ("0.1", "0.2"):
        venue.act(taker(ETH, 4400.0, size))
    newest = venue.ask("userFills", user=USER)
    assert len({fill["time"] for fill in newest}) == 2
    assert [fill["time"] for fill in newest] == sorted((fill["time"] for fill in newest), reverse=True)
    by_time = venue.ask("userFillsByTime", user=USER, startTime=0)
    assert by_time == newest[::-1]
    assert venue.ask("userFillsByTime", user=USER, startTime=0, reversed=True) == newest
    last = newest[0]["time"]
    assert [f["time"] for f in venue.ask("userFillsByTime", user=USER, startTime=last)] == [
        fill["time"] for fill in by_time if fill["time"] == last
    ]
    assert all(f["time"] < last for f in venue.ask("userFillsByTime", user=USER, startTime=0, endTime=last - 1))


def test_only_fast_cancels_are_fast() -> None:
    def seconds(**fast: bool) -> float:
        venue = Venue()
        venue.run(1.0)
        oid = statuses(venue.act(orders(limit(3900.0))))[0]["resting"]["oid"]
        feed = venue.connect()
        venue.subscribe(feed, "orderUpdates", user=USER)
        sent_ns = venue.now_ns
        venue.act({"type": "cancel", "cancels": [{"a": ETH, "o": oid}]} | fast)
        venue.run(1.0)
        [[row]] = venue.frames(feed, "orderUpdates")
        assert row["status"] == "canceled"
        seconds: float = (row["statusTimestamp"] * 1_000_000 - sent_ns) / NS
        return seconds

    assert seconds(f=True) < 0.16
    assert 0.29 < seconds() < 0.5


def test_a_modify_of_what_is_gone_places_only_if_told_to() -> None:
    venue = Venue()
    venue.run(1.0)
    modify = {"type": "batchModify", "modifies": [{"oid": 1, "order": limit(3900.0)}]}
    [refused] = statuses(venue.act(modify))
    assert refused["error"].startswith("Cannot modify canceled or filled order")
    assert venue.ask("openOrders", user=USER) == []
    [placed] = statuses(venue.act(modify | {"a": True}))
    assert [row["oid"] for row in venue.ask("openOrders", user=USER)] == [placed["resting"]["oid"]]
    single = {"type": "modify", "oid": placed["resting"]["oid"], "order": limit(3901.0)}
    assert venue.act(single) == {"status": "ok", "response": {"type": "default"}}
    again = venue.act(single)
    assert again["status"] == "err"
    assert again["response"].startswith("Cannot modify canceled or filled order")


def test_rows_of_an_answer_cost_weight_too() -> None:
    venue = Venue(limits=Limits(weight_per_minute=100))
    venue.run(50.0)
    body = json.dumps({"type": "recentTrades", "coin": "ETH"}).encode()
    reply = venue.exchange.info(body, venue.now_ns)
    rows = len(json.loads(reply.body))
    assert rows >= 60
    weight, answered = 20 + rows // 20, 1
    while venue.exchange.info(body, venue.now_ns).status == 200:
        answered += 1
    # One is let in while there are 20 left. Mutant: 20 each, which makes five.
    assert answered == (100 - 20) // weight + 1
    assert answered < 5
    venue.run(61.0)
    assert venue.exchange.info(body, venue.now_ns).status == 200


def test_thirty_prints_are_replayed_and_candles_add_up() -> None:
    venue = Venue()
    venue.run(100.0)
    feed = venue.connect()
    venue.subscribe(feed, "trades", coin="ETH")
    venue.run(0.001, 0.001)
    recent = venue.ask("recentTrades", coin="ETH")
    assert venue.frames(feed, "trades")[0] == recent[:30][::-1]
    span = {"coin": "ETH", "startTime": 0, "endTime": 2**52}
    minutes = venue.ask("candleSnapshot", req=span | {"interval": "1m"})
    rows = [json.loads(line) for line in venue.log.getvalue().splitlines()]
    prints = [row["data"] for row in rows if row["channel"] == "trades" and row["data"]["coin"] == "ETH"]
    assert sum(bar["n"] for bar in minutes) == len(prints)
    for bar in minutes:
        own = [row for row in prints if bar["t"] <= row["time"] <= bar["T"]]
        prices = [float(row["px"]) for row in own]
        assert (bar["n"], float(bar["o"]), float(bar["c"])) == (len(own), prices[0], prices[-1])
        assert (float(bar["h"]), float(bar["l"])) == (max(prices), min(prices))
        assert float(bar["v"]) == pytest.approx(sum(float(row["sz"]) for row in own))
    # The run passes a full hour.
    hours = venue.ask("candleSnapshot", req=span | {"interval": "1h"})
    assert [bar["t"] % 3_600_000 for bar in hours] == [0, 0]
    assert sum(bar["n"] for bar in hours) == len(prints)


def test_a_flag_that_is_null_is_the_flag_left_out() -> None:
    venue = Venue()
    feed = venue.connect()
    for fields in ({}, {"fast": None}, {"fast": False}):
        venue.subscribe(feed, "l2Book", coin="ETH", **fields)
    venue.run(0.07)
    texts = venue.frames(feed, "error")
    assert len(texts) == 2
    assert all(text.startswith("Already subscribed: ") for text in texts)


def test_books_of_all_coins_share_two_clocks() -> None:
    venue = Venue()
    feed = venue.connect()
    for coin in ("ETH", "xyz:GOLD"):
        for fast in (True, False):
            venue.subscribe(feed, "l2Book", coin=coin, fast=fast)
    venue.run(60.0)
    # The first four came with the subscriptions.
    books = venue.frames(feed, "l2Book")[4:]
    for is_fast, period_ms, levels in ((True, 540, 5), (False, 5000, 20)):
        own = [book for book in books if ("fast" in book) == is_fast]
        assert max(len(side) for book in own for side in book["levels"]) == levels
        times = {coin: [book["time"] for book in own if book["coin"] == coin] for coin in ("ETH", "xyz:GOLD")}
        assert times["ETH"] == times["xyz:GOLD"]
        gaps = [b - a for a, b in itertools.pairwise(times["ETH"])]
        # The first block at or after the clock, which is 45 to 156 ms late.
        assert period_ms - 160 < min(gaps) <= max(gaps) < period_ms + 160
        assert sum(gaps) / len(gaps) == pytest.approx(period_ms, abs=160 / len(gaps) + 1)
    for book in books:
        bids, asks = ([float(level["px"]) for level in side] for side in book["levels"])
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]


def test_what_listeners_heard_is_what_the_log_says() -> None:
    venue = Venue()
    feed = venue.connect()
    venue.run(3.0)
    for kind in ("trades", "bbo", "activeAssetCtx"):
        venue.subscribe(feed, kind, coin="ETH")
    since_ns = venue.now_ns
    venue.run(60.0)
    rows = [json.loads(line) for line in venue.log.getvalue().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    for channel in ("trades", "bbo", "activeAssetCtx"):
        # The first is what came with the subscription.
        heard = venue.frames(feed, channel)[1:]
        heard = [row for data in heard for row in data] if channel == "trades" else heard
        told = [row["data"] for row in rows if row["channel"] == channel and row["time_ns"] > since_ns]
        assert len(heard) > 30
        assert heard == [row for row in told if row["coin"] == "ETH"]


@pytest.mark.parametrize("kind", ["modify", "batchModify"])
def test_refused_post_only_takes_replacements_too_and_their_originals(kind: str) -> None:
    venue = Venue(Fault(kind="refuse_post_only", at_s=2.0, for_s=10.0))
    feed = venue.connect()
    venue.subscribe(feed, "orderUpdates", user=USER)
    venue.run(1.0)
    [first] = statuses(venue.act(orders(limit(3900.0))))
    oid = first["resting"]["oid"]
    venue.run(1.0)
    row = {"oid": oid, "order": limit(3901.0, tif="Gtc")}
    answer = venue.act({"type": kind, **row} if kind == "modify" else {"type": kind, "modifies": [row]})
    # Mutant: the fault passes replacements over; or the original rests on.
    text = answer["response"] if kind == "modify" else statuses(answer)[0]["error"]
    assert text.startswith("Post only order would have immediately matched, bbo was ")
    assert venue.ask("openOrders", user=USER) == []
    told = [(row["order"]["oid"], row["status"]) for data in venue.frames(feed, "orderUpdates") for row in data]
    assert told == [(oid, "open"), (oid, "canceled")]


def test_a_post_only_order_refused_by_a_fault_is_told_of_under_a_name_of_its_own() -> None:
    venue = Venue(Fault(kind="refuse_post_only", at_s=0.0, for_s=10.0))
    feed = venue.connect()
    venue.subscribe(feed, "orderUpdates", user=USER)
    venue.run(1.0)
    refused, rests = statuses(venue.act(orders(limit(3900.0), limit(3901.0, tif="Gtc"))))
    assert refused["error"].startswith("Post only order would have immediately matched, bbo was ")
    assert refused["error"].endswith(f" asset={ETH}")
    oid = rests["resting"]["oid"]
    told = [(row["order"]["oid"], row["status"]) for data in venue.frames(feed, "orderUpdates") for row in data]
    # Mutant: an answer alone, without a row.
    assert told == [(oid - 1, "badAloPxRejected"), (oid, "open")]
    shown = venue.ask("orderStatus", user=USER, oid=oid - 1)
    assert (shown["order"]["status"], shown["order"]["order"]["tif"]) == ("badAloPxRejected", "Alo")
