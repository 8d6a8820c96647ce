"""A session comes up in order, and keeps its socket alive or gives it up in time."""

from __future__ import annotations

import json

import pytest

from hypermm.exceptions import InvalidInputError, UnknownCoinError
from hypermm.exchange.hyperliquid.notices import (
    AccountLimits,
    Disconnected,
    FrameRefused,
    Ready,
    StreamTurned,
    VenueText,
)
from hypermm.exchange.hyperliquid.rate_limit import SocketCounts, SocketLimits
from hypermm.exchange.hyperliquid.session import Phase, Session
from hypermm.exchange.hyperliquid.streams import StreamStatus
from session_rig import MS, T0, UNIVERSE, Rig, S, ready_rig, session
from venue_double import COIN, LOT, START_MS, USER

# --- coming up --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coin", ["btc", "SP500", "ETHH"])
def test_coins_are_checked_before_anything_is_sent(coin: str) -> None:
    # The venue would drop the socket without a word.
    with pytest.raises(UnknownCoinError):
        Session(UNIVERSE, [coin], lambda: 0.5)
    with pytest.raises(UnknownCoinError):
        Session(UNIVERSE, [COIN], lambda: 0.5, references=[coin])


def test_senseless_plans_are_refused() -> None:
    with pytest.raises(UnknownCoinError, match="delisted"):
        Session(UNIVERSE, ["MATIC"], lambda: 0.5)
    for settings in ({"user": "0x12"}, {"references": [COIN]}, {"limits": SocketLimits(SocketCounts(subscriptions=5))}):
        with pytest.raises(InvalidInputError):
            session(**settings)
    with pytest.raises(InvalidInputError):
        Session(UNIVERSE, [], lambda: 0.5)


def test_every_stream_is_subscribed_to_the_book_fast() -> None:
    rig = Rig(settings={"references": ["BTC", "PURR/USDC"]})
    rig.connect()
    subscriptions = [frame["subscription"] for frame in rig.sent()]
    for coin in (COIN, "BTC", "PURR/USDC"):
        mine = [s for s in subscriptions if s.get("coin") == coin]
        assert {s["type"] for s in mine} == {"l2Book", "bbo", "trades", "activeAssetCtx"}
        assert [s.get("fast") for s in mine if s["type"] == "l2Book"] == [True]
    account = [s for s in subscriptions if "user" in s]
    assert {s["type"] for s in account} == {"orderUpdates", "userFills", "userFundings"}
    assert {s["user"] for s in account} == {USER}
    assert len(subscriptions) == 15


def test_it_is_ready_only_after_acknowledgements_orders_fills_and_position() -> None:
    # Kills: ready on connection, ready before one of the answers.
    rig = Rig()
    rig.venue.place()
    rig.venue.position = 5 * LOT
    rig.connect()
    phases = []
    rig.venue.outbox.clear()
    for frame in rig.session.take_outgoing(rig.now):
        rig.venue.handle(frame)
    acknowledgements = [f for f in rig.venue.outbox if f["channel"] == "subscriptionResponse"]
    for message in acknowledgements:
        phases.append(rig.session.phase)
        rig.take(rig.session.receive(rig.now, json.dumps(message)))
    assert set(phases) == {Phase.SUBSCRIBING}
    assert rig.session.phase is Phase.RECONCILING
    assert {query.kind for query in rig.session.open_queries} == {
        "frontendOpenOrders", "userFillsByTime", "clearinghouseState", "userRateLimit",
    }  # fmt: skip
    rig.venue.outbox.clear()
    for frame in rig.session.take_outgoing(rig.now):
        rig.venue.handle(frame)
    for message in list(rig.venue.outbox):
        assert not any(isinstance(notice, Ready) for notice in rig.session.notices)
        rig.take(rig.session.receive(rig.now, json.dumps(message)))
        if message["data"]["response"]["payload"]["type"] == "clearinghouseState":
            break
    rig.pump()
    assert rig.session.phase is Phase.READY
    assert rig.engine.position == 5.0
    assert len(rig.engine.open_orders) == 1
    assert rig.of(AccountLimits) == [AccountLimits(5, 10001)]


def test_without_an_account_it_is_ready_with_the_streams() -> None:
    rig = Rig(settings={"user": None})
    rig.connect()
    rig.run(300)
    assert rig.session.phase is Phase.READY
    assert {frame["subscription"]["type"] for frame in rig.sent()} == set()
    with pytest.raises(InvalidInputError):
        rig.session.reconcile(rig.now)


def test_missing_acknowledgements_end_the_connection_and_name_the_suspects() -> None:
    rig = Rig()
    rig.connect()
    rig.session.take_outgoing(rig.now)
    rig.venue.subscribed.add("l2Book")
    while rig.session.close_reason is None:
        rig.venue.pass_time(1_000)
        rig.session.advance(rig.now)
        assert rig.venue.now_ms - START_MS <= 16_000
    assert "not acknowledged" in rig.session.close_reason
    rig.drop()
    rig.pump()
    (gone,) = rig.of(Disconnected)
    assert f"bbo {COIN}" in gone.unacknowledged
    assert "userFills" in gone.unacknowledged


def test_already_subscribed_counts_as_an_acknowledgement() -> None:
    rig = Rig(settings={"user": None})
    rig.connect()
    for frame in rig.session.take_outgoing(rig.now):
        told = json.loads(frame)["subscription"]
        text = f"Already subscribed: {json.dumps(told | {'nSigFigs': None})}"
        rig.session.receive(rig.now, json.dumps({"channel": "error", "data": text}))
    assert rig.session.phase is Phase.READY
    rig.session.receive(rig.now, json.dumps({"channel": "error", "data": "Already subscribed: {"}))
    rig.pump()
    assert len(rig.of(VenueText)) == 5


def test_the_greeting_is_passed_over_and_unreadable_frames_are_told() -> None:
    rig = ready_rig()
    before = rig.engine.snapshot()
    assert rig.session.receive(rig.now, "Websocket connection established.") == []
    assert rig.session.receive(rig.now, '{"channel":"brandNew","data":1}') == []
    rig.pump(0)
    (refused,) = rig.of(FrameRefused)
    assert refused.error.channel == "brandNew"
    assert rig.engine.snapshot() == before
    assert rig.session.phase is Phase.READY


# --- staying up -------------------------------------------------------------------------------------------------


def test_a_quiet_server_is_pinged_between_20_and_50_seconds_and_a_dead_one_given_up_before_60() -> None:
    rig = ready_rig(settings={"user": None})
    rig.session.take_outgoing(rig.now)
    quiet_since = rig.now
    pinged: list[float] = []
    while rig.session.close_reason is None:
        wake = rig.session.wake_at_ns()
        assert wake is not None
        rig.venue.now_ms = max(rig.venue.now_ms + 1, -(-wake // MS))
        # Books speak on, late ones apart, so that only the ping is under test.
        for stream in rig.session._feeds.streams.values():
            stream.last_ns = rig.now
        rig.session.advance(rig.now)
        pinged += [(rig.now - quiet_since) / S for frame in rig.sent() if frame["method"] == "ping"]
    assert len(pinged) == 1
    assert 20 <= pinged[0] <= 50
    assert (rig.now - quiet_since) / S < 60
    assert "ping" in rig.session.close_reason


def test_a_pong_keeps_the_socket() -> None:
    rig = ready_rig(settings={"user": None})
    pings = 0
    for _ in range(300):
        rig.venue.pass_time(1_000)
        for stream in rig.session._feeds.streams.values():
            stream.last_ns = rig.now
        rig.session.advance(rig.now)
        for frame in rig.session.take_outgoing(rig.now):
            pings += 1
            rig.venue.handle(frame)
            rig.session.receive(rig.now, json.dumps(rig.venue.outbox.pop()))
    assert rig.session.close_reason is None
    assert 300 / 50 <= pings <= 300 / 20 + 1


def test_connected_but_silent_books_are_told_then_given_up() -> None:
    # The feed that is connected and says nothing: pongs come, books do not.
    rig = ready_rig()
    rig.notices.clear()
    silent_since = rig.now
    while rig.session.close_reason is None:
        rig.venue.pass_time(500)
        rig.session.receive(rig.now, '{"channel":"pong"}')
        rig.session.advance(rig.now)
        rig.pump(0)
        if rig.now - silent_since == 4 * S:
            late = {(age.channel, age.status) for age in rig.session.ages(rig.now)}
            assert ("l2Book", StreamStatus.LATE) in late
            assert ("bbo", StreamStatus.LIVE) in late
    assert "silent" in rig.session.close_reason
    assert 15 * S < rig.now - silent_since < 30 * S
    turned = rig.of(StreamTurned)
    assert [(t.channel, t.is_late) for t in turned[:1]] == [("l2Book", True)]


def test_while_nothing_is_read_nobody_is_silent_and_the_patience_left_goes_on_afterwards() -> None:
    """Killed by: silence counted while reading is held up, or all at once when it goes on, or never again."""
    rig = ready_rig()
    rig.session.held_up(rig.now)
    for _ in range(90):
        rig.venue.pass_time(1_000)
        rig.session.advance(rig.now)
        assert rig.session.wake_at_ns() is None
    rig.session.resumed(rig.now)
    rig.session.advance(rig.now)
    assert rig.session.close_reason is None
    assert not rig.session.take_outgoing(rig.now)
    assert not rig.session.notices
    rig.venue.pass_time(25_000)
    rig.session.advance(rig.now)
    assert "silent" in (rig.session.close_reason or "")


def test_a_repeated_acknowledgement_makes_no_stream_young() -> None:
    rig = ready_rig()
    subscription = {"type": "l2Book", "coin": COIN}
    again = {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": subscription}}
    rig.pass_time(5_000)
    rig.session.receive(rig.now, json.dumps(again))
    (age,) = [age for age in rig.session.ages(rig.now) if age.channel == "l2Book"]
    assert (age.status, age.age_s) == (StreamStatus.LATE, 5.0)


def test_a_stream_that_speaks_again_is_told() -> None:
    rig = ready_rig()
    rig.pass_time(5_000)
    rig.pump(0)
    rig.run(500)
    turned = [(t.channel, t.is_late) for t in rig.of(StreamTurned) if t.channel == "l2Book"]
    assert turned == [("l2Book", True), ("l2Book", False)]


def test_wake_times_leave_nothing_due_before_them() -> None:
    rig = ready_rig()
    for _ in range(40):
        wake = rig.session.wake_at_ns()
        if rig.session.close_reason is not None:
            break
        assert wake is not None
        assert wake > rig.now
        rig.session.advance(wake - 1)
        assert not rig.sent()
        assert not rig.session.notices
        rig.venue.now_ms = -(-wake // MS)
        rig.session.advance(rig.now)
        rig.session.notices.clear()
        rig.session.take_outgoing(rig.now)
    assert rig.session.close_reason is not None
    rig.drop()
    assert rig.session.wake_at_ns() is None


def test_reconnections_back_off_with_jitter_and_stay_below_thirty_a_minute() -> None:
    for draw in (0.0, 0.999):
        target, now, waits, times = Session(UNIVERSE, [COIN], lambda d=draw: d), T0, [], []
        for _ in range(60):
            assert target.connect_at_ns is not None
            now = max(now, target.connect_at_ns)
            times.append(now)
            target.connecting(now)
            target.disconnected(now, "refused")
            waits.append((target.connect_at_ns - now) / S)
        first = [0.25 * 2**n * (0.5 + 0.5 * draw) for n in range(5)]
        assert waits[:5] == pytest.approx(first)
        assert max(waits) <= 60.0
        assert waits[20] == pytest.approx(30.0 * (0.5 + 0.5 * draw))
        assert all(b - a >= 60 * S for a, b in zip(times, times[30:], strict=False))
    target, now = Session(UNIVERSE, [COIN], lambda: 0.0, limits=SocketLimits(SocketCounts(connects_per_minute=2))), T0
    for _ in range(3):
        assert target.connect_at_ns is not None
        now = max(now, target.connect_at_ns)
        target.connecting(now)
        target.disconnected(now, "refused")
    assert now - T0 >= 60 * S


def test_back_off_starts_over_after_a_steady_connection() -> None:
    rig = ready_rig()
    rig.session._failures = 9
    rig.run(31_000)
    rig.drop()
    assert rig.session.connect_at_ns is not None
    assert rig.session.connect_at_ns - rig.now < S


def test_messages_stay_below_the_venues_limit() -> None:
    rig = Rig(settings={"limits": SocketLimits(SocketCounts(messages_per_minute=4))})
    rig.connect()
    assert len(rig.session.take_outgoing(rig.now)) == 4
    assert rig.session.take_outgoing(rig.now) == []
    wake = rig.session.wake_at_ns()
    assert wake is not None
    rig.venue.pass_time(60_000)
    assert len(rig.session.take_outgoing(rig.now)) == 3
