"""Keeps a `Session`'s websocket: sockets and the clock are here, everything that is decided is decided there.

One task reads, one writes and lets time pass; what the session says goes into a queue, in order and at once. A consumer
that is too slow fills it: then no further frame is read, the venue's bytes wait in the sockets, and nothing is dropped.
Writing goes on meanwhile, so that cancels are sent and actions without an answer are given up; the few notices of that
go beyond the queue's capacity.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from hypermm.exceptions import InvalidInputError, VenueError, WireError
from hypermm.exchange.hyperliquid.notices import Disconnected, FillRefused, FrameRefused, Notice, RequestFailed
from hypermm.exchange.hyperliquid.rate_limit import NS_PER_S
from hypermm.exchange.hyperliquid.session import Phase

if TYPE_CHECKING:
    from msgspec import Raw

    from hypermm.exchange.events import EngineEvent
    from hypermm.exchange.hyperliquid.endpoint import Endpoint
    from hypermm.exchange.hyperliquid.http import HttpClient
    from hypermm.exchange.hyperliquid.session import Session

__all__ = ["Counts", "Received", "Websocket"]

OPEN_WITHIN_S = 10.0
CLOSE_WITHIN_S = 1.0
SEND_WITHIN_S = 10.0
STOPPED = "stopped"
MOST_LOGGED = 20
LARGEST_FRAME = 16 * 2**20
_SHORTEST_WAIT_S = 0.001

_log = logging.getLogger(__name__)


class _Connect(connect):
    """Without redirects: one would take what is signed to somebody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The refusal it is to us."""
        return exc


class Received(Struct, gc=False):
    """A frame and what it says, or notices without a frame.

    Attributes:
        time_ns: Receiver's clock; later than that of the item before.
        frame: As it came; None where time passed or the connection changed.
        events: For engines, to be applied whole (`events.apply_frame`).
        notices: What else the session has to tell.
    """

    time_ns: int
    frame: bytes | None
    events: Sequence[EngineEvent]
    notices: Sequence[Notice] = ()


class Counts(Struct):
    """What happened so far.

    Attributes:
        frames: Frames read.
        refused: Frames of which nothing was applied.
        connections: Sockets that opened.
        disconnections: Sockets that were lost, or did not open.
        stalls: Times that reading waited for a consumer.
        stalled_s: How long it waited, s.
        most_queued: Most items that ever waited once a frame was read.
    """

    frames: int = 0
    refused: int = 0
    connections: int = 0
    disconnections: int = 0
    stalls: int = 0
    stalled_s: float = 0.0
    most_queued: int = 0


class Websocket:
    """A market data source over one websocket; also carries actions, for a gateway.

    Run `run` in a task of its own and read `received` (or `events`) in another. `stop`, or cancelling `run`, closes
    the socket; `received` then ends after what is queued.

    Args:
        session: Fresh; nobody else drives it.
        venue: Where the websocket is.
        clock: ns since 1970, later at every call.
        http: Second way for the session's own queries, when the venue does not answer them here.
        capacity: Items that may wait for a consumer before reading stops, 1 or more.

    Raises:
        InvalidInputError: `capacity` is below 1.
    """

    def __init__(
        self,
        session: Session,
        venue: Endpoint,
        clock: Callable[[], int],
        *,
        http: HttpClient | None = None,
        capacity: int = 4096,
    ) -> None:
        if capacity < 1:
            raise InvalidInputError(field="capacity", value=capacity, expected="1 or more")
        self.session = session
        self.counts = Counts()
        self.listeners: list[Callable[[int, Notice], None]] = []
        self._url = venue.websocket_url
        self._clock = clock
        self._http = http
        self._capacity = capacity
        # Without a bound of its own: what the session has applied must never wait, or a cancellation would lose it.
        self._queue: asyncio.Queue[Received | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._poke = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = False
        self._detour: asyncio.Task[None] | None = None

    # --- what a consumer sees -----------------------------------------------------------------------------------

    async def received(self) -> AsyncIterator[Received]:
        """Everything in order, until `run` ends."""
        while not (self._ended and self._queue.empty()):
            item = await self._queue.get()
            if self._queue.qsize() < self._capacity:
                self._room.set()
            if item is not None:
                yield item

    async def events(self) -> AsyncIterator[tuple[int, Sequence[EngineEvent]]]:
        """(receiver's clock in ns, what one frame said), as `protocols.MarketDataSource`."""
        async for item in self.received():
            if item.events:
                yield item.time_ns, item.events

    @property
    def is_connected(self) -> bool:
        """True when actions can be sent."""
        return self.session.phase in (Phase.SUBSCRIBING, Phase.RECONCILING, Phase.READY)

    def send_action(self, envelope: Raw) -> int:
        """Sends a signed action; a listener will be told its id.

        Raises:
            InvalidInputError: There is no connection, or too many are under way.
        """
        number = self.session.send_action(self._clock(), envelope)
        self._poke.set()
        return number

    def reconcile(self) -> None:
        """Reads the account anew: for a consumer whose engine refused what the account said.

        Raises:
            InvalidInputError: There is no account, or it is not connected.
        """
        self.session.reconcile(self._clock())
        self._poke.set()

    def stop(self) -> None:
        """Closes the socket for good; `run` returns soon after."""
        self._stopping.set()
        self._poke.set()

    # --- the loop -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connects, and connects again, until stopped."""
        try:
            while not self._stopping.is_set():
                await self._wait_for_turn()
                if not self._stopping.is_set():
                    await self._connection()
        finally:
            self._ended = True
            if self._detour is not None:
                self._detour.cancel()
            # Wakes a consumer that waits; one that does not sees the flag when the queue is empty.
            self._queue.put_nowait(None)

    async def _wait_for_turn(self) -> None:
        at_ns = self.session.connect_at_ns
        wait_s = 0.0 if at_ns is None else (at_ns - self._clock()) / NS_PER_S
        if wait_s > 0.0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def _connection(self) -> None:
        """One socket from opening to its end."""
        self.session.connecting(self._clock())
        reason = STOPPED
        try:
            # The venue's own rule is a ping in JSON; it neither sends nor needs the protocol's, nor compresses.
            socket = await _Connect(
                self._url,
                compression=None,
                ping_interval=None,
                open_timeout=OPEN_WITHIN_S,
                close_timeout=CLOSE_WITHIN_S,
                max_size=LARGEST_FRAME,
                proxy=None if _is_loopback(self._url) else True,
            )
            self.counts.connections += 1
            reason = await self._converse(socket)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError) as error:
            reason = f"cannot connect to {self._url}: {str(error) or type(error).__name__}"
        finally:
            self.counts.disconnections += 1
            now_ns = self._clock()
            if self._detour is not None:
                self._detour.cancel()
            self.session.disconnected(now_ns, reason)
            self._put(None, (), now_ns)

    async def _converse(self, socket: ClientConnection) -> str:
        """Reads and writes until one of the two ends; returns why."""
        self.session.connected(self._clock())
        tasks = [asyncio.create_task(self._read(socket)), asyncio.create_task(self._write(socket))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await socket.close()

    async def _read(self, socket: ClientConnection) -> str:
        receive, clock, counts = self.session.receive, self._clock, self.counts
        try:
            while True:
                if self._queue.qsize() >= self._capacity:
                    await self._wait_for_room()
                frame = await socket.recv(decode=False)
                counts.frames += 1
                now_ns = clock()
                self._put(frame, receive(now_ns, frame), now_ns)
                counts.most_queued = max(counts.most_queued, self._queue.qsize())
                if self.session.has_outgoing or self.session.close_reason is not None:
                    self._poke.set()
        except ConnectionClosed as closed:
            return f"the venue closed the socket: {closed}"

    async def _write(self, socket: ClientConnection) -> str:
        session = self.session
        try:
            while not self._stopping.is_set():
                self._poke.clear()
                now_ns = self._clock()
                session.advance(now_ns)
                for frame in session.take_outgoing(now_ns):
                    async with asyncio.timeout(SEND_WITHIN_S):
                        await socket.send(frame, text=True)
                if session.notices:
                    # Frames may have been read while these were sent.
                    self._put(None, (), self._clock())
                if session.close_reason is not None:
                    return session.close_reason
                wake_ns = session.wake_at_ns()
                wait_s = 60.0 if wake_ns is None else (wake_ns - self._clock()) / NS_PER_S
                try:
                    async with asyncio.timeout(max(_SHORTEST_WAIT_S, wait_s)):
                        await self._poke.wait()
                except TimeoutError:
                    continue
        except ConnectionClosed as closed:
            return f"the venue closed the socket: {closed}"
        except TimeoutError:
            return "the venue does not take what is sent"
        return STOPPED

    # --- to the consumer ----------------------------------------------------------------------------------------

    def _put(self, frame: bytes | None, events: Sequence[EngineEvent], now_ns: int) -> None:
        notices = self._take_notices(now_ns) if self.session.notices else ()
        self._queue.put_nowait(Received(now_ns, frame, events, notices))

    async def _wait_for_room(self) -> None:
        """Until the consumer has taken something; the venue's silence is not counted meanwhile."""
        counts, begin_ns = self.counts, self._clock()
        counts.stalls += 1
        self.session.held_up(begin_ns)
        try:
            while self._queue.qsize() >= self._capacity:
                self._room.clear()
                await self._room.wait()
        finally:
            now_ns = self._clock()
            self.session.resumed(now_ns)
            counts.stalled_s += (now_ns - begin_ns) / NS_PER_S
            self._poke.set()

    def _take_notices(self, now_ns: int) -> tuple[Notice, ...]:
        notices = tuple(self.session.notices)
        self.session.notices.clear()
        for notice in notices:
            self._heed(now_ns, notice)
        return notices

    def _heed(self, now_ns: int, notice: Notice) -> None:
        if isinstance(notice, FrameRefused):
            self.counts.refused += 1
            if self.counts.refused <= MOST_LOGGED:
                _log.warning("frame refused: %s", notice.error)
        elif isinstance(notice, FillRefused):
            _log.warning("fill left out: %s", notice.error)
        elif isinstance(notice, Disconnected) and notice.reason != STOPPED:
            _log.warning("disconnected: %s", notice.reason)
        elif isinstance(notice, RequestFailed) and self._http is not None and self._detour is None:
            self._detour = asyncio.create_task(self._ask_over_http(self._http))
            self._detour.add_done_callback(self._detoured)
        for listener in self.listeners:
            listener(now_ns, notice)

    def _detoured(self, task: asyncio.Task[None]) -> None:
        self._detour = None
        if not task.cancelled() and task.exception() is not None:
            _log.error("query over HTTP: %s", task.exception())

    async def _ask_over_http(self, http: HttpClient) -> None:
        """The session's queries that the websocket did not answer; those that fail here too stay open there."""
        session = self.session
        reconciliations = session.reconciliations
        for query in session.open_queries:
            try:
                body = await http.info_bytes(query.kind, **dict(query.fields))
                if session.reconciliations != reconciliations:
                    # Asked again since: this answer may be older than what the question is about.
                    break
                now_ns = self._clock()
                self._put(None, session.answer_over_http(now_ns, query, body), now_ns)
            except (VenueError, WireError) as error:
                _log.warning("query over HTTP: %s", error)
        self._poke.set()


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
