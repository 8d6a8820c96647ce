"""The shell round the session loses nothing, ends cleanly, and comes back after whatever the venue does to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fake_exchange import FakeExchange
from hypermm.exchange.hyperliquid import clock as clock_module
from hypermm.exchange.hyperliquid import posts
from hypermm.exchange.hyperliquid import session as session_module
from hypermm.exchange.hyperliquid.clock import WallClock
from hypermm.exchange.hyperliquid.endpoint import Endpoint, endpoint
from hypermm.exchange.hyperliquid.http import HttpClient, load_universe
from hypermm.exchange.hyperliquid.notices import ActionLost, Disconnected, Ready, RequestFailed
from hypermm.exchange.hyperliquid.session import Phase, Session
from hypermm.exchange.hyperliquid.websocket import Received, Websocket

ACCOUNT = "0x" + "ab" * 20
S = 1_000_000_000


async def made(venue: FakeExchange, client: HttpClient, user: str | None = None, **settings: Any) -> Websocket:
    universe = await load_universe(client, ["ETH"])
    session = Session(universe, ["ETH"], random.Random(0).random, user=user)  # noqa: S311 - a seeded test
    return Websocket(session, settings.pop("at", None) or endpoint(venue.url), client.clock, **settings)


def http_client(venue: FakeExchange) -> HttpClient:
    return HttpClient(endpoint(venue.url), WallClock(), lambda: 0.5)


def with_venue(act: Callable[[FakeExchange, HttpClient], Awaitable[Any]], **settings: Any) -> Any:
    async def main(venue: FakeExchange) -> Any:
        async with http_client(venue) as http, asyncio.timeout(20.0):
            return await act(venue, http)

    with FakeExchange(**settings) as venue:
        return asyncio.run(main(venue))


def test_a_slow_consumer_stops_the_reading_and_loses_nothing() -> None:
    """Killed by: a queue without a bound, one that drops, items overtaking one another while they wait for room."""

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        websocket = await made(venue, http, capacity=8)
        running = asyncio.create_task(websocket.run())
        items: list[Received] = []
        async for item in websocket.received():
            items.append(item)
            assert websocket._queue.qsize() <= 8
            if len(items) < 120:
                await asyncio.sleep(0.004)
            elif len(items) == 600:
                websocket.stop()
        await running
        frames = [item.frame.decode() for item in items if item.frame is not None]
        assert frames == venue.connections[0].sent[: len(frames)]
        assert websocket.counts.stalls > 10
        assert websocket.counts.most_queued <= 8
        assert websocket.counts.stalled_s > 0.0
        assert all(a.time_ns <= b.time_ns for a, b in itertools.pairwise(items))

    with_venue(act, tick_s=0.001)


async def stalled(websocket: Websocket) -> None:
    """Until reading waits for a consumer that takes nothing."""
    while not websocket.counts.stalls:
        await asyncio.sleep(0.005)


def test_what_the_session_has_applied_reaches_the_consumer_although_the_connection_ends() -> None:
    """Killed by: a frame applied and then awaited into the queue, which is gone when the other task ends first."""

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        websocket = await made(venue, http, capacity=4)
        applied: list[bytes] = []
        receive = websocket.session.receive

        def remember(now_ns: int, frame: bytes | str) -> Any:
            applied.append(frame if isinstance(frame, bytes) else frame.encode())
            return receive(now_ns, frame)

        websocket.session.receive = remember  # type: ignore[method-assign]
        running = asyncio.create_task(websocket.run())
        await stalled(websocket)
        websocket.stop()
        await running
        items = [item async for item in websocket.received()]
        assert [item.frame for item in items if item.frame is not None] == applied
        assert len(applied) == 4
        assert isinstance(items[-1].notices[-1], Disconnected)

    with_venue(act, tick_s=0.001)


def test_while_reading_is_held_up_actions_are_sent_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by: a writer that waits for the consumer to take a notice before it goes on."""
    monkeypatch.setattr(posts, "ANSWER_WITHIN_NS", round(0.1 * S))

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        websocket = await made(venue, http, capacity=4)
        lost: list[int] = []
        websocket.listeners.append(
            lambda _, notice: lost.append(notice.request_id) if isinstance(notice, ActionLost) else None
        )
        running = asyncio.create_task(websocket.run())
        await stalled(websocket)
        sent = []
        for _ in range(2):
            sent.append(websocket.send_action(msgspec.Raw(b'{"action":{"type":"noop"}}')))
            while lost != sent:
                await asyncio.sleep(0.01)
        assert len(venue.actions) == 2
        websocket.stop()
        await running
        told = [notice async for item in websocket.received() for notice in item.notices]
        assert [notice.request_id for notice in told if isinstance(notice, ActionLost)] == sent

    with_venue(act, tick_s=0.001)


def test_a_venue_that_is_not_read_is_not_taken_for_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by: pings, silent books and late streams counted while reading waits for the consumer."""
    for name, span_s in (("PING_AFTER_NS", 0.05), ("PONG_WITHIN_NS", 0.05), ("BOOKS_SILENT_NS", 0.2)):
        monkeypatch.setattr(session_module, name, round(span_s * S))

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        websocket = await made(venue, http, capacity=20)
        running = asyncio.create_task(websocket.run())
        told: list[Any] = []
        await stalled(websocket)
        await asyncio.sleep(0.5)
        end = asyncio.get_running_loop().time() + 0.15
        async for item in websocket.received():
            told += item.notices
            if asyncio.get_running_loop().time() > end:
                websocket.stop()
        await running
        assert [notice.reason for notice in told if isinstance(notice, Disconnected)] == ["stopped"]
        assert websocket.counts.stalled_s > 0.4

    with_venue(act, tick_s=0.001)


@pytest.mark.parametrize("how", ["dropped", "doubted"])
def test_an_answer_asked_for_before_a_disconnection_does_not_answer_the_next_reading(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Killed by: an HTTP answer taken for the same question of a later reconciliation."""
    monkeypatch.setattr(posts, "ANSWER_WITHIN_NS", round(0.1 * S))
    monkeypatch.setattr(session_module, "FIRST_BACKOFF_S", 0.01)

    class Slow:
        """Answers when it is let, as a request that hangs."""

        def __init__(self) -> None:
            self.asked = 0
            self.let = asyncio.Event()

        async def info_bytes(self, kind: str, **_: Any) -> bytes:
            self.asked += 1
            await self.let.wait()
            return b"[]"

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        venue.silent_posts = True
        slow = Slow()
        websocket = await made(venue, http, ACCOUNT, http=slow)
        session = websocket.session
        answered: list[Any] = []
        monkeypatch.setattr(session, "answer_over_http", lambda *row: answered.append(row) or [])
        running = asyncio.create_task(websocket.run())

        async def consume() -> None:
            async for _ in websocket.received():
                pass

        consuming = asyncio.create_task(consume())
        while not slow.asked:
            await asyncio.sleep(0.01)
        venue.drop() if how == "dropped" else session.reconcile(http.clock())
        while session.reconciliations < 2:
            await asyncio.sleep(0.01)
        slow.let.set()
        await asyncio.sleep(0.02)
        assert not answered
        websocket.stop()
        await asyncio.gather(running, consuming)

    with_venue(act)


def test_canceled_or_stopped_the_socket_is_closed_and_the_consumer_ends() -> None:
    async def act(venue: FakeExchange, http: HttpClient) -> None:
        for end in ("cancel", "stop"):
            websocket = await made(venue, http)
            running = asyncio.create_task(websocket.run())
            seen = 0
            last: list[Any] = []
            async for item in websocket.received():
                seen += 1
                last = list(item.notices)
                if seen == 50:
                    running.cancel() if end == "cancel" else websocket.stop()
            with pytest.raises(asyncio.CancelledError) if end == "cancel" else contextlib.nullcontext():
                await running
            assert isinstance(last[-1], Disconnected)
            assert websocket.session.phase is Phase.DISCONNECTED
            await asyncio.sleep(0.1)
            assert venue.connections[-1].socket.closed
        assert len(venue.connections) == 2
        assert len(asyncio.all_tasks()) == 1

    with_venue(act)


def test_a_venue_that_is_away_is_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by: waits that do not grow, or without jitter between half and all of their ceiling."""
    monkeypatch.setattr(session_module, "FIRST_BACKOFF_S", 0.02)
    away = Endpoint("http://127.0.0.1:9", "ws://127.0.0.1:9/ws", is_mainnet=False)

    async def act(venue: FakeExchange, http: HttpClient) -> list[float]:
        websocket = await made(venue, http, at=away)
        running = asyncio.create_task(websocket.run())
        waits: list[float] = []
        async for item in websocket.received():
            lost = [notice for notice in item.notices if isinstance(notice, Disconnected)]
            if any(isinstance(notice, Ready) for notice in item.notices):
                websocket.stop()
            elif lost and len(waits) < 4:
                assert "cannot connect to ws://127.0.0.1:9/ws" in lost[0].reason
                waits.append((lost[0].connect_at_ns - item.time_ns) / S)
                if len(waits) == 4:
                    websocket._url = endpoint(venue.url).websocket_url
        await running
        return waits

    waits = with_venue(act)
    assert all(0.5 * 0.02 * 2**i <= wait <= 0.02 * 2**i for i, wait in enumerate(waits))
    assert len({wait / 2**i for i, wait in enumerate(waits)}) == 4


def test_a_redirect_is_no_connection() -> None:
    """Killed by: a socket, and signed actions in it, at wherever the answer pointed to."""

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        async def away(_: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(location=venue.url.replace("http", "ws") + "/ws")

        app = web.Application()
        app.router.add_get("/ws", away)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        websocket = await made(venue, http, at=endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}"))
        running = asyncio.create_task(websocket.run())
        while not websocket.counts.disconnections:
            await asyncio.sleep(0.01)
        websocket.stop()
        await running
        await runner.cleanup()
        assert websocket.counts.connections == 0
        assert not venue.connections

    with_venue(act)


@pytest.mark.parametrize("answers", [True, False])
def test_a_quiet_socket_is_pinged_and_one_that_does_not_answer_is_replaced(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr(session_module, "PING_AFTER_NS", round(0.1 * S))
    monkeypatch.setattr(session_module, "PONG_WITHIN_NS", round(0.2 * S))

    async def act(venue: FakeExchange, http: HttpClient) -> None:
        websocket = await made(venue, http)
        running = asyncio.create_task(websocket.run())
        heard: list[Received] = []

        async def consume() -> None:
            async for item in websocket.received():
                heard.append(item)  # noqa: PERF401 - read meanwhile

        consuming = asyncio.create_task(consume())
        while websocket.session.phase is not Phase.READY:
            await asyncio.sleep(0.01)
        venue.quiet = True
        venue.deaf = not answers
        await asyncio.sleep(0.7)
        pongs = sum(item.frame == b'{"channel":"pong"}' for item in heard)
        reasons = [notice.reason for item in heard for notice in item.notices if isinstance(notice, Disconnected)]
        if answers:
            assert pongs >= 3
            assert not reasons
        else:
            assert reasons[0] == "no answer to a ping"
        websocket.stop()
        await asyncio.gather(running, consuming)

    with_venue(act)


def test_what_the_websocket_does_not_answer_is_asked_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by: a session that is never ready while posts go unanswered."""
    monkeypatch.setattr(posts, "ANSWER_WITHIN_NS", round(0.2 * S))

    async def act(venue: FakeExchange, http: HttpClient) -> list[Any]:
        venue.silent_posts = True
        websocket = await made(venue, http, ACCOUNT, http=http)
        running = asyncio.create_task(websocket.run())
        told: list[Any] = []
        async for item in websocket.received():
            told += item.notices
            if any(isinstance(notice, Ready) for notice in told):
                websocket.stop()
        await running
        assert not venue.asked["frontendOpenOrders"]
        assert venue.asked["http frontendOpenOrders"] == venue.asked["http userFillsByTime"] == 1
        return told

    told = with_venue(act)
    assert any(isinstance(notice, RequestFailed) for notice in told)


def test_a_frame_that_kills_the_reader_elsewhere_is_a_notice_here() -> None:
    async def act(venue: FakeExchange, http: HttpClient) -> None:
        websocket = await made(venue, http)
        running = asyncio.create_task(websocket.run())
        count = 0
        async for item in websocket.received():
            count += 1
            if count == 20:
                for frame in ("", "null", "[]", '{"channel":"bbo"}', '{"channel":"trades","data":[{}]}', "\x00"):
                    await asyncio.to_thread(venue.send, frame)
            if item.frame == b"\x00":
                websocket.stop()
        await running
        assert websocket.counts.refused == 6
        assert json.loads(venue.connections[0].sent[0])["channel"] == "subscriptionResponse"

    with_venue(act)


def test_the_clock_neither_stands_nor_goes_back_when_the_machines_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by: the machine's clock as it is; a clock that stands still, so that waits never end."""
    wall, steady = [1_000 * S], [0]
    monkeypatch.setattr(clock_module.time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(clock_module.time, "monotonic_ns", lambda: steady[0])
    clock = WallClock()
    first = clock()
    assert clock() > first
    wall[0] -= 120 * S
    steady[0] += 10 * S
    back = clock()
    assert first + 4 * S < back < first + 6 * S
    wall[0] += 500 * S
    assert clock() == wall[0]
    assert time is clock_module.time
