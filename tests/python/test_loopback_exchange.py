"""The exchange without sockets and without a clock: hours in a moment, and the same again from the same seed."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopback_session import ETH, GOLD, MATIC, limit
from loopback_steps import NS, START, USER, Venue, taker


def test_funding_is_paid_each_hour_and_told_alike_everywhere() -> None:
    venue = Venue()
    feed, other = venue.connect(), venue.connect()
    venue.subscribe(feed, "userFundings", user=USER)
    venue.subscribe(other, "userEvents", user=USER)
    for each in (feed, other):
        # What is silent for a minute is closed.
        venue.subscribe(each, "activeAssetCtx", coin="ETH")
    venue.run(1.0)
    for coin, asset, size in (("ETH", ETH, "0.5"), ("xyz:GOLD", GOLD, "20")):
        ask = float(venue.ask("l2Book", coin=coin)["levels"][1][0]["px"])
        answer = venue.act(taker(asset, float(f"{ask * 1.02:.4g}"), size))
        assert "filled" in answer["response"]["data"]["statuses"][0], answer
    venue.run(61.0)
    [row_frame] = [data for data in venue.frames(feed, "userFundings") if not data.get("isSnapshot")]
    rows = row_frame["fundings"]
    assert [row["coin"] for row in rows] == ["ETH", "xyz:GOLD"]
    hour_ms = (START + 60 * NS) // 1_000_000
    for row in rows:
        assert 0 <= row["time"] - hour_ms < 200
        context = venue.ask("metaAndAssetCtxs", dex="xyz" if ":" in row["coin"] else "")[1][-1]
        paid = float(row["szi"]) * float(context["oraclePx"]) * float(row["fundingRate"])
        assert float(row["usdc"]) == pytest.approx(-paid, rel=2e-3, abs=2e-6)
        assert paid != 0.0
        [history] = venue.ask("fundingHistory", coin=row["coin"], startTime=0)
        assert (history["fundingRate"], history["time"]) == (row["fundingRate"], row["time"])
    told = [data["funding"] for data in venue.frames(other, "user") if "funding" in data]
    assert told == rows
    ledger = venue.ask("userFunding", user=USER, startTime=0)
    assert [entry["delta"] for entry in ledger] == [
        {"type": "funding"} | {key: row[key] for key in ("coin", "usdc", "szi", "fundingRate", "nSamples")}
        for row in rows
    ]
    [position] = venue.ask("clearinghouseState", user=USER)["assetPositions"]
    paid_text = position["position"]["cumFunding"]["sinceOpen"]
    assert float(paid_text) == pytest.approx(-float(rows[0]["usdc"]))


def test_the_same_seed_and_the_same_requests_give_the_same_bytes() -> None:
    def play(seed: int, step_s: float) -> bytes:
        venue = Venue(seed=seed)
        venue.run(5.0, step_s)
        venue.act(taker(ETH, 4400.0, "0.1"))
        venue.run(20.0, step_s)
        return venue.log.getvalue()

    once = play(3, 0.07)
    assert once.count(b"\n") > 300
    assert once == play(3, 0.07)
    assert once != play(4, 0.07)


def test_a_socket_that_takes_nothing_is_cut_and_prints_are_forgotten() -> None:
    venue = Venue()
    feed = venue.connect()
    venue.connections.clear()
    for kind in ("l2Book", "trades", "bbo", "activeAssetCtx"):
        venue.subscribe(feed, kind, coin="ETH")
    # Mutant: a queue that a slow socket fills without end.
    venue.run(600.0, 1.0)
    assert feed.is_cut
    assert len(venue.ask("recentTrades", coin="ETH")) == 500


def test_nobody_answers_a_socket_that_only_listens_to_nothing() -> None:
    venue = Venue()
    feed = venue.connect()
    venue.run(59.9, 0.1)
    assert not feed.is_cut
    venue.run(0.2, 0.1)
    assert feed.is_cut


def test_a_switch_that_fires_cancels_and_says_so() -> None:
    venue = Venue(volume_usd=2e6)
    feed, other = venue.connect(), venue.connect()
    venue.subscribe(feed, "orderUpdates", user=USER)
    venue.subscribe(other, "userEvents", user=USER)
    far = {"type": "order", "orders": [limit(3900.0), limit(30.0, size="1", asset=GOLD)], "grouping": "na"}
    oids = [status["resting"]["oid"] for status in venue.act(far)["response"]["data"]["statuses"]]
    at_ms = venue.now_ns // 1_000_000 + 6000
    assert venue.act({"type": "scheduleCancel", "time": at_ms})["status"] == "ok"
    venue.run(4.0)
    assert len(venue.ask("openOrders", user=USER)) + len(venue.ask("openOrders", user=USER, dex="xyz")) == 2
    venue.run(3.0)
    assert venue.ask("openOrders", user=USER) == []
    rows = [row for data in venue.frames(feed, "orderUpdates") for row in data]
    assert {(row["order"]["oid"], row["status"]) for row in rows if row["status"] != "open"} == {
        (oid, "scheduledCancel") for oid in oids
    }
    told = [entry["oid"] for data in venue.frames(other, "user") for entry in data["nonUserCancel"]]
    assert sorted(told) == sorted(oids)


# --- anything that can be signed --------------------------------------------------------------------------------

assets = st.sampled_from([ETH, GOLD, MATIC, 2, 110_001, 2**32 - 1])
decimals = st.sampled_from(["0", "0.00000001", "4000", "4286.5", "30", "30.123456", "99999999999", "1", "0.01", "5"])
oids = st.sampled_from([1, 560_000_000_001, 2**63, 2**64 - 1])
cloids = st.sampled_from(["0x" + "1" * 32, "0x" + "a" * 32])
tifs = st.sampled_from(["Alo", "Ioc", "Gtc", "FrontendMarket"]).map(lambda tif: {"limit": {"tif": tif}})
trigger = st.just({"trigger": {"isMarket": True, "triggerPx": "4000", "tpsl": "sl"}})
orders = st.fixed_dictionaries(
    {"a": assets, "b": st.booleans(), "p": decimals, "s": decimals, "r": st.booleans(), "t": tifs | trigger},
    optional={"c": cloids},
)
modifies = st.fixed_dictionaries({"oid": oids | cloids, "order": orders})
actions = st.one_of(
    st.lists(orders, max_size=4).map(lambda rows: {"type": "order", "orders": rows, "grouping": "na"}),
    st.lists(st.fixed_dictionaries({"a": assets, "o": oids}), max_size=3).map(
        lambda rows: {"type": "cancel", "cancels": rows, "f": True}
    ),
    st.lists(st.fixed_dictionaries({"asset": assets, "cloid": cloids}), max_size=3).map(
        lambda rows: {"type": "cancelByCloid", "cancels": rows}
    ),
    st.lists(modifies, max_size=3).map(lambda rows: {"type": "batchModify", "modifies": rows}),
    modifies.map(lambda row: {"type": "modify"} | row),
    st.fixed_dictionaries(
        {
            "type": st.just("updateLeverage"),
            "asset": assets,
            "isCross": st.booleans(),
            "leverage": st.integers(0, 2**32 - 1),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("updateIsolatedMargin"),
            "asset": assets,
            "isBuy": st.booleans(),
            "ntli": st.integers(-(2**63), 2**63 - 1),
        }
    ),
    st.fixed_dictionaries({"type": st.just("scheduleCancel")}, optional={"time": st.integers(0, 2**63 - 1)}),
    st.just({"type": "reserveRequestWeight", "weight": 5}),
    st.just({"type": "noop"}),
)
PLAYED = Venue()
PLAYED.run(0.5)


@settings(max_examples=80, deadline=None)
@given(actions)
def test_whatever_is_signed_is_answered_in_the_venue_s_shape(action: dict[str, Any]) -> None:
    answer = PLAYED.act(action)
    if answer["status"] == "err":
        assert answer["response"]
        return
    assert answer["status"] == "ok"
    response = answer["response"]
    rows = action.get("orders") or action.get("cancels") or action.get("modifies")
    if action["type"] == "modify" or rows is None:
        assert response == {"type": "default"}
        return
    assert response["type"] == ("cancel" if "cancels" in action else "order")
    statuses = response["data"]["statuses"]
    assert len(statuses) in (1, len(rows))
    for status in statuses:
        assert status == "success" or list(status) in (["error"], ["resting"], ["filled"])
    # What it says of itself stays readable.
    assert all(float(order["sz"]) > 0.0 for order in PLAYED.ask("openOrders", user=USER))


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.verify
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's count of resident pages")
def test_hours_pass_quickly_and_keep_memory_flat() -> None:
    venue = Venue()
    feed = venue.connect()
    venue.connections.clear()
    for kind in ("l2Book", "bbo", "trades", "activeAssetCtx"):
        venue.subscribe(feed, kind, coin="ETH")
    sizes, frames = [], 0
    started = time.process_time()
    for _ in range(4):
        for _ in range(3600):
            venue.now_ns += NS
            venue.exchange.advance(venue.now_ns)
            frames += len(feed.take(venue.now_ns))
        venue.log.seek(0)
        venue.log.truncate()
        sizes.append(resident_mb())
    cpu_s = time.process_time() - started
    print(f"4 h of the venue, {frames:,} frames: {cpu_s:.1f} s; resident {', '.join(f'{mb:.1f}' for mb in sizes)} MB")
    assert sizes[-1] - sizes[0] < 3.0
    assert cpu_s < 4 * 3600 / 100
