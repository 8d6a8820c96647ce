"""Each fault as a client meets it, over the port."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import aiohttp
import pytest

from hypermm.exchange.loopback import Fault
from loopback_session import OWNER, Client, Socket, address, exchange, limit, play


async def fast_books(feed: Socket, seconds: float) -> list[dict[str, Any]]:
    await feed.subscribe("l2Book", coin="ETH", fast=True)
    return [frame["data"] for frame in await feed.all_until(seconds) if frame["channel"] == "l2Book"]


async def rests(client: Client) -> list[Any]:
    far = float(round((await client.best())[0] * 0.9))
    return await client.order(limit(far))


def test_a_dropped_socket_is_cut_without_a_close_frame_and_can_be_opened_again() -> None:
    async def test() -> None:
        async with exchange(Fault(kind="drop_socket", at_s=0.6)) as client:
            async with client.socket() as feed:
                await feed.subscribe("bbo", coin="ETH")
                await feed.all_until(5.0)
                assert feed.inner.close_code == 1006
            async with client.socket() as feed:
                await feed.subscribe("bbo", coin="ETH")

    play(test)


def test_silence_lasts_as_long_as_it_says() -> None:
    async def test() -> None:
        silent = Fault(kind="silence", at_s=4.0, for_s=8.0, channel="l2Book")
        async with exchange(silent, speed=12.0) as client, client.socket() as feed:
            times = [book["time"] for book in await fast_books(feed, 1.5)]
            gaps = sorted(b - a for a, b in itertools.pairwise(times))
            assert 7000 <= gaps[-1] <= 12_000
            assert gaps[-2] < 4000

    play(test)


def test_duplicated_and_reordered_frames_are_seen() -> None:
    async def test() -> None:
        faults = [Fault(kind=kind, probability=0.2, channel="l2Book") for kind in ("duplicate", "reorder")]
        async with exchange(*faults, speed=40.0) as client, client.socket() as feed:
            times = [book["time"] for book in await fast_books(feed, 0.7)]
            pairs = list(itertools.pairwise(times))
            assert any(a == b for a, b in pairs)
            assert any(a > b for a, b in pairs)

    play(test)


def test_delayed_frames_come_late_and_in_order() -> None:
    async def test() -> None:
        late = Fault(kind="delay", at_s=4.0, for_s=5.0)
        async with exchange(late, speed=8.0) as client, client.socket() as feed:
            await feed.subscribe("l2Book", coin="ETH", fast=True)
            waits, times = [], []
            end = time.monotonic() + 1.6
            while time.monotonic() < end:
                before = time.monotonic()
                frame = await feed.frame()
                assert frame is not None
                if frame["channel"] == "l2Book":
                    waits.append(time.monotonic() - before)
                    times.append(frame["data"]["time"])
            assert times == sorted(times)
            # 5 s of the venue's are 0.63 of ours; usually a book comes every 0.07 s.
            assert 0.5 < max(waits) < 1.2

    play(test)


def test_too_many_requests_over_http_and_as_posts() -> None:
    async def test() -> None:
        async with (
            exchange(Fault(kind="too_many_requests", at_s=0.0, for_s=2.0), speed=4.0) as client,
            client.socket() as feed,
        ):
            async with client.session.post(client.url + "/info", json={"type": "meta"}) as response:
                assert (response.status, await response.text()) == (429, "null")
            async with client.session.post(client.url + "/exchange", json=client.signed({"type": "noop"})) as response:
                assert response.status == 429
            await feed.say({"method": "post", "id": 1, "request": {"type": "info", "payload": {"type": "meta"}}})
            told = {"type": "error", "payload": "429 Too Many Requests"}
            assert (await feed.hear("post"))["data"]["response"] == told
            await asyncio.sleep(0.6)
            assert await client.info("meta")

    play(test)


def test_the_weight_of_a_minute_runs_out() -> None:
    async def test() -> None:
        async with exchange() as client:
            statuses = []
            # 20 each: 1200 a minute are sixty.
            for _ in range(62):
                async with client.session.post(client.url + "/info", json={"type": "meta"}) as response:
                    statuses.append(response.status)
            assert statuses == [200] * 60 + [429] * 2

    play(test)


def test_post_only_orders_are_refused_for_a_while_and_others_are_not() -> None:
    async def test() -> None:
        async with exchange(Fault(kind="refuse_post_only", at_s=0.0, for_s=3.0), speed=4.0) as client:
            far = float(round((await client.best())[0] * 0.9))
            refused, taken = await client.order(limit(far), limit(far, tif="Gtc"))
            assert refused["error"].startswith("Post only order would have immediately matched, bbo was ")
            assert "resting" in taken
            await asyncio.sleep(0.8)
            assert "resting" in (await rests(client))[0]

    play(test)


def test_a_lost_acknowledgement_leaves_the_order_resting() -> None:
    async def test() -> None:
        async with exchange(Fault(kind="lose_ack", at_s=0.0)) as client:
            with pytest.raises(aiohttp.ClientError):
                await rests(client)
            [order] = await client.info("openOrders", user=address(OWNER))
            assert order["sz"] == "0.01"
            assert "resting" in (await rests(client))[0]

    play(test)


def test_a_lost_acknowledgement_of_a_post_never_comes() -> None:
    async def test() -> None:
        async with exchange(Fault(kind="lose_ack", at_s=0.0)) as client, client.socket() as feed:
            payload = client.signed({"type": "noop"})
            await feed.say({"method": "post", "id": 1, "request": {"type": "action", "payload": payload}})
            assert [frame for frame in await feed.all_until(0.5) if frame["channel"] == "post"] == []

    play(test)


def test_a_restart_closes_the_port_and_keeps_orders() -> None:
    async def test() -> None:
        async with exchange(Fault(kind="restart", at_s=2.0, for_s=1.5), speed=3.0) as client, client.socket() as feed:
            await rests(client)
            before = await client.info("openOrders", user=address(OWNER))
            await feed.subscribe("bbo", coin="ETH")
            await feed.all_until(3.0)
            assert feed.inner.closed
            with pytest.raises(aiohttp.ClientError):
                await client.info("meta")
            await asyncio.sleep(0.7)
            assert await client.info("openOrders", user=address(OWNER)) == before
            async with client.socket() as again:
                await again.subscribe("bbo", coin="ETH")

    play(test)
