"""Whatever comes in, the exchange answers in its own words: bytes, requests of every type with any fields, frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hypermm.exchange.loopback import Limits
from hypermm.exchange.loopback.account_info import ACCOUNT_ANSWERS
from hypermm.exchange.loopback.market_info import MARKET_ANSWERS
from loopback_steps import START, USER, Venue

if TYPE_CHECKING:
    from hypermm.exchange.loopback.exchange import Reply

NO_LIMITS = Limits(
    weight_per_minute=10**9, messages_per_minute=10**9, subscriptions=10**9, users=10**9, connects_per_minute=10**9
)
KINDS = [*ACCOUNT_ANSWERS, *MARKET_ANSWERS, "userRole", "extraAgents", "nonsense"]
CHANNELS = [
    "l2Book", "bbo", "trades", "activeAssetCtx", "allMids", "allDexsAssetCtxs", "candle", "orderUpdates", "userEvents",
    "userFills", "userFundings", "userNonFundingLedgerUpdates", "clearinghouseState", "openOrders", "activeAssetData",
    "notification", "webData2",
]  # fmt: skip

_venue = Venue(limits=NO_LIMITS)
_venue.run(2.0)
EXCHANGE, NOW = _venue.exchange, _venue.now_ns

words = st.sampled_from(["ETH", "MATIC", "xyz:GOLD", "GOLD", "", "xyz", USER, USER.upper(), "1m", "0x" + "g" * 32])
numbers = st.integers(-3, 8) | st.integers(-(2**70), 2**70) | st.sampled_from([START // 10**6, 2**63 - 1, 2**64 - 1])
scalars = st.none() | st.booleans() | numbers | st.floats(allow_nan=False) | words | st.text(max_size=40)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner), max_leaves=4
)
ADDRESS = st.sampled_from([USER, "0x" + "6" * 40])
right = {
    "user": ADDRESS, "coin": words, "dex": words | st.none(), "startTime": numbers, "endTime": numbers | st.none(),
    "oid": numbers | words | st.text(max_size=34), "nSigFigs": st.integers(1, 7) | st.none(), "id": numbers,
    "mantissa": st.integers(0, 6) | st.none(), "interval": words, "fast": st.booleans() | st.none(), "builder": ADDRESS,
    "reversed": st.booleans(),
    "req": st.fixed_dictionaries({"coin": words, "interval": words, "startTime": numbers, "endTime": numbers}),
}  # fmt: skip
fields = st.fixed_dictionaries(right) | st.fixed_dictionaries(
    {}, optional={key: value | values for key, value in right.items()}
)


def read(reply: Reply) -> Any:
    assert reply.status in (200, 400, 422, 500)
    if reply.is_json:
        return json.loads(reply.body)
    assert reply.body.startswith(b"Failed to ")
    return None


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), fields)
def test_every_request_is_answered(kind: str, given_fields: dict[str, Any]) -> None:
    read(EXCHANGE.info(json.dumps({"type": kind} | given_fields).encode(), NOW))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | values.map(lambda v: json.dumps(v).encode()))
def test_every_body_is_answered(body: bytes) -> None:
    replies: list[Any] = [EXCHANGE.info(body, NOW)]
    EXCHANGE.act(body, NOW, replies.append)
    assert len(replies) == 2
    assert [read(reply) for reply in replies] == [None, None]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["subscribe", "unsubscribe", "post", "ping", "dance"]),
    st.sampled_from(CHANNELS),
    fields,
    numbers,
)
def test_every_frame_is_answered_or_kills_its_socket(method: str, kind: str, told: dict[str, Any], number: int) -> None:
    connection = EXCHANGE.hub.connect(NOW)
    assert connection is not None
    request = {"type": "info", "payload": {"type": "meta"} | told}
    frame = {"method": method, "subscription": {"type": kind} | told, "id": number, "request": request}
    EXCHANGE.receive(connection, json.dumps(frame), NOW)
    heard = [json.loads(sent) for sent in connection.take(NOW)]
    assert heard or connection.is_cut
    # A refused frame leaves the socket as it was.
    if heard and heard[0]["channel"] == "error":
        assert not connection.is_cut
        assert not connection.subscriptions
    EXCHANGE.hub.disconnect(connection)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=60).filter(lambda frame: not frame.lstrip().startswith(b"{")))
def test_bytes_that_are_no_message_are_said_back(frame: bytes) -> None:
    connection = EXCHANGE.hub.connect(NOW)
    assert connection is not None
    EXCHANGE.receive(connection, frame, NOW)
    [told] = [json.loads(sent) for sent in connection.take(NOW)]
    assert told["data"].startswith("Error parsing JSON into valid websocket request: ")
    EXCHANGE.hub.disconnect(connection)
