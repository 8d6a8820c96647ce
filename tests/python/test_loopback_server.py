"""The exchange over its port: replies of HTTP, orders' lives, channels, and where it listens."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback import Limits
from loopback_session import ETH, GOLD, MATIC, OTHER, OWNER, STRANGER, Client, address, exchange, limit, play

CLOID = "0x" + "1234567890abcdef" * 2


async def reply(client: Client, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
    headers = {"Content-Type": content_type}
    async with client.session.post(client.url + path, data=body, headers=headers) as response:
        return response.status, await response.text()


def test_requests_that_are_none_get_the_venue_s_replies() -> None:
    async def test() -> None:
        async with exchange() as client:
            not_a_request = (422, "Failed to deserialize the JSON body into the target type")
            not_json = (400, "Failed to parse the request body as JSON")
            assert await reply(client, "/info", b'{"type":"nonsense"}') == not_a_request
            assert await reply(client, "/info", b'{"type":"clearinghouseState"}') == not_a_request
            assert await reply(client, "/info", b"{") == not_json
            assert await reply(client, "/exchange", b"{") == not_json
            assert await reply(client, "/exchange", b"{}") == not_a_request
            status, text = await reply(client, "/info", b"{}", "text/plain")
            assert (status, text) == (415, "Expected request with `Content-Type: application/json`")
            async with client.session.get(client.url + "/info") as response:
                assert (response.status, await response.text()) == (405, "")
            for body in (
                {"type": "metaAndAssetCtxs", "dex": "nope"},
                {"type": "fundingHistory", "coin": "NOPE", "startTime": 0},
                {"type": "clearinghouseState", "user": address(OWNER), "dex": "nope"},
                {"type": "openOrders", "user": address(OWNER), "dex": "nope"},
                {"type": "l2Book", "coin": "ETH", "nSigFigs": 6},
            ):
                assert await reply(client, "/info", json.dumps(body).encode()) == (500, "null")
            assert await client.info("l2Book", coin="NOPE") is None
            assert (await client.info("l2Book", coin="MATIC"))["levels"] == [[], []]

    play(test)


def test_delisted_contracts_are_counted_and_refused() -> None:
    async def test() -> None:
        async with exchange() as client:
            universe = (await client.info("meta"))["universe"]
            assert [row["name"] for row in universe] == ["MATIC", "ETH"]
            assert universe[MATIC]["isDelisted"] is True
            assert (await client.info("meta", dex="xyz"))["universe"][0]["name"] == "xyz:GOLD"
            assert [dex and dex["name"] for dex in await client.info("perpDexs")] == [None, "xyz"]
            bid, _ = await client.best()
            good, bad = await client.order(limit(round(bid * 0.9, 0)), limit("0.3", size="100", asset=MATIC))
            assert "resting" in good
            # Mutant: the refused order's place taken by the status of the next.
            assert bad == {"error": f"Trading is halted. asset={MATIC}"}

    play(test)


def test_an_order_rests_is_seen_is_modified_and_canceled() -> None:
    async def test() -> None:
        async with exchange() as client, client.socket() as feed:
            user = address(OWNER)
            await feed.subscribe("orderUpdates", user=user)
            price = float(round((await client.best())[0] * 0.9))
            [status] = await client.order(limit(price, cloid=CLOID))
            oid = status["resting"]["oid"]
            assert status == {"resting": {"oid": oid, "cloid": CLOID}}
            assert oid > 2**32
            update = (await feed.hear("orderUpdates"))["data"]
            order = {
                "coin": "ETH", "side": "B", "limitPx": f"{price:.1f}", "sz": "0.01", "oid": oid,
                "timestamp": update[0]["order"]["timestamp"], "origSz": "0.01", "cloid": CLOID,
            }  # fmt: skip
            assert update == [{"order": order, "status": "open", "statusTimestamp": order["timestamp"]}]
            assert await client.info("openOrders", user=user) == [order]
            assert await client.info("openOrders", user=user, dex="xyz") == []
            assert await client.info("openOrders", user=address(OTHER)) == []
            by_name = await client.info("orderStatus", user=user, oid=CLOID)
            assert by_name == await client.info("orderStatus", user=user, oid=oid)
            assert by_name["order"]["status"] == "open"

            modify = {"oid": oid, "order": limit(price - 1.0, cloid=CLOID)}
            answer = await client.act({"type": "batchModify", "modifies": [modify]})
            [status] = answer["response"]["data"]["statuses"]
            replaced = status["resting"]["oid"]
            assert replaced > oid
            heard = {row["order"]["oid"]: row["status"] for row in (await feed.hear("orderUpdates"))["data"]}
            assert heard == {oid: "canceled", replaced: "open"}

            cancel = {"type": "cancel", "cancels": [{"a": ETH, "o": replaced}, {"a": ETH, "o": oid}], "f": True}
            answer = await client.act(cancel)
            gone = f"Order was never placed, already canceled, or filled. asset={ETH}"
            statuses = ["success", {"error": gone}]
            assert answer == {"status": "ok", "response": {"type": "cancel", "data": {"statuses": statuses}}}
            [row] = (await feed.hear("orderUpdates"))["data"]
            assert (row["order"]["oid"], row["status"]) == (replaced, "canceled")
            history = await client.info("historicalOrders", user=user)
            assert {(row["order"]["oid"], row["status"]) for row in history} == {
                (oid, "canceled"),
                (replaced, "canceled"),
            }
            assert await client.info("orderStatus", user=user, oid=1) == {"status": "unknownOid"}

    play(test)


def test_a_taker_s_fill_is_told_alike_everywhere() -> None:
    async def test() -> None:
        async with exchange() as client, client.socket() as feed:
            user = address(OWNER)
            for kind in ("userFills", "userEvents", "orderUpdates"):
                await feed.subscribe(kind, user=user)
            ask = (await client.best())[1]
            [status] = await client.order(limit(round(ask * 1.01), size="0.05", tif="Ioc"))
            filled = status["filled"]
            assert filled["totalSz"] == "0.05"
            frames = await feed.all_until(0.5)
            told = [frame["data"] for frame in frames if frame["channel"] == "userFills"]
            fills = [fill for data in told if not data.get("isSnapshot") for fill in data["fills"]]
            assert sum(float(fill["sz"]) for fill in fills) == pytest.approx(0.05)
            assert {(fill["oid"], fill["side"], fill["crossed"], fill["dir"]) for fill in fills} == {
                (filled["oid"], "B", True, "Open Long")
            }
            # 4.5 bps, cut off after six decimals.
            for fill in fills:
                assert float(fill["fee"]) == pytest.approx(float(fill["px"]) * float(fill["sz"]) * 4.5e-4, abs=1.1e-6)
            assert [f for frame in frames if frame["channel"] == "user" for f in frame["data"]["fills"]] == fills
            assert await client.info("userFills", user=user) == fills[::-1]
            assert await client.info("userFillsByTime", user=user, startTime=0) == fills
            statuses = [row["status"] for f in frames if f["channel"] == "orderUpdates" for row in f["data"]]
            assert statuses == ["open", "filled"]
            prints = [row for row in client.log() if row["channel"] == "trades" and user in row["data"]["users"]]
            assert [(row["data"]["tid"], row["data"]["side"], row["data"]["users"][0]) for row in prints] == [
                (fill["tid"], "B", user) for fill in fills
            ]
            [position] = (await client.info("clearinghouseState", user=user))["assetPositions"]
            assert position["position"]["szi"] == "0.05"
            assert (await client.info("clearinghouseState", user=user, dex="xyz"))["assetPositions"] == []
            async with client.socket() as late:
                await late.subscribe("userFills", user=user)
                # Oldest first, and only the first message is the snapshot.
                assert (await late.hear("userFills"))["data"] == {"isSnapshot": True, "user": user, "fills": fills}

    play(test)


def test_a_builder_dex_is_a_clearinghouse_of_its_own() -> None:
    async def test() -> None:
        async with exchange() as client:
            user = address(OWNER)
            ask = (await client.best("xyz:GOLD"))[1]
            [status] = await client.order(limit(round(ask * 1.02, 3), size="2", tif="Ioc", asset=GOLD))
            assert status["filled"]["totalSz"] == "2.0"
            fills = await client.info("userFills", user=user)
            # Scale 1: twice the fee; growth mode: a tenth of it.
            for fill in fills:
                assert float(fill["fee"]) == pytest.approx(float(fill["px"]) * float(fill["sz"]) * 9e-5, abs=1.1e-6)
            assert (await client.info("clearinghouseState", user=user))["assetPositions"] == []
            [row] = (await client.info("clearinghouseState", user=user, dex="xyz"))["assetPositions"]
            assert (row["position"]["coin"], row["position"]["szi"]) == ("xyz:GOLD", "2.0")

    play(test)


def test_refusals_bear_the_venue_s_words() -> None:
    async def test() -> None:
        async with exchange() as client:
            bid, ask = await client.best()
            far = float(round(bid * 0.9))
            orders = [
                limit(round(ask * 1.02), tif="Alo"),
                limit(far, size="0.001"),
                limit(far, size="0.00001"),
                limit("3999.12"),
                limit(far, buy=False, reduce_only=True),
                limit(far, tif="Ioc"),
                limit(far, size="900"),
            ]
            texts = []
            for order in orders:
                [status] = await client.order(order)
                texts.append(status["error"])
            assert texts[0].startswith("Post only order would have immediately matched, bbo was ")
            assert texts[0].endswith(f". asset={ETH}")
            assert texts[1:] == [
                f"Order must have minimum value of $10. asset={ETH}",
                "Order has invalid size.",
                f"Price must be divisible by tick size. asset={ETH}",
                f"Reduce only order would increase position. asset={ETH}",
                f"Order could not immediately match against any resting orders. asset={ETH}",
                f"Insufficient margin to place order. asset={ETH}",
            ]
            answer = await client.act({"type": "order", "orders": [limit(far)], "grouping": "na"}, STRANGER)
            unknown = f"User or API Wallet {address(STRANGER)} does not exist."
            assert answer == {"status": "err", "response": unknown}
            now_ms = client.server.clock.now_ns() // 1_000_000
            expired = await client.act({"type": "noop"}, expires_after=now_ms - 1000)
            assert expired == {"status": "err", "response": "Action already expired"}

    play(test)


def test_other_actions_succeed_or_say_why() -> None:
    async def test() -> None:
        async with exchange() as client:
            done = {"status": "ok", "response": {"type": "default"}}
            leverage = {"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 7}
            assert await client.act(leverage) == done
            assert await client.act(leverage | {"leverage": 500}) == {
                "status": "err", "response": "Invalid leverage value",
            }  # fmt: skip
            data = await client.info("activeAssetData", user=address(OWNER), coin="ETH")
            assert data["leverage"] == {"type": "cross", "value": 7}
            at_ms = client.server.clock.now_ns() // 1_000_000 + 60_000
            assert await client.act({"type": "scheduleCancel", "time": at_ms}) == done
            refused = await client.act({"type": "scheduleCancel", "time": at_ms}, OTHER)
            assert refused["response"].startswith("Cannot set scheduled cancel time until enough volume traded.")
            assert await client.act({"type": "noop"}) == done
            margin = {"type": "updateIsolatedMargin", "asset": ETH, "isBuy": True, "ntli": 1_000_000}
            assert await client.act(margin) == {
                "status": "err", "response": "Position does not use isolated margin.",
            }  # fmt: skip
            limits = await client.info("userRateLimit", user=address(OWNER))
            assert limits["nRequestsCap"] == 10_000 + 2_000_000
            assert limits["nRequestsUsed"] >= 2

    play(test)


def test_a_nonce_works_once() -> None:
    async def test() -> None:
        async with exchange() as client:
            body = client.signed({"type": "noop"})
            answers = []
            for _ in range(2):
                async with client.session.post(client.url + "/exchange", json=body) as response:
                    answers.append(await response.json())
            assert answers[0]["status"] == "ok"
            assert answers[1] == {"status": "err", "response": f"Invalid nonce: duplicate nonce {body['nonce']}"}

    play(test)


def test_an_address_without_requests_left_is_told_how_many_it_sent() -> None:
    async def test() -> None:
        async with exchange(initial_requests=3, speed=4.0) as client:
            far = float(round((await client.best())[0] * 0.9))
            order = {"type": "order", "orders": [limit(far)] * 3, "grouping": "na"}
            assert (await client.act(order, OTHER))["status"] == "ok"
            answers = [await client.act(order, OTHER) for _ in range(2)]
            refused = [answer["response"] for answer in answers if answer["status"] == "err"]
            assert refused
            assert all(text.startswith("Too many cumulative requests sent (") for text in refused)

    play(test)


def test_posts_are_answered_as_http_is() -> None:
    async def test() -> None:
        async with exchange() as client, client.socket() as feed:
            payload: dict[str, Any] = {"type": "meta", "dex": "xyz"}
            await feed.say({"method": "post", "id": 5, "request": {"type": "info", "payload": payload}})
            answer = (await feed.hear("post"))["data"]
            response = {"type": "info", "payload": {"type": "meta", "data": await client.info("meta", dex="xyz")}}
            assert answer == {"id": 5, "response": response}
            await feed.say(
                {"method": "post", "id": 6, "request": {"type": "action", "payload": client.signed({"type": "noop"})}}
            )
            done = {"status": "ok", "response": {"type": "default"}}
            assert (await feed.hear("post"))["data"] == {"id": 6, "response": {"type": "action", "payload": done}}
            await feed.say({"method": "post", "id": 7, "request": {"type": "info", "payload": {"type": "nope"}}})
            told = {"type": "error", "payload": "422 Unprocessable Entity"}
            assert (await feed.hear("post"))["data"] == {"id": 7, "response": told}

    play(test)


def test_trades_are_replayed_on_subscribing_and_dead_coins_kill() -> None:
    async def test() -> None:
        async with exchange(speed=25.0) as client:
            await asyncio.sleep(0.4)
            async with client.socket() as feed:
                await feed.subscribe("trades", coin="ETH")
                replay = (await feed.hear("trades"))["data"]
                assert 1 < len(replay) <= 30
                logged = [row["data"] for row in client.log() if row["channel"] == "trades"]
                assert all(row in logged for row in replay)
                assert [row["time"] for row in replay] == sorted(row["time"] for row in replay)
                await feed.subscribe("l2Book", coin="MATIC")
                assert (await feed.hear("l2Book"))["data"]["levels"] == [[], []]
                await feed.say({"method": "subscribe", "subscription": {"type": "bbo", "coin": "GOLD"}})
                frames = await feed.all_until(2.0)
                assert feed.inner.closed
                assert all(frame["channel"] != "error" for frame in frames)

    play(test)


def test_nothing_listens_on_other_than_loopback() -> None:
    async def test() -> None:
        async with exchange() as client:
            listening = [
                line.split()
                for table in ("/proc/net/tcp", "/proc/net/tcp6")
                if Path(table).exists()
                for line in Path(table).read_text().splitlines()[1:]
            ]
            port = f"{client.server.port:04X}"
            places = [row[1].partition(":")[0] for row in listening if row[1].endswith(":" + port) and row[3] == "0A"]
            # 127.0.0.1, in the kernel's byte order; mutant: 0.0.0.0.
            assert places == ["0100007F"]
            other = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)[0][4][0]
            if not str(other).startswith("127."):
                with pytest.raises(OSError, match="refused"):
                    await asyncio.open_connection(str(other), client.server.port)

    play(test)


def test_a_plain_get_of_the_websocket_takes_no_place() -> None:
    async def test() -> None:
        async with exchange(limits=Limits(connections=2)) as client:
            for _ in range(3):
                async with client.session.get(client.url + "/ws") as response:
                    # Mutant: a request that is no websocket's never leaves its place.
                    assert response.status == 400
            async with client.socket() as feed:
                await feed.say({"method": "ping"})
                await feed.hear("pong")

    play(test)


def test_a_venue_that_stops_says_goodbye() -> None:
    async def test() -> None:
        async with aiohttp.ClientSession() as session:
            async with exchange() as client:
                inner = await session.ws_connect(client.url + "/ws")
                last = asyncio.create_task(inner.receive(5.0))
                await asyncio.sleep(0)
            assert (await last).type is aiohttp.WSMsgType.CLOSE
            # Mutant: cut, as a fault would.
            assert inner.close_code == aiohttp.WSCloseCode.GOING_AWAY
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post(client.url + "/info", json={"type": "meta"})

    play(test)


def test_a_bug_that_stops_the_clock_is_told() -> None:
    def stuck(_: int) -> float:
        raise RuntimeError("stuck")

    async def test() -> None:
        async with exchange() as client:
            client.venue.advance = stuck  # type: ignore[method-assign]
            await client.server.wait()

    with pytest.raises(RuntimeError, match="stuck"):
        play(test)


def test_a_server_that_cannot_listen_says_so_and_leaves_nothing() -> None:
    async def test() -> None:
        async with exchange() as client:
            with pytest.raises(InvalidConfigError, match=f"port = {client.server.port}.*nothing listens"):
                async with exchange(port=client.server.port):
                    pass

    play(test)
