"""The exchange on loopback without sockets: whatever comes in is answered, and what happens to an account is told."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hypermm import Instrument
from hypermm._core import LoopbackCoin
from hypermm.exchange.loopback import (
    AccountSettings,
    EventLog,
    ExchangeSettings,
    FaultPlan,
    Limits,
    LoopbackExchange,
    World,
)
from hypermm.exchange.loopback.listing import Contract, Listing

S = 1_000_000_000
MS = 1_000_000
HOUR_NS = 3_600 * S
START_NS = 1_788_490_065 * S
MAKER, TAKER = (Account.from_key("0x" + digit * 64) for digit in "12")
ADDRESSES = [MAKER.address.lower(), TAKER.address.lower()]
ETH = Instrument("ETH", 4, 25)
GOLD = Instrument("xyz:GOLD", 2, 10)
ENDLESS = Limits(weight_per_minute=10**9, connects_per_minute=10**9, messages_per_minute=10**9)


def book(price: float, instrument: Instrument, fall: float = 0.0, after_ns: int = 1) -> dict[str, Any]:
    """A recording of ten levels a side of 50 around `price`, which falls once."""
    step = instrument.price_increment_at(price)
    away = step * np.arange(10, dtype=float)
    prices = np.array([price, price - fall])[:, None]
    times = np.array([1, 1 + after_ns])
    return {
        "book_time_ns": times,
        "book_exchange_time_ns": times,
        "bid_prices": np.round(prices - away, 6),
        "bid_sizes": np.full((2, 10), 50.0),
        "ask_prices": np.round(prices + step + away, 6),
        "ask_sizes": np.full((2, 10), 50.0),
    }


class Driver:
    """An exchange, its clock, and a socket that hears of everything an account may hear."""

    def __init__(self, start_ns: int = START_NS, *, deposit_usd: float = 10_000.0, **moves: Any) -> None:
        contracts = [
            Contract(coin=each.coin, size_decimals=each.size_decimals, max_leverage=each.max_leverage)
            for each in (ETH, GOLD)
        ]
        listing = Listing(contracts)
        coins = [
            LoopbackCoin(
                each,
                listing.asset_ids[each.coin],
                recording=book(price, each, **moves),
                dex=listing.by_coin[each.coin].dex,
            )
            for each, price in ((ETH, 4000.0), (GOLD, 30.0))
        ]
        accounts = tuple(
            AccountSettings(address=address, deposit_usd=deposit_usd, volume_usd=2e6) for address in ADDRESSES
        )
        self.world = World(listing, coins, ExchangeSettings(accounts=accounts, limits=ENDLESS), start_ns)
        self.exchange = LoopbackExchange(self.world, FaultPlan([], 0), EventLog(None))
        self.now_ns = start_ns
        self.nonce = start_ns // MS
        self.connection = self.exchange.hub.connect(start_ns)
        assert self.connection is not None
        self.pass_time(0)

    def pass_time(self, span_ns: int) -> None:
        ends_ns = self.now_ns + span_ns
        while self.now_ns < ends_ns:
            self.now_ns = min(self.now_ns + 500 * MS, ends_ns)
            self.exchange.advance(self.now_ns)
        self.exchange.advance(self.now_ns)

    def info(self, **request: Any) -> Any:
        reply = self.exchange.info(json.dumps(request).encode(), self.now_ns)
        assert reply.status == 200, reply
        return json.loads(reply.body)

    def act(self, wallet: Any, action: Any) -> Any:
        self.nonce += 1
        signature = sign_l1_action(wallet, action, None, self.nonce, None, False)
        body = json.dumps({"action": action, "nonce": self.nonce, "signature": signature}).encode()
        answers: list[Any] = []
        self.exchange.act(body, self.now_ns, answers.append)
        self.pass_time(S)
        (reply,) = answers
        assert reply.status == 200, reply
        return json.loads(reply.body)

    def order(self, wallet: Any, coin: str, side: str, price: str, size: str, tif: str = "Ioc") -> Any:
        row = {
            "a": self.world.listing.asset_ids[coin],
            "b": side == "B",
            "p": price,
            "s": size,
            "r": False,
            "t": {"limit": {"tif": tif}},
        }
        return self.act(wallet, {"type": "order", "orders": [row], "grouping": "na"})

    def subscribe(self, **subscription: Any) -> None:
        assert self.connection is not None
        frame = json.dumps({"method": "subscribe", "subscription": subscription})
        self.exchange.receive(self.connection, frame, self.now_ns)

    def heard(self, channel: str) -> list[Any]:
        assert self.connection is not None
        frames = [json.loads(frame) for frame in self.connection.take(self.now_ns)]
        return [frame["data"] for frame in frames if frame["channel"] == channel]


def test_funding_is_paid_on_the_hour() -> None:
    """Kills: no payment, another sign, a payment that history, account and channel tell differently."""
    driver = Driver((START_NS // HOUR_NS + 1) * HOUR_NS - 10 * S)
    user = ADDRESSES[0]
    driver.order(MAKER, "ETH", "B", "4001", "2")
    driver.order(MAKER, "xyz:GOLD", "A", "29.9", "100")
    driver.subscribe(type="userFundings", user=user)
    driver.heard("userFundings")
    driver.pass_time(20 * S)
    told = [row for data in driver.heard("userFundings") for row in data["fundings"]]
    rows = driver.info(type="userFunding", user=user, startTime=0)
    assert [row["delta"]["usdc"] for row in rows] == [row["usdc"] for row in told]
    by_coin = {row["delta"]["coin"]: row["delta"] for row in rows}
    assert set(by_coin) == {"ETH", "xyz:GOLD"}
    for coin, szi in (("ETH", Decimal(2)), ("xyz:GOLD", Decimal(-100))):
        (charged,) = driver.info(type="fundingHistory", coin=coin, startTime=0)
        context = driver.world.venue.context(coin)
        owed = szi * Decimal(context.oracle_price) * Decimal(charged["fundingRate"])
        assert Decimal(by_coin[coin]["szi"]) == szi
        assert abs(Decimal(by_coin[coin]["usdc"]) + owed) < Decimal("0.000001")
        assert 0 <= charged["time"] - (charged["time"] // 3_600_000) * 3_600_000 < 160
        assert Decimal(by_coin[coin]["usdc"]) * szi < 0, "longs pay a positive rate"


def test_liquidation_reaches_the_account() -> None:
    """Kills: a liquidation that the fills do not show, an account that lives on with its orders."""
    driver = Driver(fall=400.0, after_ns=20 * S, deposit_usd=350.0)
    user = ADDRESSES[0]
    driver.act(MAKER, {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 25})
    driver.order(MAKER, "ETH", "B", "4001", "2")
    driver.order(MAKER, "ETH", "B", "3500", "0.1", "Alo")
    driver.subscribe(type="userEvents", user=user)
    driver.subscribe(type="orderUpdates", user=user)
    before = driver.info(type="clearinghouseState", user=user)
    (held,) = before["assetPositions"]
    price = Decimal(held["position"]["liquidationPx"])
    assert Decimal(3600) < price < Decimal(4000)
    driver.pass_time(30 * S)
    assert driver.connection is not None
    frames = [json.loads(frame) for frame in driver.connection.take(driver.now_ns)]
    events = [frame["data"] for frame in frames if frame["channel"] == "user"]
    (liquidation,) = [event["liquidation"] for event in events if "liquidation" in event]
    assert liquidation["liquidated_user"] == user
    updates = [row for frame in frames if frame["channel"] == "orderUpdates" for row in frame["data"]]
    assert [row["status"] for row in updates] == ["liquidatedCanceled"]
    fills = [fill for event in events for fill in event.get("fills", [])]
    assert sum(Decimal(fill["sz"]) for fill in fills) == 2
    assert all(fill["liquidation"]["liquidatedUser"] == user for fill in fills)
    after = driver.info(type="clearinghouseState", user=user)
    assert after["assetPositions"] == []
    assert driver.info(type="openOrders", user=user) == []


def test_fills_and_state_add_up_for_both_sides() -> None:
    """Kills: closedPnl with fees in it, a fee that the account value does not bear, one side told twice."""
    driver = Driver()
    driver.order(MAKER, "xyz:GOLD", "A", "30", "40", "Alo")
    driver.order(MAKER, "xyz:GOLD", "A", "30.001", "60", "Alo")
    driver.order(TAKER, "xyz:GOLD", "B", "30.001", "160")
    driver.order(TAKER, "xyz:GOLD", "A", "29.9", "20")
    for wallet in (MAKER, TAKER):
        user = wallet.address.lower()
        state = driver.info(type="clearinghouseState", user=user, dex="xyz")
        fills = driver.info(type="userFills", user=user)
        signed = sum(Decimal(fill["sz"]) * (1 if fill["side"] == "B" else -1) for fill in fills)
        (held,) = state["assetPositions"]
        assert Decimal(held["position"]["szi"]) == signed
        profit = sum(Decimal(fill["closedPnl"]) - Decimal(fill["fee"]) for fill in fills)
        value = Decimal(10_000) + profit + Decimal(held["position"]["unrealizedPnl"])
        assert Decimal(state["marginSummary"]["accountValue"]) == value
        assert driver.info(type="clearinghouseState", user=user)["marginSummary"]["accountValue"] == "10000.0"
    sold = {(fill["tid"], fill["px"], fill["sz"]) for fill in driver.info(type="userFills", user=ADDRESSES[0])}
    bought = {(fill["tid"], fill["px"], fill["sz"]) for fill in driver.info(type="userFills", user=ADDRESSES[1])}
    assert sold <= bought


# --- whatever comes in ------------------------------------------------------------------------------------------

CLOID = "0x" + "0" * 31 + "1"
INFOS: list[dict[str, Any]] = [
    {"type": kind}
    for kind in ("meta", "metaAndAssetCtxs", "allMids", "perpDexs", "spotMeta", "exchangeStatus", "predictedFundings")
] + [
    {"type": "clearinghouseState", "user": ADDRESSES[0], "dex": "xyz"},
    {"type": "frontendOpenOrders", "user": ADDRESSES[0], "dex": ""},
    {"type": "orderStatus", "user": ADDRESSES[0], "oid": 3},
    {"type": "orderStatus", "user": ADDRESSES[0], "oid": CLOID},
    {"type": "userFillsByTime", "user": ADDRESSES[0], "startTime": 0, "endTime": 9, "reversed": True},
    {"type": "userFunding", "user": ADDRESSES[0], "startTime": 0},
    {"type": "userRateLimit", "user": ADDRESSES[0]},
    {"type": "userFees", "user": ADDRESSES[0]},
    {"type": "activeAssetData", "user": ADDRESSES[0], "coin": "ETH"},
    {"type": "l2Book", "coin": "ETH", "nSigFigs": 5, "mantissa": 2},
    {"type": "recentTrades", "coin": "ETH"},
    {"type": "fundingHistory", "coin": "ETH", "startTime": 0, "endTime": 9},
    {"type": "candleSnapshot", "req": {"coin": "ETH", "interval": "1m", "startTime": 0, "endTime": 9}},
    {"type": "marginTable", "id": 25},
]
ORDER = {"a": 0, "b": True, "p": "3900", "s": "0.1", "r": False, "t": {"limit": {"tif": "Gtc"}}, "c": CLOID}
ACTIONS: list[dict[str, Any]] = [
    {"type": "order", "orders": [ORDER, ORDER], "grouping": "na"},
    {"type": "cancel", "cancels": [{"a": 0, "o": 3}], "f": True},
    {"type": "cancelByCloid", "cancels": [{"asset": 110000, "cloid": CLOID}]},
    {"type": "modify", "oid": 3, "order": ORDER},
    {"type": "batchModify", "modifies": [{"oid": CLOID, "order": ORDER}], "a": True},
    {"type": "scheduleCancel", "time": 1_788_490_165_000},
    {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5},
    {"type": "updateIsolatedMargin", "asset": 110000, "isBuy": True, "ntli": 1_000_000},
    {"type": "noop"},
]
SUBSCRIPTIONS: list[dict[str, Any]] = (
    [{"type": kind, "coin": "ETH"} for kind in ("l2Book", "bbo", "trades", "activeAssetCtx")]
    + [{"type": kind, "user": ADDRESSES[0]} for kind in ("orderUpdates", "userEvents", "userFills", "userFundings")]
    + [{"type": "allMids", "dex": "xyz"}, {"type": "candle", "coin": "ETH", "interval": "1m"}]
)

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["", "0", "-1", "1e5", "NaN", "0x", "ETH", "eth", "xyz:GOLD", "nothing", CLOID, 10**40, 2**63, 2**64]
    ),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, templates: list[dict[str, Any]]) -> Any:
    """A well-formed message with something of it replaced, dropped or added."""
    message = json.loads(json.dumps(draw(st.sampled_from(templates))))
    for _ in range(draw(st.integers(0, 2))):
        place: Any = message
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and draw(st.booleans()):
                place = place[key]
                continue
            if isinstance(place, dict) and draw(st.integers(0, 4)) == 0:
                del place[key]
            else:
                place[key] = draw(values)
            break
    return message


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver()


any_query = given(
    raw=st.one_of(st.binary(max_size=40), values.map(lambda value: json.dumps(value).encode())), request=changed(INFOS)
)
any_action = given(
    action=changed(ACTIONS),
    envelope=st.dictionaries(
        st.sampled_from(["nonce", "signature", "vaultAddress", "expiresAfter", "action"]), values, max_size=1
    ),
)
any_frame = given(
    raw=st.one_of(st.text(max_size=30), st.binary(max_size=30)),
    subscription=changed(SUBSCRIPTIONS),
    method=st.sampled_from(["subscribe", "unsubscribe", "ping", "post"]),
    payload=changed(INFOS),
)
some = settings(max_examples=80, deadline=None)
many = settings(max_examples=2_000, deadline=None)


def ask(driver: Driver, raw: bytes, request: Any) -> None:
    for body in (raw, json.dumps(request).encode()):
        reply = driver.exchange.info(body, driver.now_ns)
        assert reply.status in {200, 400, 422, 500}
        if reply.is_json:
            json.loads(reply.body)


def act(driver: Driver, action: Any, envelope: dict[str, Any]) -> None:
    driver.nonce += 1
    try:
        signature: Any = sign_l1_action(MAKER, action, None, driver.nonce, None, False)
    except Exception:  # noqa: BLE001 - the client cannot pack it: it is sent with a signature of something else
        signature = sign_l1_action(MAKER, {"type": "noop"}, None, driver.nonce, None, False)
    body = {"action": action, "nonce": driver.nonce, "signature": signature} | envelope
    answers: list[Any] = []
    driver.exchange.act(json.dumps(body).encode(), driver.now_ns, answers.append)
    driver.pass_time(S)
    (reply,) = answers
    assert reply.status in {200, 400, 422}
    if reply.is_json:
        assert set(json.loads(reply.body)) == {"status", "response"}


def say(driver: Driver, raw: str | bytes, subscription: Any, method: str, payload: Any) -> None:
    connection = driver.exchange.hub.connect(driver.now_ns)
    assert connection is not None
    request = {"type": "info", "payload": payload}
    frame = json.dumps({"method": method, "subscription": subscription, "id": 7, "request": request})
    for each in (raw, frame):
        if connection.is_cut:
            break
        driver.exchange.receive(connection, each, driver.now_ns)
    for told in connection.take(driver.now_ns):
        assert "channel" in json.loads(told)
    driver.exchange.hub.disconnect(connection)


@some
@any_query
def test_any_query_has_an_answer(driver: Driver, raw: bytes, request: Any) -> None:
    """Kills: an exception of any kind on a request that nobody meant."""
    ask(driver, raw, request)


@some
@any_action
@example(action={"type": "order", "orders": True, "grouping": "na"}, envelope={})
def test_any_action_has_one_answer(driver: Driver, action: Any, envelope: dict[str, Any]) -> None:
    """Kills: an action that is never answered, answered twice, or breaks the venue for the next."""
    act(driver, action, envelope)


@some
@any_frame
def test_any_frame_is_answered_or_drops_the_socket(
    driver: Driver, raw: str | bytes, subscription: Any, method: str, payload: Any
) -> None:
    """Kills: a frame that takes the exchange down with it."""
    say(driver, raw, subscription, method, payload)


@pytest.mark.verify
@many
@any_query
def test_thousands_of_queries(driver: Driver, raw: bytes, request: Any) -> None:
    """As the short one, far longer."""
    ask(driver, raw, request)


@pytest.mark.verify
@many
@any_action
def test_thousands_of_actions(driver: Driver, action: Any, envelope: dict[str, Any]) -> None:
    """As the short one, far longer."""
    act(driver, action, envelope)


@pytest.mark.verify
@many
@any_frame
def test_thousands_of_frames(driver: Driver, raw: str | bytes, subscription: Any, method: str, payload: Any) -> None:
    """As the short one, far longer."""
    say(driver, raw, subscription, method, payload)
