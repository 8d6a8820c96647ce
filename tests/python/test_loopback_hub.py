"""The venue's websockets without sockets: what it says back, when it is silent, and when it drops."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hypermm.exchange.loopback.faults import Fault, FaultPlan
from hypermm.exchange.loopback.hub import Connection, Hub
from hypermm.exchange.loopback.limits import IpLimits, Limits
from hypermm.exchange.loopback.settings import Latency
from hypermm.exchange.loopback.subscriptions import Bbo, Trades

S, MS = 1_000_000_000, 1_000_000
USER = "0x" + "ab" * 20


def make_hub(
    *faults: Fault,
    limits: Limits | None = None,
    snapshot: Any = None,
    latency: Latency = Latency(),  # noqa: B008
) -> Hub:
    coins = frozenset({"BTC", "ETH", "xyz:GOLD"})
    limits = Limits() if limits is None else limits
    return Hub(coins, IpLimits(limits), FaultPlan(list(faults), 1), 0, snapshot or (lambda _: []), latency)


def open_one(hub: Hub) -> Connection:
    connection = hub.connect(0)
    assert connection is not None
    return connection


def say(hub: Hub, connection: Connection, message: Any, now_ns: int = 0) -> list[Any]:
    frame = message if isinstance(message, str) else json.dumps(message)
    hub.receive(connection, frame, now_ns)
    return taken(connection, now_ns)


def taken(connection: Connection, now_ns: int = 0) -> list[Any]:
    return [json.loads(frame) for frame in connection.take(now_ns)]


def subscribe(**fields: Any) -> dict[str, Any]:
    return {"method": "subscribe", "subscription": fields}


def test_acknowledgement_fills_the_defaults_in_and_precedes_the_snapshot() -> None:
    hub = make_hub(snapshot=lambda subscription: [{"coin": subscription.coin}])
    told = say(hub, open_one(hub), subscribe(type="l2Book", coin="BTC"))
    # Mutant: the request echoed as sent, or the snapshot first.
    assert told[0] == {
        "channel": "subscriptionResponse",
        "data": {
            "method": "subscribe",
            "subscription": {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": False},
        },
    }
    assert told[1] == {"channel": "l2Book", "data": {"coin": "BTC"}}


def test_user_fills_are_acknowledged_as_captured() -> None:
    hub = make_hub()
    told = say(hub, open_one(hub), subscribe(type="userFills", user=USER.upper().replace("0X", "0x")))
    assert told[0]["data"]["subscription"] == {"type": "userFills", "user": USER, "aggregateByTime": False}


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        '{"method":"subscribe"}',
        '{"method":"dance"}',
        '{"method":"subscribe","subscription":{"type":"webData2","user":"' + USER + '"}}',
        '{"method":"subscribe","subscription":{"type":"bbo","coin":["BTC","ETH"]}}',
        '{"method":"post","request":{"type":"info","payload":{"type":"meta"}}}',
    ],
)
def test_what_cannot_be_read_is_said_back_and_the_socket_lives(frame: str) -> None:
    hub = make_hub()
    connection = open_one(hub)
    told = say(hub, connection, frame)
    assert told == [
        {"channel": "error", "data": f"Error parsing JSON into valid websocket request: {frame}"},
    ]
    assert not connection.is_cut
    assert say(hub, connection, {"method": "ping"}) == [{"channel": "pong"}]


def test_twice_is_refused_with_the_venue_s_texts() -> None:
    hub = make_hub()
    connection = open_one(hub)
    one = subscribe(type="trades", coin="ETH")
    say(hub, connection, one)
    assert say(hub, connection, one)[0]["data"] == 'Already subscribed: {"type":"trades","coin":"ETH"}'
    one["method"] = "unsubscribe"
    assert say(hub, connection, one)[0]["data"]["method"] == "unsubscribe"
    # As captured on the venue.
    assert say(hub, connection, one)[0]["data"] == 'Already unsubscribed: {"type":"trades","coin":"ETH"}'


def test_an_unknown_dex_or_interval_is_an_invalid_subscription() -> None:
    hub = make_hub()
    connection = open_one(hub)
    for fields in ({"type": "allMids", "dex": "nope"}, {"type": "candle", "coin": "BTC", "interval": "7m"}):
        [told] = say(hub, connection, subscribe(**fields))
        assert told == {"channel": "error", "data": f"Invalid subscription {json.dumps(fields, separators=(',', ':'))}"}
    assert not connection.is_cut


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "bbo", "coin": "btc"},
        {"type": "trades", "coin": "GOLD"},
        {"type": "trades", "coin": "XYZ:GOLD"},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 6},
        {"type": "l2Book", "coin": "BTC", "mantissa": 2},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 3},
    ],
)
def test_a_wrong_coin_kills_the_socket_without_a_word(fields: dict[str, Any]) -> None:
    hub = make_hub()
    connection = open_one(hub)
    assert say(hub, connection, subscribe(**fields)) == []
    assert connection.is_cut


def test_the_venue_closes_when_it_has_said_nothing_for_60_s() -> None:
    hub = make_hub()
    connection = open_one(hub)
    say(hub, connection, {"method": "ping"}, 20 * S)
    hub.advance(80 * S - 1)
    assert not connection.is_cut
    # Mutant: counted from what the client said, or from the start.
    hub.receive(connection, "{}", 80 * S - 1)
    hub.advance(80 * S)
    assert connection.is_cut


def test_only_subscribers_hear() -> None:
    hub = make_hub()
    listener, other = open_one(hub), open_one(hub)
    say(hub, listener, subscribe(type="bbo", coin="BTC"))
    say(hub, other, subscribe(type="bbo", coin="ETH"))
    hub.publish(Bbo("BTC"), {"coin": "BTC"}, 0)
    assert taken(listener) == [{"channel": "bbo", "data": {"coin": "BTC"}}]
    assert taken(other) == []
    hub.disconnect(listener)
    hub.publish(Bbo("BTC"), {"coin": "BTC"}, 0)
    assert taken(listener) == []


def test_limits_of_one_address_bite() -> None:
    limits = Limits(connections=2, subscriptions=3, users=1, messages_per_minute=6, pending_posts=1)
    hub = make_hub(limits=limits)
    one, two = open_one(hub), open_one(hub)
    assert hub.connect(0) is None
    say(hub, one, subscribe(type="orderUpdates", user=USER))
    other = "0x" + "cd" * 20
    assert say(hub, two, subscribe(type="userFills", user=other))[0]["data"] == "Cannot track more than 1 total users."
    say(hub, one, subscribe(type="bbo", coin="BTC"))
    say(hub, one, subscribe(type="bbo", coin="ETH"))
    told = say(hub, two, subscribe(type="trades", coin="ETH"))
    assert told[0]["data"] == "Cannot subscribe to more than 3 channels."
    post = {"method": "post", "id": 7, "request": {"type": "info", "payload": {}}}
    assert hub.receive(two, json.dumps(post), 0) is not None
    assert say(hub, two, post)[0]["data"] == "Cannot send more than 6 messages per minute."
    # A minute later there is room for messages, but the post still waits.
    assert say(hub, two, post, 61 * S)[0]["data"] == "too many pending post requests id=7"


def test_a_post_is_answered_by_its_id_once_there_is_an_answer() -> None:
    hub = make_hub(limits=Limits(pending_posts=1))
    connection = open_one(hub)
    frame = json.dumps({"method": "post", "id": 9, "request": {"type": "info", "payload": {"type": "meta"}}})
    post = hub.receive(connection, frame, 0)
    assert post is not None
    assert taken(connection) == []
    hub.answer(post, "info", {"type": "meta", "data": None}, 0)
    response = {"type": "info", "payload": {"type": "meta", "data": None}}
    assert taken(connection) == [{"channel": "post", "data": {"id": 9, "response": response}}]
    assert hub.receive(connection, frame, 0) is not None


def test_what_is_published_is_as_late_as_the_feed_and_answers_as_answers() -> None:
    hub = make_hub(
        Fault(kind="delay", at_s=5.0, for_s=2.0),
        latency=Latency(answer_ms=300.0, feed_ms=380.0),
        snapshot=lambda _: ["first"],
    )
    connection = open_one(hub)
    assert say(hub, connection, subscribe(type="trades", coin="BTC")) == []
    hub.publish(Trades("BTC"), "second", 10 * MS)
    hub.receive(connection, '{"method":"ping"}', 20 * MS)
    # Mutants: market data at once, an answer behind the frames still on their way, a snapshot before its
    # acknowledgement.
    assert taken(connection, 320 * MS - 1) == []
    assert [frame["channel"] for frame in taken(connection, 320 * MS)] == ["pong"]
    assert taken(connection, 380 * MS - 1) == []
    assert [frame["channel"] for frame in taken(connection, 380 * MS)] == ["subscriptionResponse", "trades"]
    assert [frame["data"] for frame in taken(connection, 390 * MS)] == ["second"]
    # A frame that is held up holds up answers too, and is as late as ever on top.
    hub.publish(Trades("BTC"), "third", 5 * S)
    hub.receive(connection, '{"method":"ping"}', 5 * S)
    assert taken(connection, 7 * S + 300 * MS - 1) == []
    assert [frame["channel"] for frame in taken(connection, 8 * S)] == ["pong", "trades"]


# --- faults -----------------------------------------------------------------------------------------------------


def published(hub: Hub, count: int, at_s: float = 1.0) -> tuple[Connection, list[int]]:
    connection = open_one(hub)
    say(hub, connection, subscribe(type="trades", coin="BTC"))
    for number in range(count):
        hub.publish(Trades("BTC"), number, round(at_s * S))
    return connection, [frame["data"] for frame in taken(connection, round(at_s * S))]


def test_without_faults_frames_come_once_and_in_order() -> None:
    assert published(make_hub(), 100)[1] == list(range(100))


def test_a_duplicated_frame_comes_twice() -> None:
    got = published(make_hub(Fault(kind="duplicate", probability=0.2)), 200)[1]
    assert sorted(set(got)) == list(range(200))
    assert 15 < len(got) - 200 < 75


def test_a_reordered_frame_comes_after_the_next() -> None:
    assert published(make_hub(Fault(kind="reorder", at_s=0.5)), 4)[1] == [1, 0, 2, 3]


def test_a_delayed_frame_holds_up_those_behind_it() -> None:
    hub = make_hub(Fault(kind="delay", at_s=0.5, for_s=2.0, channel="trades"))
    connection, got = published(hub, 3)
    assert got == []
    assert [frame["data"] for frame in taken(connection, 3 * S)] == [0, 1, 2]


def test_silence_swallows_the_channel_named_for_its_length() -> None:
    hub = make_hub(Fault(kind="silence", at_s=1.0, for_s=4.0, channel="trades"))
    connection, got = published(hub, 3, 1.5)
    assert got == []
    assert say(hub, connection, {"method": "ping"}, 2 * S) == [{"channel": "pong"}]
    hub.publish(Trades("BTC"), 9, 5 * S)
    assert [frame["data"] for frame in taken(connection, 5 * S)] == [9]


def test_a_dropped_socket_by_chance_is_the_one_that_was_to_hear() -> None:
    hub = make_hub(Fault(kind="drop_socket", probability=1.0, coin="ETH"))
    one, two = open_one(hub), open_one(hub)
    say(hub, one, subscribe(type="bbo", coin="ETH"))
    say(hub, two, subscribe(type="bbo", coin="BTC"))
    hub.publish(Bbo("ETH"), {}, 0)
    hub.publish(Bbo("BTC"), {}, 0)
    assert one.is_cut
    assert not two.is_cut
