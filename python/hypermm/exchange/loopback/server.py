"""The exchange on a port: HTTP and websocket with aiohttp, one task that lets the venue's time pass.

Everything said and decided is `exchange.LoopbackExchange`'s; here are only sockets and the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self

from aiohttp import WSCloseCode, WSMsgType, web

from hypermm.exceptions import InvalidConfigError

if TYPE_CHECKING:
    from hypermm.exchange.loopback.exchange import Done, LoopbackExchange, Reply
    from hypermm.exchange.loopback.hub import Connection

__all__ = ["Server", "VenueClock"]

NS_PER_S = 1_000_000_000
_JSON = "application/json"
_TICK_S = 0.035
_MAX_BODY = 4 * 1024 * 1024


class VenueClock:
    """The venue's time: the machine's at the start, then so many times as fast.

    Args:
        speed: Venue seconds in a second.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._start_ns = time.time_ns()
        self._since_ns = time.monotonic_ns()
        self.speed = speed

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        passed = time.monotonic_ns() - self._since_ns
        return self._start_ns + (passed if self.speed == 1.0 else round(passed * self.speed))


class Server:
    """A running exchange; use as an async context manager.

    Args:
        exchange: The exchange.
        clock: Its clock.
        host: Where to listen.
        port: Port; 0 takes a free one, which `port` then tells.
    """

    def __init__(
        self, exchange: LoopbackExchange, clock: VenueClock, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._exchange = exchange
        self.clock = clock
        self._host = host
        self.port = port
        self._wake: dict[int, asyncio.Event] = {}
        self._sockets: dict[int, web.WebSocketResponse] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_route("*", "/info", self._on_info)
        application.router.add_route("*", "/exchange", self._on_exchange)
        application.router.add_get("/ws", self._on_websocket)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self._site: web.TCPSite | None = None
        self._failure: asyncio.Future[None] | None = None

    @property
    def url(self) -> str:
        """What clients take as base URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._failure = asyncio.get_running_loop().create_future()
        await self._runner.setup()
        await self._listen()
        self._start(self._play())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in self._sockets.values()]
        await asyncio.gather(*closing, return_exceptions=True)
        self._cut_sockets()
        await self._runner.cleanup()
        self._exchange.close()
        if self._failure is not None and self._failure.done():
            self._failure.result()

    def _start(self, routine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(routine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def wait(self) -> None:
        """Waits for ever, or raises what stopped the venue's clock."""
        if self._failure is not None:
            await asyncio.shield(self._failure)

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, self._host, self.port)
        try:
            await self._site.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise InvalidConfigError(
                field="port",
                value=self.port,
                expected=f"one of {self._host} that nothing listens on",
                hint="stop what does, or take another: --port 0 finds a free one",
            ) from error
        if self.port == 0:
            self.port = self._runner.addresses[0][1]

    # --- time ---------------------------------------------------------------------------------------------------

    async def _play(self) -> None:
        while True:
            away_s = self._exchange.advance(self.clock.now_ns())
            if away_s > 0.0:
                self._start(self._restart(away_s / self.clock.speed))
            self._flush()
            await asyncio.sleep(_TICK_S)

    async def _restart(self, away_s: float) -> None:
        if self._site is None:
            return
        site, self._site = self._site, None
        self._cut_sockets()
        await site.stop()
        self._cut_sockets()
        await asyncio.sleep(away_s)
        await self._listen()

    def _cut_sockets(self) -> None:
        """Cuts every connection, idle HTTP ones too."""
        server = self._runner.server
        for handler in [] if server is None else list(server.connections):
            if handler.transport is not None:
                handler.transport.abort()

    def _flush(self) -> None:
        for event in self._wake.values():
            event.set()

    # --- HTTP ---------------------------------------------------------------------------------------------------

    async def _on_info(self, request: web.Request) -> web.StreamResponse:
        return await self._on_post(request, self._exchange.ask)

    async def _on_exchange(self, request: web.Request) -> web.StreamResponse:
        return await self._on_post(request, self._exchange.act)

    async def _on_post(self, request: web.Request, send: Callable[[bytes, int, Done], None]) -> web.StreamResponse:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        body = await request.read()
        answered: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

        def done(reply: Reply | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        send(body, self.clock.now_ns(), done)
        reply = await answered
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return _response(reply)

    # --- websocket ----------------------------------------------------------------------------------------------

    async def _on_websocket(self, request: web.Request) -> web.StreamResponse:
        connection = self._exchange.hub.connect(self.clock.now_ns())
        if connection is None:
            return web.Response(status=429)
        socket = web.WebSocketResponse(compress=False, max_msg_size=_MAX_BODY, timeout=0.5)
        try:
            await socket.prepare(request)
            await self._talk(request, socket, connection)
        finally:
            self._exchange.hub.disconnect(connection)
        return socket

    async def _talk(self, request: web.Request, socket: web.WebSocketResponse, connection: Connection) -> None:
        """Takes and sends frames until the socket is gone."""
        self._wake[connection.number] = asyncio.Event()
        self._sockets[connection.number] = socket
        sender = asyncio.ensure_future(self._send(request, socket, connection))
        try:
            async for message in socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                self._exchange.receive(connection, message.data, self.clock.now_ns())
                self._wake[connection.number].set()
        finally:
            self._wake.pop(connection.number)
            self._sockets.pop(connection.number)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender

    async def _send(self, request: web.Request, socket: web.WebSocketResponse, connection: Connection) -> None:
        """Sends what is due whenever woken; cuts the socket when the venue has."""
        wake = self._wake[connection.number]
        with contextlib.suppress(ConnectionError):
            while True:
                await wake.wait()
                wake.clear()
                for frame in connection.take(self.clock.now_ns()):
                    await socket.send_str(frame.decode())
                if connection.is_cut:
                    if request.transport is not None:
                        request.transport.abort()
                    return


def _refusal(request: web.Request) -> web.Response | None:
    """What the venue answers to a request of the wrong kind."""
    if request.method != "POST":
        return web.Response(status=405)
    if request.content_type != _JSON:
        return web.Response(status=415, text="Expected request with `Content-Type: application/json`")
    return None


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, content_type=_JSON if reply.is_json else "text/plain")
