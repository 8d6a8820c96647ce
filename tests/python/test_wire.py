"""Hyperliquid's words are read as the venue writes them: captured payloads, unknown fields, values out of range."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hypermm.exceptions import WireError
from hypermm.exchange.hyperliquid import wire, wire_info
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.decode import read_frame

# Captured REST payloads by the request they answer.
REST = {
    "http_all_perp_metas_non_usdc_collateral.json": "allPerpMetas",
    "http_clearinghouse_state_negative_total_raw_usd.json": "clearinghouseState",
    "http_funding_history.json": "fundingHistory",
    "http_l2_book_btc.json": "l2Book",
    "http_l2_book_snapshot.json": "l2Book",
    "http_meta_perp_sample.json": "meta",
    "http_recent_trades_btc.json": "recentTrades",
    "http_spot_clearinghouse_state.json": "spotClearinghouseState",
    "http_spot_meta_non_usdc_collateral.json": "spotMeta",
    "http_user_fills_dust_conversion.json": "userFills",
    "ws_book_data.json": "l2Book",
}

# Payloads of the protocol sheet for which nothing was captured.
SHEET: dict[str, str] = {
    "perpDexs": """[null,{"name":"xyz","fullName":"XYZ","deployer":"0x00","oracleUpdater":null,"feeRecipient":"0x01",
        "assetToStreamingOiCap":[["xyz:AAPL","1000000.0"]],"subDeployers":[["setOracle",["0x02"]]],
        "assetToFundingMultiplier":[["xyz:XYZ100","0.5"]],"assetToFundingInterestRate":[]}]""",
    "metaAndAssetCtxs": """[{"universe":[{"szDecimals":5,"name":"BTC","maxLeverage":40,"marginTableId":56}],
        "marginTables":[[56,{"description":"tiered 40x","marginTiers":[{"lowerBound":"0.0","maxLeverage":40}]}]],
        "collateralToken":0},[{"funding":"0.0000018952","openInterest":"36585.31848","prevDayPx":"86627.0",
        "dayNtlVlm":"4161029539.6949653625","premium":"-0.0006413454","oraclePx":"84198.0","markPx":"84148.0",
        "midPx":"84143.5","impactPxs":["84143.0","84144.0"],"dayBaseVlm":"49116.08533"}]]""",
    "clearinghouseState": """{"marginSummary":{"accountValue":"179.007426","totalNtlPos":"47.66235",
        "totalRawUsd":"131.345076","totalMarginUsed":"2.383117"},"crossMarginSummary":{"accountValue":"179.007426",
        "totalNtlPos":"47.66235","totalRawUsd":"131.345076","totalMarginUsed":"2.383117"},
        "crossMaintenanceMarginUsed":"0.595779","withdrawable":"174.241191","assetPositions":[{"type":"oneWay",
        "position":{"coin":"BTC","szi":"-0.00061","leverage":{"type":"cross","value":20},"entryPx":"82771.8",
        "positionValue":"47.66235","unrealizedPnl":"-2.82848","returnOnEquity":"-1.1203935447","liquidationPx":null,
        "marginUsed":"2.383117","maxLeverage":40,"cumFunding":{"allTime":"0.004156","sinceOpen":"0.004156",
        "sinceChange":"-0.000221"}}}],"time":1770118781558}""",
    "openOrders": """[{"coin":"ETH","side":"B","limitPx":"1500.0","sz":"1.0","oid":313932628709,
        "timestamp":1770385175044,"origSz":"1.0","cloid":"0x00030050c829f0770000010000000073"}]""",
    "frontendOpenOrders": """[{"coin":"BTC","side":"A","limitPx":"29792.0","sz":"5.0","oid":91490942,
        "timestamp":1681247412573,"triggerCondition":"N/A","isTrigger":false,"triggerPx":"0.0","children":[],
        "isPositionTpsl":false,"reduceOnly":false,"orderType":"Limit","origSz":"5.0","tif":"Gtc","cloid":null}]""",
    "orderStatus": """{"status":"order","order":{"order":{"coin":"ETH","side":"A","limitPx":"2412.7","sz":"0.0",
        "oid":1,"timestamp":1724361546645,"triggerCondition":"N/A","isTrigger":false,"triggerPx":"0.0","children":[],
        "isPositionTpsl":false,"reduceOnly":true,"orderType":"Market","origSz":"0.0076","tif":"FrontendMarket",
        "cloid":null},"status":"filled","statusTimestamp":1724361546645}}""",
    "userRateLimit": """{"cumVlm":"170043721737.450012207","nRequestsUsed":36589831368,"nRequestsCap":170043731737,
        "nRequestsSurplus":0}""",
    "userFees": """{"dailyUserVlm":[],"userCrossRate":"0.000315","userAddRate":"-0.00001","userSpotCrossRate":"0.00049",
        "userSpotAddRate":"0.00028","activeReferralDiscount":"0.04","trial":null,"feeTrialEscrow":"0.0"}""",
    "fundingHistory": """[{"coin":"BTC","fundingRate":"0.0000125","premium":"-0.0001875303","time":1790352000015}]""",
    "userFunding": """[{"time":1790352000015,"hash":"0x00","delta":{"type":"funding","coin":"xyz:XYZ100",
        "usdc":"2.378343","szi":"-15.0","fundingRate":"0.00000625","nSamples":null}}]""",
    "activeAssetData": """{"user":"0x01","coin":"xyz:XYZ100","leverage":{"type":"cross","value":3},
        "maxTradeSzs":["24836370.44","24836370.44"],"availableToTrade":["37019438.02","37019438.02"],
        "markPx":"4.4716"}""",
    "exchangeStatus": """{"specialStatuses":null,"time":1790352000015}""",
    "userRole": """{"role":"agent","data":{"user":"0xmaster"}}""",
    "extraAgents": """[{"address":"0x01","name":"bot","validUntil":1790352000015}]""",
    "allMids": """{"BTC":"83757.5","@107":"38.1","#12090":"0.44865"}""",
    "userFillsByTime": """[{"coin":"xyz:SILVER","px":"80.601","sz":"0.6","side":"A","time":1769986907573,
        "startPosition":"0.6","dir":"Close Long","closedPnl":"-1.2843","hash":"0x8e8d","oid":308800014194,
        "crossed":true,"fee":"0.004178","tid":1031003079291799,"liquidation":{"liquidatedUser":"0x61fb",
        "markPx":"80.498","method":"market"},"feeToken":"USDC","twapId":null}]""",
    "l2Book": "null",
    "historicalOrders": "[]",
    "spotMeta": """{"tokens":[{"name":"USDC","szDecimals":8,"weiDecimals":8,"index":0,"tokenId":"0x6d","fullName":null,
        "isCanonical":true,"evmContract":null,"deployerTradingFeeShare":"0.0"}],"universe":[{"name":"PURR/USDC",
        "tokens":[1,0],"index":0,"isCanonical":true}]}""",
}


def frame_lines(folder: Path) -> list[tuple[str, str]]:
    """(file, frame) of every captured websocket frame."""
    lines = [
        (path.name, line)
        for path in sorted(folder.rglob("*.jsonl"))
        for line in path.read_text().splitlines()
        if line.strip()
    ]
    return lines + [
        (path.name, path.read_text()) for path in sorted(folder.rglob("ws_*.json")) if path.name not in REST
    ]


def values_of(node: Any) -> list[float]:
    """Every number of a payload, those in strings too, in order."""
    if isinstance(node, dict):
        return [number for value in node.values() for number in values_of(value)]
    if isinstance(node, list):
        return [number for value in node for number in values_of(value)]
    if isinstance(node, str):
        try:
            return [float(node)]
        except ValueError:
            return []
    return [] if isinstance(node, bool) or node is None else [float(node)]


def test_every_captured_payload_is_read(real_frames: Path) -> None:
    # Kills: a channel without a type, a required key the venue leaves out, a null where it sends one.
    count = 0
    for name, line in frame_lines(real_frames):
        frame = read_frame(line)
        assert type(frame) is wire.CHANNELS[json.loads(line)["channel"]], name
        count += 1
    for path in sorted(real_frames.rglob("*.json")):
        if path.name in REST:
            read_info(REST[path.name], path.read_bytes())
            count += 1
    print(f"{count} captured payloads read")
    files = {path.name for path in real_frames.rglob("*.json")}
    assert files - set(REST) <= {name for name, _ in frame_lines(real_frames)}, "a captured payload was left out"
    assert count >= 40


def test_captured_books_trades_and_contexts_keep_every_number(real_frames: Path) -> None:
    # Kills: a field read into another, a level left out. The oracle walks the JSON itself.
    seen: set[str] = set()
    for _, line in frame_lines(real_frames):
        raw, frame = json.loads(line), read_frame(line)
        data = raw.get("data")
        if raw["channel"] == "bbo":
            assert [level and (level.px, level.sz) for level in frame.data.bbo] == [
                level and (float(level["px"]), float(level["sz"])) for level in data["bbo"]
            ]
        elif raw["channel"] == "l2Book":
            for side, wanted in zip(frame.data.levels, data["levels"], strict=True):
                assert [(level.px, level.sz) for level in side] == [
                    (float(row["px"]), float(row["sz"])) for row in wanted
                ]
        elif raw["channel"] == "trades":
            assert [(t.px, t.sz, t.time, t.tid, t.side) for t in frame.data] == [
                (float(t["px"]), float(t["sz"]), t["time"], t["tid"], t["side"]) for t in data
            ]
        elif raw["channel"] == "activeAssetCtx":
            for key, value in data["ctx"].items():
                wanted = values_of(value) if isinstance(value, list) else (value and float(value))
                assert getattr(frame.data.ctx, key) == wanted, key
        else:
            continue
        seen.add(raw["channel"])
    assert seen == {"bbo", "l2Book", "trades", "activeAssetCtx"}


def unread(raw: Any, read: Any) -> set[str]:
    """Keys of a payload that are not in what was read of it; every other value must be the same there."""
    if isinstance(raw, dict) and isinstance(read, dict):
        passed_over = set(raw) - set(read)
        return passed_over.union(*(unread(raw[key], read[key]) for key in set(raw) & set(read)))
    if isinstance(raw, list) and isinstance(read, (list, tuple)):
        return set().union(*(unread(here, there) for here, there in zip(raw, read, strict=True)))
    assert (float(raw) if isinstance(read, float) else raw) == read
    return set()


# What the sheet has and we have no use for.
UNUSED: dict[str, set[str]] = {
    "perpDexs": {
        "deployer", "oracleUpdater", "feeRecipient", "assetToStreamingOiCap", "subDeployers",
        "assetToFundingInterestRate",
    },
    "spotMeta": {"tokenId", "isCanonical", "evmContract", "fullName", "deployerTradingFeeShare"},
    "userFees": {"dailyUserVlm", "trial", "feeTrialEscrow"},
    "userFunding": {"hash", "type"},
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SHEET))
def test_payloads_of_the_protocol_sheet_keep_every_value_we_use(kind: str) -> None:
    # Kills: a field read into another, a row left out, a key misspelled and so always its default.
    raw = json.loads(SHEET[kind])
    assert unread(raw, msgspec.to_builtins(read_info(kind, SHEET[kind]))) == UNUSED.get(kind, set())


def test_every_kind_of_answer_has_a_payload_in_these_tests() -> None:
    assert set(wire_info.INFO) == set(SHEET) | set(REST.values())


def with_strangers(node: Any) -> Any:
    """The payload with an unknown key in every object."""
    if isinstance(node, dict):
        return {"newKey": {"deep": [1, None]}, **{key: with_strangers(value) for key, value in node.items()}}
    return [with_strangers(value) for value in node] if isinstance(node, list) else node


@pytest.mark.parametrize("kind", sorted(set(SHEET) - {"allMids"}))
def test_unknown_fields_of_answers_are_passed_over(kind: str) -> None:
    # Kills: forbid_unknown_fields on any of the structs.
    plain = json.loads(SHEET[kind])
    assert read_info(kind, json.dumps(with_strangers(plain))) == read_info(kind, json.dumps(plain))


def test_unknown_fields_of_frames_are_passed_over(real_frames: Path) -> None:
    for name, line in frame_lines(real_frames):
        if '"allMids"' in line or '"post"' in line:
            continue
        assert read_frame(json.dumps(with_strangers(json.loads(line)))) == read_frame(line), name


BBO = '{"channel":"bbo","data":{"coin":"ETH","time":1700000000123,"bbo":[{"px":"%s","sz":"2.0","n":3},null]}}'


@pytest.mark.parametrize(
    "price", ["0.0", "-1.5", "nan", "NaN", "inf", "-Infinity", "1e400", "", "1_0", " 1", "0x1", "1e13"]
)
def test_prices_that_are_no_positive_finite_number_are_refused_by_name(price: str) -> None:
    # Kills: a field typed plain float, which takes 0, −1.5 and NaN.
    with pytest.raises(WireError) as refused:
        read_frame(BBO % price)
    assert (refused.value.channel, refused.value.field, refused.value.value) == ("bbo", "data.bbo[0].px", price)
    assert "bbo" in str(refused.value)


FILL = {
    "coin": "ETH", "px": "1.0", "sz": "1.0", "side": "B", "time": 1, "startPosition": "0.0", "dir": "", "oid": 1,
    "closedPnl": "0.0", "crossed": False, "fee": "0.0", "tid": 1,
}  # fmt: skip
CTX = {"funding": "0.0", "openInterest": "1.0", "oraclePx": "1.0", "markPx": "1.0"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("closedPnl", "nan"), ("fee", "inf"), ("startPosition", "-inf"), ("fee", "1e19"), ("tid", -1), ("tid", 2**63),
     ("oid", -1), ("oid", 2**64), ("px", "-1.0"), ("sz", "0.0"), ("crossed", "perhaps"), ("coin", "")],
)  # fmt: skip
def test_fills_with_a_number_out_of_range_are_refused_by_name(key: str, value: object) -> None:
    # Kills: a field typed plain float or int; a NaN fee would reach the ledger.
    body = {"channel": "userFills", "data": {"user": "0x", "fills": [FILL, FILL | {key: value}]}}
    with pytest.raises(WireError) as refused:
        read_frame(json.dumps(body))
    assert (refused.value.channel, refused.value.field) == ("userFills", f"data.fills[1].{key}")
    assert refused.value.value == str(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("funding", "1.5"), ("funding", "nan"), ("openInterest", "-1.0"), ("markPx", "0.0"), ("oraclePx", "inf")],
)
def test_contexts_with_a_number_out_of_range_are_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(WireError) as refused:
        read_frame(json.dumps({"channel": "activeAssetCtx", "data": {"coin": "ETH", "ctx": CTX | {key: value}}}))
    assert (refused.value.field, refused.value.value) == (f"data.ctx.{key}", value)


@pytest.mark.parametrize(
    ("frame", "channel", "field"),
    [
        ("", "", "frame"),
        ("{", "", "frame"),
        (b"\xff\xfe{}", "", "frame"),
        ("[]", "", "frame"),
        ("{}", "", "frame"),
        ('{"channel":"nonsense","data":1}', "nonsense", "channel"),
        ('{"channel":7,"data":1}', "", "channel"),
        ('{"channel":"bbo"}', "bbo", "frame"),
        ('{"channel":"trades","data":[{"coin":"ETH","side":"X","px":"1","sz":"1","time":1,"tid":1}]}', "trades",
         "data[0].side"),
        ('{"channel":"trades","data":[{"coin":"ETH","side":"B","px":"1","sz":"1","time":-1,"tid":1}]}', "trades",
         "data[0].time"),
        ('{"channel":"l2Book","data":{"coin":"ETH","time":1,"levels":[[]]}}', "l2Book", "data.levels"),
        ("[" * 100_000, "", "frame"),
    ],
)  # fmt: skip
def test_unreadable_frames_name_channel_and_field(frame: str | bytes, channel: str, field: str) -> None:
    with pytest.raises(WireError) as refused:
        read_frame(frame)
    assert (refused.value.channel, refused.value.field) == (channel, field)


def test_answers_to_unknown_requests_and_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(WireError, match="weather"):
        read_info("weather", "{}")
    with pytest.raises(WireError) as refused:
        read_info("meta", '{"universe":[{"name":"BTC","szDecimals":7,"maxLeverage":40}]}')
    assert (refused.value.channel, refused.value.field) == ("meta", "universe[0].szDecimals")
    assert refused.value.value == "7"
