"""A venue on 127.0.0.1 for the live client's tests: its own thread, its own log of every frame it sent.

It speaks as the protocol sheet says and knows nothing of the code under test. Markets of three coins move every few
milliseconds; sockets are dropped, answers lost and requests refused on demand.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web

REPLAYED = 30
COINS = {"BTC": 60_000.0, "ETH": 3_000.0, "xyz:GOLD": 2_400.0}
DECIMALS = {"BTC": 5, "ETH": 4, "xyz:GOLD": 3}
METAS = {
    "": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "ETH", "szDecimals": 4, "maxLeverage": 25, "marginTableId": 55},
        {"name": "MATIC", "szDecimals": 1, "maxLeverage": 20, "marginTableId": 20, "isDelisted": True},
    ],
    "xyz": [
        {"name": "xyz:XYZ100", "szDecimals": 4, "maxLeverage": 20, "marginTableId": 20, "marginMode": "noCross"},
        {"name": "xyz:GOLD", "szDecimals": 3, "maxLeverage": 20, "marginTableId": 20, "growthMode": "enabled"},
    ],
}
SPOT = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0},
        {"name": "PURR", "szDecimals": 0, "weiDecimals": 5, "index": 1},
    ],
    "universe": [{"name": "PURR/USDC", "tokens": [1, 0], "index": 0}],
}
ZEROS = {"accountValue": "0.0", "totalNtlPos": "0.0", "totalRawUsd": "0.0", "totalMarginUsed": "0.0"}


@dataclass(eq=False)
class Connection:
    """One socket: what was asked for and every frame that was sent, in order."""

    socket: web.WebSocketResponse
    streams: set[tuple[str, str]] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)


class FakeExchange:
    """In a ``with``; `url` is its address, `run(coroutine function)` calls something in its thread."""

    def __init__(self, seed: int = 0, tick_s: float = 0.004, clock_offset_s: float = 0.0) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a seeded test
        self.tick_s = tick_s
        self.clock_offset_s = clock_offset_s
        self.prices = dict(COINS)
        self.trades: dict[str, list[dict[str, Any]]] = {coin: [] for coin in COINS}
        self.tape: dict[str, deque[dict[str, Any]]] = {coin: deque(maxlen=REPLAYED) for coin in COINS}
        self.connections: list[Connection] = []
        self.statuses: dict[str, list[int]] = {}
        self.asked: Counter[str] = Counter()
        self.actions: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.silent_posts = False
        self.lose_answers = False
        self.quiet = False
        self.deaf = False
        self.ids = itertools.count(1_000)
        self.known_orders: dict[str, dict[str, Any]] = {}
        self.url = ""
        # What the venue repeats to every subscriber dates from before anybody listened.
        for coin, price in COINS.items():
            old = {
                "coin": coin,
                "side": "B",
                "px": f"{price:.1f}",
                "sz": "9.0",
                "hash": "0x00",
                "users": ["0x1", "0x2"],
            }
            begin_ms = self.now_ms() - 60_000
            self.tape[coin].extend(old | {"time": begin_ms + i, "tid": next(self.ids)} for i in range(REPLAYED))

    # --- life ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._up.wait(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10.0)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        app = web.Application()
        app.router.add_post("/info", self._info)
        app.router.add_post("/exchange", self._exchange)
        app.router.add_get("/ws", self._websocket)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        market = asyncio.create_task(self._market())
        self._up.set()
        await self._stop.wait()
        market.cancel()
        await asyncio.gather(market, return_exceptions=True)
        await runner.cleanup()

    def drop(self) -> None:
        """Cuts every socket, as the venue does: without a word."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for connection in self.connections:
            transport = connection.socket._req.transport if connection.socket._req is not None else None
            if transport is not None:
                transport.abort()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + round(self.clock_offset_s * 1e3)

    # --- markets ------------------------------------------------------------------------------------------------

    async def _market(self) -> None:
        for beat in itertools.count():
            await asyncio.sleep(self.tick_s)
            if self.quiet:
                continue
            for coin in COINS:
                self._move(coin)
                await self._publish("bbo", coin, self._best(coin))
                if beat % 5 == 0:
                    await self._publish("l2Book", coin, self._book(coin))
                if beat % 5 == 1:
                    await self._publish("trades", coin, self._print(coin))
                if beat % 20 == 0:
                    await self._publish("activeAssetCtx", coin, self._context(coin))

    def _move(self, coin: str) -> None:
        tick = 10.0 if coin == "BTC" else 1.0
        self.prices[coin] = max(tick * 100, self.prices[coin] + tick * self.rng.choice((-1, 0, 1)))

    def _level(self, price: float) -> dict[str, Any]:
        return {"px": f"{price:.1f}", "sz": f"{self.rng.randint(1, 900) / 100}", "n": self.rng.randint(1, 9)}

    def _best(self, coin: str) -> dict[str, Any]:
        price = self.prices[coin]
        return {"coin": coin, "time": self.now_ms(), "bbo": [self._level(price - 1.0), self._level(price + 1.0)]}

    def _book(self, coin: str) -> dict[str, Any]:
        price, depth = self.prices[coin], self.rng.randint(3, 5)
        sides = [[self._level(price + sign * (1.0 + step)) for step in range(depth)] for sign in (-1.0, 1.0)]
        return {"coin": coin, "time": self.now_ms(), "levels": sides, "fast": True}

    def _print(self, coin: str) -> list[dict[str, Any]]:
        rows = [
            {
                "coin": coin, "side": self.rng.choice("BA"), "px": f"{self.prices[coin]:.1f}", "sz": "0.25",
                "time": self.now_ms(), "hash": "0x00", "tid": next(self.ids), "users": ["0x1", "0x2"],
            }
            for _ in range(self.rng.randint(1, 3))
        ]  # fmt: skip
        self.trades[coin] += rows
        self.tape[coin].extend(rows)
        return rows

    def _context(self, coin: str) -> dict[str, Any]:
        price = f"{self.prices[coin]:.1f}"
        # The first of a market: no open interest, no mid.
        interest, middle = self.rng.choice([("0.0", None), ("1000.0", price)])
        ctx = {"funding": "0.0000125", "openInterest": interest, "oraclePx": price, "markPx": price, "midPx": middle}
        return {"coin": coin, "ctx": ctx | {"premium": None, "prevDayPx": price, "dayNtlVlm": "1.0"}}

    async def _publish(self, channel: str, coin: str, data: Any) -> None:
        for connection in list(self.connections):
            if (channel, coin) in connection.streams:
                await self._send(connection, {"channel": channel, "data": data})

    async def _send(self, connection: Connection, message: dict[str, Any]) -> None:
        text = json.dumps(message, separators=(",", ":"))
        connection.sent.append(text)
        try:
            await connection.socket.send_str(text)
        except (ConnectionError, RuntimeError):
            connection.streams.clear()

    async def send_raw(self, text: str) -> None:
        for connection in self.connections:
            connection.sent.append(text)
            await connection.socket.send_str(text)

    def send(self, text: str) -> None:
        """Sends a frame of a test's own to every socket."""
        asyncio.run_coroutine_threadsafe(self.send_raw(text), self._loop).result(5.0)

    # --- the socket ---------------------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        connection = Connection(socket)
        self.connections.append(connection)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._hear(connection, json.loads(message.data))
        return socket

    async def _hear(self, connection: Connection, asked: dict[str, Any]) -> None:
        if self.deaf:
            return
        if asked["method"] == "ping":
            await self._send(connection, {"channel": "pong"})
        elif asked["method"] == "subscribe":
            told = asked["subscription"]
            answer = {"method": "subscribe", "subscription": {"nSigFigs": None} | told}
            await self._send(connection, {"channel": "subscriptionResponse", "data": answer})
            coin = told.get("coin", "")
            connection.streams.add((told["type"], coin))
            if told["type"] == "trades" and self.tape.get(coin):
                await self._send(connection, {"channel": "trades", "data": list(self.tape[coin])})
        elif asked["method"] == "post" and not self.silent_posts:
            request = asked["request"]
            kind, payload = request["type"], request["payload"]
            if kind == "info":
                self.asked[payload["type"]] += 1
                reply = {"type": "info", "payload": {"type": payload["type"], "data": self.answer(payload)}}
            else:
                answer = self.act(payload)
                if self.lose_answers:
                    return
                reply = {"type": "action", "payload": answer}
            await self._send(connection, {"channel": "post", "data": {"id": asked["id"], "response": reply}})

    # --- HTTP ---------------------------------------------------------------------------------------------------

    async def _info(self, request: web.Request) -> web.Response:
        payload = await request.json()
        kind = payload["type"]
        self.asked[f"http {kind}"] += 1
        if self.statuses.get(kind):
            return web.Response(status=self.statuses[kind].pop(0), text="null")
        return web.json_response(self.answer(payload))

    async def _exchange(self, request: web.Request) -> web.Response:
        payload = await request.json()
        kind = payload["action"]["type"]
        if self.statuses.get(kind):
            status = self.statuses[kind].pop(0)
            if status < 500:
                return web.Response(status=status, text="Too Many Requests")
            self.act(payload)
            return web.Response(status=status, text="bad gateway")
        return web.json_response(self.act(payload))

    def answer(self, payload: dict[str, Any]) -> Any:
        kind = payload["type"]
        if kind in self.answers:
            told = self.answers[kind]
            return told(payload) if callable(told) else told
        if kind == "perpDexs":
            return [None, {"name": "xyz", "fullName": "XYZ", "deployerFeeScale": "1.0"}]
        if kind == "meta":
            return {"universe": METAS[payload.get("dex", "")], "marginTables": [], "collateralToken": 0}
        if kind == "spotMeta":
            return SPOT
        if kind == "exchangeStatus":
            return {"specialStatuses": None, "time": self.now_ms()}
        if kind == "clearinghouseState":
            state = {"marginSummary": ZEROS, "crossMarginSummary": ZEROS, "withdrawable": "0.0", "assetPositions": []}
            return state | {"time": self.now_ms()}
        if kind == "orderStatus":
            known = self.known_orders.get(str(payload["oid"]))
            return {"status": "unknownOid"} if known is None else {"status": "order", "order": known}
        if kind == "userRateLimit":
            return {"cumVlm": "1.0", "nRequestsUsed": 5, "nRequestsCap": 10_001, "nRequestsSurplus": 0}
        if kind == "userRole":
            return {"role": "missing"}
        if kind == "spotClearinghouseState":
            return {"balances": []}
        return []

    def act(self, payload: dict[str, Any]) -> Any:
        """Takes an action: orders rest, cancels succeed; `answers` may hold another word for its type."""
        self.actions.append(payload)
        action = payload["action"]
        kind = action["type"]
        if kind in self.answers:
            told = self.answers[kind]
            return told(payload) if callable(told) else told
        items = action.get("orders") or action.get("cancels") or action.get("modifies")
        if items is None:
            return {"status": "ok", "response": {"type": "default"}}
        statuses: list[Any] = ["success"] * len(items)
        if kind in ("order", "batchModify"):
            orders = [item.get("order", item) for item in items]
            statuses = [{"resting": {"oid": self._rest(order)}} for order in orders]
        shape = "cancel" if kind.startswith("cancel") else "order"
        return {"status": "ok", "response": {"type": shape, "data": {"statuses": statuses}}}

    def _rest(self, order: dict[str, Any]) -> int:
        oid = next(self.ids)
        names = [row["name"] for row in METAS[""]]
        row = {
            "coin": names[order["a"]] if order["a"] < len(names) else "xyz:GOLD", "side": "B" if order["b"] else "A",
            "limitPx": order["p"], "sz": order["s"], "oid": oid, "timestamp": self.now_ms(), "origSz": order["s"],
            "cloid": order.get("c"),
        }  # fmt: skip
        status = {"order": row, "status": "open", "statusTimestamp": self.now_ms()}
        self.known_orders[str(oid)] = status
        if order.get("c"):
            self.known_orders[order["c"]] = status
        return oid
