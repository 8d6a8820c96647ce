"""The official client, as it is, drives `hypermm exchange`: only its base URL is another."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.types import Cloid

from loopback_exchange import exchange

MAKER, TAKER, POOR, STRANGER = (Account.from_key("0x" + f"{number:02x}" * 32) for number in (0x11, 0x22, 0x33, 0x44))
AGENT = Account.from_key("0x" + "55" * 32)
BUILDER_COIN = "xyz:GOLD"
DEXES = ["", "xyz"]
ACCOUNTS = f"""
[[account]]
address = "{MAKER.address}"
deposit_usd = 100000.0
volume_usd = 2000000.0
[[account.agents]]
address = "{AGENT.address}"
name = "agent"

[[account]]
address = "{TAKER.address}"
deposit_usd = 100000.0

[[account]]
address = "{POOR.address}"
deposit_usd = 0.0
"""
PATIENCE_S = 20.0
T = TypeVar("T")


@dataclass(frozen=True)
class Clients:
    """Everything the tests talk through."""

    url: str
    info: Info
    maker: Exchange
    taker: Exchange


@contextlib.contextmanager
def exchange_of_accounts(folder: Path) -> Iterator[str]:
    """The address of an exchange in a process of its own."""
    accounts = folder / "accounts.toml"
    accounts.write_text(ACCOUNTS)
    with exchange(folder, "--accounts", str(accounts)) as said:
        yield said["url"]


def connected(url: str) -> Clients:
    info = Info(url, skip_ws=True, perp_dexs=DEXES, timeout=PATIENCE_S)
    maker, taker = (Exchange(key, url, perp_dexs=DEXES, timeout=PATIENCE_S) for key in (MAKER, TAKER))
    return Clients(url, info, maker, taker)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """An exchange that several tests share, and with it the 1200 requests' weight of its first minute."""
    with exchange_of_accounts(tmp_path_factory.mktemp("exchange")) as url:
        yield connected(url)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Clients]:
    """An exchange of a test's own."""
    with exchange_of_accounts(tmp_path) as url:
        yield connected(url)


def until(ask: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """Asks until it holds."""
    ends_s = time.monotonic() + PATIENCE_S
    while not holds(answer := ask()):
        assert time.monotonic() < ends_s, answer
        time.sleep(0.05)
    return answer


def statuses(answer: Any) -> list[Any]:
    assert answer["status"] == "ok", answer
    found: list[Any] = answer["response"]["data"]["statuses"]
    return found


def mid(info: Info, coin: str) -> float:
    return float(info.all_mids(coin.partition(":")[0] if ":" in coin else "")[coin])


def price_below(info: Info, coin: str, part: float) -> float:
    return float(f"{mid(info, coin) * (1.0 - part):.4g}")


def soon_ms() -> int:
    """A little more than the notice the dead-man switch wants."""
    return int(time.time() * 1000) + 6_000


GTC: Any = {"limit": {"tif": "Gtc"}}
ALO: Any = {"limit": {"tif": "Alo"}}
IOC: Any = {"limit": {"tif": "Ioc"}}


def test_info_answers_are_parsed(clients: Clients) -> None:
    """Kills: an asset id that the client would not make of ``meta``, a query without an answer."""
    info = clients.info
    dexs = info.perp_dexs()
    assert dexs[0] is None
    assert dexs[1]["name"] == "xyz"
    metas = {dex: info.meta(dex)["universe"] for dex in DEXES}
    for offset, dex in ((0, ""), (110_000, "xyz")):
        for index, row in enumerate(metas[dex]):
            assert info.name_to_asset(row["name"]) == offset + index
    assert any(row.get("isDelisted") for row in metas[""])
    assert (metas["xyz"][0]["marginMode"], metas["xyz"][0]["growthMode"]) == ("strictIsolated", "enabled")
    for coin, dex in (("ETH", ""), (BUILDER_COIN, "xyz")):
        bids, asks = info.l2_snapshot(coin)["levels"]
        assert float(bids[0]["px"]) < mid(info, coin) < float(asks[0]["px"])
        index = [row["name"] for row in metas[dex]].index(coin)
        context = info.post("/info", {"type": "metaAndAssetCtxs", "dex": dex})[1][index]
        assert abs(float(context["markPx"]) / float(context["oraclePx"]) - 1.0) < 0.01
        state = info.user_state(MAKER.address, dex)
        assert float(state["marginSummary"]["accountValue"]) > 0.0
    address = TAKER.address
    now_ms = int(time.time() * 1000)
    assert info.meta_and_asset_ctxs()[0]["universe"] == metas[""]
    assert info.user_rate_limit(address)["nRequestsCap"] >= 10_000
    assert float(info.user_fees(address)["userCrossRate"]) == 0.00045
    assert info.user_role(address) == {"role": "user"}
    assert info.user_role(STRANGER.address) == {"role": "missing"}
    assert [agent["address"] for agent in info.extra_agents(MAKER.address)] == [AGENT.address.lower()]
    for rows in (
        info.open_orders(address),
        info.frontend_open_orders(address),
        info.user_fills(address),
        info.user_fills_by_time(address, now_ms - 1000, now_ms),
        info.historical_orders(address),
        info.funding_history("ETH", now_ms - 1000),
        info.user_funding_history(address, now_ms - 1000),
        info.candles_snapshot("ETH", "1m", now_ms - 60_000, now_ms),
        info.spot_user_state(address)["balances"],
    ):
        assert isinstance(rows, list)
    assert info.query_order_by_oid(address, 1) == {"status": "unknownOid"}
    with pytest.raises(ClientError):
        info.post("/info", {"type": "nothing"})


@pytest.mark.parametrize("coin", ["ETH", BUILDER_COIN])
def test_orders_are_placed_modified_and_canceled(clients: Clients, coin: str) -> None:
    """Kills: any action of the client that the exchange reads otherwise than it is meant."""
    info, maker = clients.info, clients.maker
    address, dex = MAKER.address, coin.rpartition(":")[0]
    cloids = [Cloid.from_int(int.from_bytes(coin.encode()) % 2**64 + place) for place in range(3)]
    low = price_below(info, coin, 0.05)
    size = 0.05 if coin == "ETH" else 5.0
    (placed,) = statuses(maker.order(coin, is_buy=True, sz=size, limit_px=low, order_type=GTC, cloid=cloids[0]))
    oid = placed["resting"]["oid"]
    assert oid > 2**32
    (shown,) = info.frontend_open_orders(address, dex)
    assert (shown["oid"], shown["cloid"], shown["coin"], shown["tif"]) == (oid, cloids[0].to_raw(), coin, "Gtc")
    assert (float(shown["limitPx"]), float(shown["sz"]), shown["side"]) == (low, size, "B")
    assert info.query_order_by_cloid(address, cloids[0])["order"]["order"]["oid"] == oid

    bulk = [
        {"coin": coin, "is_buy": True, "sz": size, "limit_px": low, "order_type": ALO, "reduce_only": False},
        {"coin": coin, "is_buy": True, "sz": size, "limit_px": low, "order_type": ALO, "reduce_only": False}
        | {"cloid": cloids[1]},
        {"coin": coin, "is_buy": True, "sz": size, "limit_px": 2 * low, "order_type": ALO, "reduce_only": False},
        {"coin": coin, "is_buy": False, "sz": size, "limit_px": low, "order_type": IOC, "reduce_only": True},
    ]
    told = statuses(maker.bulk_orders(bulk))
    assert told[0]["resting"]["oid"] not in (oid, told[1]["resting"]["oid"])
    assert told[1]["resting"]["cloid"] == cloids[1].to_raw()
    suffix = f" asset={info.name_to_asset(coin)}"
    assert told[2]["error"].startswith("Post only order would have immediately matched, bbo was ")
    assert told[2]["error"].endswith(suffix)
    assert told[3]["error"] == "Reduce only order would increase position." + suffix

    lower = price_below(info, coin, 0.06)
    by_oid = maker.modify_order(oid, coin, is_buy=True, sz=size, limit_px=lower, order_type=ALO)
    new = statuses(by_oid)[0]["resting"]["oid"]
    assert new > oid
    (by_cloid,) = statuses(
        maker.bulk_modify_orders_new([{"oid": cloids[1], "order": bulk[1] | {"limit_px": lower, "cloid": cloids[2]}}])
    )
    assert by_cloid["resting"]["cloid"] == cloids[2].to_raw()
    assert info.query_order_by_oid(address, oid)["order"]["status"] == "canceled"
    assert info.query_order_by_oid(address, new)["order"]["status"] == "open"

    assert statuses(maker.cancel(coin, new)) == ["success"]
    assert statuses(maker.cancel_by_cloid(coin, cloids[2])) == ["success"]
    (gone,) = statuses(maker.cancel(coin, new))
    assert gone == {"error": "Order was never placed, already canceled, or filled." + suffix}
    left = [{"coin": row["coin"], "oid": row["oid"]} for row in info.open_orders(address, dex)]
    assert statuses(maker.bulk_cancel(left)) == ["success"] * len(left)
    assert info.open_orders(address, dex) == []


def test_leverage_margin_and_the_dead_man_switch_are_set(clients: Clients) -> None:
    """Kills: settings that are answered but not made."""
    maker, info = clients.maker, clients.info
    done = {"status": "ok", "response": {"type": "default"}}
    assert maker.update_leverage(7, "ETH", is_cross=False) == done
    (filled,) = statuses(maker.market_open("ETH", is_buy=True, sz=0.05, slippage=0.02))
    assert float(filled["filled"]["totalSz"]) == 0.05
    (position,) = [row["position"] for row in info.user_state(MAKER.address)["assetPositions"]]
    assert (position["leverage"]["type"], position["leverage"]["value"]) == ("isolated", 7)
    before = Decimal(position["marginUsed"])
    assert maker.update_isolated_margin(5.0, "ETH") == done
    (position,) = [row["position"] for row in info.user_state(MAKER.address)["assetPositions"]]
    assert abs(Decimal(position["marginUsed"]) - before - 5) < 2
    assert maker.update_leverage(5, BUILDER_COIN)["response"] == "Cross margin is not allowed for this asset."
    assert maker.update_leverage(100, "ETH")["response"] == "Invalid leverage value"
    (closed,) = statuses(maker.market_close("ETH", slippage=0.02))
    assert float(closed["filled"]["totalSz"]) == 0.05
    assert maker.update_leverage(20, "ETH") == done

    assert maker.schedule_cancel(soon_ms()) == done
    assert maker.schedule_cancel(None) == done
    assert maker.schedule_cancel(soon_ms() - 5_000)["response"].startswith("Scheduled cancel time too early")
    refused = clients.taker.schedule_cancel(soon_ms())
    assert refused["response"].startswith("Cannot set scheduled cancel time until enough volume traded. Required: $")


@pytest.mark.verify
def test_dead_man_switch_fires(alone: Clients) -> None:
    """Kills: a switch that is answered and never fires. Slow: the venue wants five seconds' notice."""
    low = price_below(alone.info, "ETH", 0.05)
    (placed,) = statuses(alone.maker.order("ETH", is_buy=True, sz=0.05, limit_px=low, order_type=ALO))
    oid = placed["resting"]["oid"]
    assert alone.maker.schedule_cancel(soon_ms())["status"] == "ok"
    row = until(lambda: alone.info.query_order_by_oid(MAKER.address, oid)["order"], lambda row: row["status"] != "open")
    assert row["status"] == "scheduledCancel"


def test_two_accounts_trade_and_hear_of_it(alone: Clients) -> None:
    """Kills: a fill that one side does not hear of, a channel whose frames the client's manager does not know."""
    info = Info(alone.url, perp_dexs=DEXES, timeout=PATIENCE_S)
    heard: queue.Queue[Any] = queue.Queue()
    subscriptions: list[Any] = [
        {"type": "allMids"},
        *({"type": kind, "coin": coin} for kind in ("l2Book", "bbo", "trades") for coin in ("ETH", BUILDER_COIN)),
        {"type": "activeAssetCtx", "coin": "ETH"},
        {"type": "orderUpdates", "user": TAKER.address},
        {"type": "userFills", "user": TAKER.address},
        {"type": "userEvents", "user": TAKER.address},
        {"type": "userFundings", "user": TAKER.address},
    ]
    try:
        numbers = [info.subscribe(subscription, heard.put) for subscription in subscriptions]
        channels: dict[str, list[Any]] = {}

        def listen(*wanted: str) -> None:
            ends_s = time.monotonic() + PATIENCE_S
            while missing := [name for name in wanted if name not in channels]:
                assert time.monotonic() < ends_s, f"nothing on {missing}, only on {sorted(channels)}"
                try:
                    message = heard.get(timeout=0.2)
                except queue.Empty:
                    continue
                channels.setdefault(message["channel"], []).append(message["data"])

        listen("l2Book", "bbo", "activeAssetCtx", "userFills")
        # Farther than the others reach, nearer than the taker does.
        high = float(f"{mid(info, BUILDER_COIN) * 1.001:.5g}")
        (placed,) = statuses(alone.maker.order(BUILDER_COIN, is_buy=False, sz=30.0, limit_px=high, order_type=GTC))
        oid = placed["resting"]["oid"]
        sweep = float(f"{high * 1.005:.4g}")
        answer = alone.taker.order(BUILDER_COIN, is_buy=True, sz=3000.0, limit_px=sweep, order_type=IOC)
        (taken,) = statuses(answer)
        until(
            lambda: info.query_order_by_oid(MAKER.address, oid)["order"],
            lambda row: row["status"] == "filled",
        )
        mine = [row for row in info.user_fills(MAKER.address) if row["oid"] == oid]
        assert sum(float(row["sz"]) for row in mine) == 30.0
        theirs = [row for row in info.user_fills(TAKER.address) if row["oid"] == taken["filled"]["oid"]]
        # The builder's scale of 1 doubles what the lowest tier pays, growth mode makes a tenth of it.
        for row, rate in [*((row, "0.00003") for row in mine), *((row, "0.00009") for row in theirs)]:
            owed = Decimal(row["px"]) * Decimal(row["sz"]) * Decimal(rate)
            assert 0 <= owed - Decimal(row["fee"]) < Decimal("0.000001")
        both = {row["tid"] for row in mine} & {row["tid"] for row in theirs}
        assert both, "the two did not meet"
        assert sum(Decimal(row["sz"]) for row in theirs) == Decimal(taken["filled"]["totalSz"])
        for row in mine:
            if row["tid"] in both:
                (other,) = [fill for fill in theirs if fill["tid"] == row["tid"]]
                assert (row["px"], row["sz"], row["hash"]) == (other["px"], other["sz"], other["hash"])
                assert (row["side"], other["side"], other["crossed"]) == ("A", "B", True)
        channels.pop("userFills")
        listen("userFills", "orderUpdates", "user", "trades", "allMids")
        told = [row for data in channels["userFills"] for row in data["fills"]]
        assert {row["tid"] for row in theirs} <= {row["tid"] for row in told}
        for subscription, number in zip(subscriptions, numbers, strict=True):
            assert info.unsubscribe(subscription, number)
    finally:
        info.disconnect_websocket()


def test_strangers_are_refused_in_the_venues_words(alone: Clients) -> None:
    """Kills: a key that may act for nobody, a wrong network taken, a nonce taken twice."""
    low = price_below(alone.info, "ETH", 0.05)

    def told(exchange: Exchange) -> str:
        answer = exchange.order("ETH", is_buy=True, sz=0.01, limit_px=low, order_type=ALO)
        return str(answer["response"]) if answer["status"] == "err" else str(statuses(answer))

    stranger = Exchange(STRANGER, alone.url, timeout=PATIENCE_S)
    assert told(stranger) == f"User or API Wallet {STRANGER.address.lower()} does not exist."
    poor = Exchange(POOR, alone.url, timeout=PATIENCE_S)
    assert told(poor).startswith("Must deposit before performing actions.")
    agent = Exchange(AGENT, alone.url, account_address=MAKER.address, timeout=PATIENCE_S)
    assert "resting" in told(agent)
    (order,) = alone.info.open_orders(MAKER.address)
    assert statuses(alone.maker.cancel("ETH", order["oid"])) == ["success"]
    nonce = int(time.time() * 1000)
    assert alone.maker.noop(nonce) == {"status": "ok", "response": {"type": "default"}}
    assert alone.maker.noop(nonce)["response"] == f"Invalid nonce: duplicate nonce {nonce}"
    alone.maker.set_expires_after(int(time.time() * 1000) - 1)
    try:
        assert told(alone.maker) == "Action already expired"
    finally:
        alone.maker.set_expires_after(None)
    wrong = Exchange(MAKER, alone.url, timeout=PATIENCE_S)
    wrong.base_url = "https://api.hyperliquid.xyz"
    post = wrong.session.post
    wrong.session.post = lambda _, **given: post(alone.url + "/exchange", **given)
    assert told(wrong).startswith("User or API Wallet 0x")
