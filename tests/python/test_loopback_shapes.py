"""Payloads of the exchange have the shape of those captured on the venue, key by key."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.decode import read_frame
from loopback_session import GOLD, OWNER, Client, Socket, address, exchange, limit, play

# Some captures write whole numbers of ours without the place.
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
OPTIONAL = {
    "userFills": {"builderFee", "cloid", "liquidation"},
    "user": {"builderFee", "cloid", "liquidation"},
    "orderUpdates": {"cloid", "reduceOnly"},
    # Left out of one capture.
    "activeAssetCtx": {"dayNtlVlm"},
    "clearinghouseState": {"crossMaintenanceMarginUsed", "marginSummary"},
    "fundingHistory": {"premium"},
    "meta": {"isDelisted", "onlyIsolated", "marginTableId", "marginTables", "collateralToken"},
    "l2Book": {"fast", "n"},
    "spotMeta": {"evmContract", "fullName", "deployerTradingFeeShare"},
}


def shape(value: Any, key: str = "") -> Any:
    """Keys and kinds of a payload: of a list, every shape its members have."""
    if isinstance(value, dict):
        if key == "mids":
            return [shape(list(value.values()))]
        return {name: shape(member, name) for name, member in value.items()}
    if isinstance(value, list):
        shapes: list[Any] = []
        for member in value:
            found = shape(member)
            if found not in shapes:
                shapes.append(found)
        return shapes
    if isinstance(value, str):
        return "number" if NUMBER.fullmatch(value) else "text"
    return {bool: "bool", int: "integer", float: "float", type(None): "null"}[type(value)]


def differences(ours: Any, theirs: Any, optional: set[str], place: str = "$") -> list[str]:
    """Where two shapes differ beyond keys that may be left out and values that may be null."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for key in sorted(set(ours) | set(theirs)):
            if key not in ours or key not in theirs:
                if key not in optional:
                    found.append(f"{place}.{key} is only {'ours' if key in ours else 'theirs'}")
            else:
                found += differences(ours[key], theirs[key], optional, f"{place}.{key}")
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        if not ours or not theirs:
            return []
        return [
            problem
            for member in ours
            for problem in min((differences(member, other, optional, place + "[]") for other in theirs), key=len)
        ]
    if ours == theirs or "null" in (ours, theirs):
        return []
    return [f"{place}: {ours} is ours, {theirs} theirs"]


async def everything(client: Client, feed: Socket) -> None:
    """Hears a frame of every channel that the captures have."""
    user = address(OWNER)
    for kind in ("bbo", "trades", "activeAssetCtx", "l2Book"):
        for coin in ("ETH", "MATIC", "xyz:GOLD"):
            await feed.subscribe(kind, coin=coin)
    for kind in ("userFills", "userEvents", "orderUpdates"):
        await feed.subscribe(kind, user=user)
    await feed.subscribe("candle", coin="ETH", interval="1m")
    await feed.subscribe("allMids")
    await feed.subscribe("allDexsAssetCtxs")
    await feed.say({"method": "unsubscribe", "subscription": {"type": "candle", "coin": "BTC", "interval": "1m"}})
    await feed.say({"method": "ping"})
    bid, ask = await client.best()
    await client.order(limit(round(ask * 1.02)), limit(round(ask * 1.01), size="0.05", tif="Ioc"))
    await client.order(limit(round(bid * 0.99), buy=False, size="0.05", tif="Ioc", reduce_only=True))
    gold = (await client.best("xyz:GOLD"))[1]
    await client.order(limit(round(gold * 1.02, 3), size="2", tif="Ioc", asset=GOLD))
    await feed.all_until(1.0)


def test_frames_have_the_keys_of_captured_ones(real_frames: Path) -> None:
    captured = [json.loads(line) for line in (real_frames / "captured_ws_frames_2026.jsonl").read_text().splitlines()]
    others = ("ws_allmids", "ws_all_dexs_asset_ctxs", "ws_user_fill_liquidation")
    captured += [json.loads((real_frames / "nautilus_hyperliquid" / f"{name}.json").read_text()) for name in others]
    ours: dict[str, list[Any]] = {}
    texts: list[str] = []

    async def test() -> None:
        async with exchange(speed=4.0) as client, client.session.ws_connect(client.url + "/ws") as inner:
            feed = Socket(inner)
            await everything(client, feed)
            for frame in feed.heard:
                texts.append(json.dumps(frame))
                ours.setdefault(frame["channel"], []).append(frame)

    play(test)
    compared = set()
    for frame in captured:
        channel = frame["channel"]
        if channel in ("error", "subscriptionResponse"):
            continue
        compared.add(channel)
        found = [differences(shape(mine), shape(frame), OPTIONAL.get(channel, set())) for mine in ours[channel]]
        assert min(found, key=len) == [], channel
    assert {"bbo", "activeAssetCtx", "trades", "candle", "l2Book", "userFills", "user", "orderUpdates"} <= compared
    told = [frame["data"]["subscription"] for frame in ours["subscriptionResponse"]]
    for frame in captured:
        if frame["channel"] == "subscriptionResponse":
            theirs = frame["data"]["subscription"]
            assert any(list(mine) == list(theirs) for mine in told if mine["type"] == theirs["type"])
    # And the live client reads them all.
    for text in texts:
        read_frame(text)
    print(f"{len(texts)} frames of {len(ours)} channels have the captured shapes and are read by the client")


def test_answers_have_the_keys_of_captured_ones(real_frames: Path) -> None:
    user = {"user": address(OWNER)}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("http_l2_book_btc", "l2Book", {"coin": "ETH"}),
        ("http_recent_trades_btc", "recentTrades", {"coin": "ETH"}),
        ("http_meta_perp_sample", "meta", {}),
        ("http_clearinghouse_state_negative_total_raw_usd", "clearinghouseState", user),
        ("http_spot_meta_non_usdc_collateral", "spotMeta", {}),
        ("http_spot_clearinghouse_state", "spotClearinghouseState", user),
        ("http_user_fills_dust_conversion", "userFills", user),
    ]

    async def test() -> None:
        async with exchange(speed=4.0) as client:
            ask = (await client.best())[1]
            await client.order(limit(round(ask * 1.01), size="0.05", tif="Ioc"))
            await asyncio.sleep(0.3)
            for name, kind, fields in asked:
                theirs = json.loads((real_frames / "nautilus_hyperliquid" / f"{name}.json").read_text())
                ours = await client.info(kind, **fields)
                assert differences(shape(ours), shape(theirs), OPTIONAL.get(kind, set())) == [], kind
                # Mutant: a number sent as JSON number, or without its decimal place.
                assert "float" not in json.dumps(shape(ours))
                read_info(kind, json.dumps(ours).encode())

    play(test)


def test_every_answer_is_read_by_the_client() -> None:
    user = address(OWNER)
    asked: list[tuple[str, dict[str, Any]]] = [
        *((kind, {}) for kind in ("meta", "metaAndAssetCtxs", "allPerpMetas", "perpDexs", "spotMeta", "allMids")),
        ("exchangeStatus", {}),
        *((kind, {"user": user, "dex": "xyz"}) for kind in ("clearinghouseState", "openOrders", "frontendOpenOrders")),
        *((kind, {"user": user}) for kind in ("clearinghouseState", "openOrders", "frontendOpenOrders", "userFills")),
        *((kind, {"user": user}) for kind in ("historicalOrders", "userRateLimit", "userFees", "userRole")),
        ("extraAgents", {"user": user}),
        ("spotClearinghouseState", {"user": user}),
        ("userFillsByTime", {"user": user, "startTime": 0}),
        ("userFunding", {"user": user, "startTime": 0}),
        ("fundingHistory", {"coin": "ETH", "startTime": 0}),
        ("orderStatus", {"user": user, "oid": 1}),
        ("activeAssetData", {"user": user, "coin": "xyz:GOLD"}),
        ("l2Book", {"coin": "ETH"}),
        ("l2Book", {"coin": "ETH", "nSigFigs": 3}),
        ("recentTrades", {"coin": "ETH"}),
    ]

    async def test() -> None:
        async with exchange() as client:
            ask = (await client.best())[1]
            await client.order(limit(round(ask * 0.9)), limit(round(ask * 1.01), size="0.05", tif="Ioc"))
            for kind, fields in asked:
                answer = await client.info(kind, **fields)
                read_info(kind, json.dumps(answer).encode())
            # Without a type of the client's own.
            for kind in ("predictedFundings", "spotMetaAndAssetCtxs"):
                assert await client.info(kind)
            candles = {"coin": "ETH", "interval": "1m", "startTime": 0, "endTime": 2**52}
            [bar] = (await client.info("candleSnapshot", req=candles))[-1:]
            assert list(bar) == ["t", "T", "s", "i", "o", "c", "h", "l", "v", "n"]

    play(test)
