"""Records a live market: every event with both clocks, every frame as it came, the facts of the instruments.

What is recorded is what an engine would have been told: each event goes through an engine of its coin first, and what
that refuses is counted, kept as a frame, and left out of the streams. So a replay meets no row that live quoting would
not have met, in the same order and with the same clocks.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hypermm._core import QuoteEngine, Side
from hypermm.exceptions import WireError
from hypermm.exchange.events import (
    BestUpdate,
    BookUpdate,
    ContextUpdate,
    EngineEvent,
    TradesUpdate,
    apply_frame,
    next_settlement_ns,
)
from hypermm.exchange.hyperliquid.clock import WallClock
from hypermm.exchange.hyperliquid.http import HttpClient, load_universe
from hypermm.exchange.hyperliquid.notices import FrameRefused, Notice, TapeGap
from hypermm.exchange.hyperliquid.session import Session
from hypermm.exchange.hyperliquid.websocket import Counts, Received, Websocket
from hypermm.recording.instruments import InstrumentFacts, facts_beside, load_instruments, to_toml
from hypermm.recording.rolling import RollingRecording, Rows
from hypermm.recording.whole_file import whole_file

if TYPE_CHECKING:
    from hypermm.exchange.hyperliquid.assets import Universe
    from hypermm.exchange.hyperliquid.endpoint import Endpoint
    from hypermm.exchange.hyperliquid.streams import StreamAge

__all__ = ["Recorder", "RecorderSettings", "Status"]

MOST_ROWS_WAITING = 200_000
_LAST_WRITE_S = 30.0


class RecorderSettings(Struct, frozen=True, kw_only=True):
    """What is recorded, and where to.

    Attributes:
        venue: Where the market is.
        coins: Coins of perpetuals.
        references: Coins of which only the market is wanted, spot pairs too; recorded like the others.
        folder: Folder of the recording; one that is there goes on.
        span_s: Length of a span, after which its pieces become whole files, s.
        piece_s: Time between two pieces, s: what a kill can cost.
        keep_frames: Keep every frame as it came, too.
        duration_s: Stop so long after the first frame, s; None to go on until stopped.
        seed: Of the jitter between reconnections.
    """

    venue: Endpoint
    coins: tuple[str, ...]
    folder: Path
    references: tuple[str, ...] = ()
    span_s: float = 3600.0
    piece_s: float = 5.0
    keep_frames: bool = True
    duration_s: float | None = None
    seed: int = 0


class Status(Struct):
    """How the recording is going.

    Attributes:
        seconds: Since it began, s.
        phase: Of the session.
        counts: Frames, refusals, connections, waits.
        refused_by: Refused frames by channel and field.
        rows: Rows by stream.
        rows_written: Of all streams and the log, those on disk.
        tape_gaps: Reconnections between which prints may be missing.
        ages: How old every stream is.
        mids: Mid price by coin.
    """

    seconds: float
    phase: str
    counts: Counts
    refused_by: dict[str, int]
    rows: dict[str, int]
    rows_written: int
    tape_gaps: int
    ages: list[StreamAge]
    mids: dict[str, float | None]


class Recorder:
    """Records until stopped. Make it, await `run`, call `stop` from a signal handler.

    Args:
        settings: What and where.
        clock: ns since 1970, later at every call.
        on_item: Called with everything received, after it was recorded.
    """

    def __init__(
        self,
        settings: RecorderSettings,
        clock: Callable[[], int] | None = None,
        on_item: Callable[[Received], None] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = WallClock() if clock is None else clock
        self._on_item = on_item
        self._begin_ns = self._clock()
        self._engines: dict[str, QuoteEngine] = {}
        self._rows = Rows()
        self._written = 0
        self._counted: Counter[str] = Counter()
        self._refused_by: Counter[str] = Counter()
        self._tape_gaps = 0
        self._websocket: Websocket | None = None
        # One thread: pieces are written in order, also those whose caller was cancelled meanwhile.
        self._disk = ThreadPoolExecutor(1, "recording")
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends the recording; `run` returns when all files are whole."""
        self._stopping.set()

    def status(self) -> Status:
        """How it is going."""
        now_ns = self._clock()
        websocket = self._websocket
        session = None if websocket is None else websocket.session
        return Status(
            (now_ns - self._begin_ns) / 1e9,
            "starting" if session is None else session.phase.value,
            Counts() if websocket is None else websocket.counts,
            dict(self._refused_by),
            dict(self._counted),
            self._written,
            self._tape_gaps,
            [] if session is None else session.ages(now_ns),
            {coin: engine.mid_price for coin, engine in self._engines.items()},
        )

    async def run(self) -> Status:
        """Records until `stop`, or until cancelled; either way the files are whole afterwards.

        Raises:
            UnknownCoinError: The venue does not know a coin, or has delisted it.
            VenueError: The venue does not answer at the start. Later it is waited for.
            OSError: The folder cannot be written.
        """
        settings = self._settings
        draw = random.Random(settings.seed).random  # noqa: S311 - spreads reconnections, keeps no secret
        feeds = (*settings.coins, *settings.references)
        async with HttpClient(settings.venue, self._clock, draw) as http:
            universe = await load_universe(http, feeds)
            session = Session(universe, settings.coins, draw, references=settings.references, weight=http.weight)
            recording = RollingRecording(settings.folder, feeds, settings.span_s)
            self._websocket = Websocket(session, settings.venue, self._clock, http=http)
            try:
                self._note_instruments(universe)
                await self._until_stopped(self._websocket, recording)
            finally:
                # Cancelled or not: what was received is written, and the span's pieces become whole files.
                await self._write(recording)
                await asyncio.get_running_loop().run_in_executor(self._disk, recording.close)
                self._disk.shutdown()
        return self.status()

    async def _until_stopped(self, websocket: Websocket, recording: RollingRecording) -> None:
        tasks = {
            asyncio.create_task(websocket.run(), name="socket"),
            asyncio.create_task(self._consume(websocket, recording), name="consumer"),
            asyncio.create_task(self._write_now_and_then(recording), name="writer"),
        }
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({*tasks, stop}, return_when=asyncio.FIRST_COMPLETED)
            websocket.stop()
            named = {task.get_name(): task for task in tasks}
            await asyncio.wait({named["socket"], named["consumer"]}, timeout=_LAST_WRITE_S)
        finally:
            for task in (*tasks, stop):
                task.cancel()
            results = await asyncio.gather(*tasks, stop, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    def _note_instruments(self, universe: Universe) -> None:
        """The facts of every perpetual recorded, beside its files; those of an earlier recording stay."""
        folder = self._settings.folder
        before = facts_beside(folder)
        facts = {} if before is None else load_instruments(before)
        perpetuals = frozenset(universe.coins())
        for coin in (*self._settings.coins, *self._settings.references):
            if coin not in perpetuals:
                continue
            asset = universe.asset(coin)
            instrument = asset.instrument()
            self._engines[coin] = QuoteEngine(instrument)
            facts[coin] = InstrumentFacts(
                coin=coin,
                size_decimals=asset.size_decimals,
                max_leverage=asset.max_leverage,
                min_notional=instrument.min_notional,
                funding_interval_s=instrument.funding_interval_s,
                source=f"meta of {self._settings.venue.http_url}: asset {asset.asset_id}, margin {asset.margin_mode}, "
                f"collateral {asset.collateral_name or asset.collateral_token}, fee scale {asset.fee_scale:g}, "
                f"growth mode {'on' if asset.growth_mode else 'off'}",
            )
        with whole_file(folder / "instruments.toml") as part:
            part.write_text(to_toml([facts[coin] for coin in sorted(facts)], "# Made by hypermm record."), "utf-8")

    # --- what comes in ------------------------------------------------------------------------------------------

    async def _consume(self, websocket: Websocket, recording: RollingRecording) -> None:
        duration_s = self._settings.duration_s
        async for item in websocket.received():
            if duration_s is not None and item.frame is not None:
                asyncio.get_running_loop().call_later(duration_s, self.stop)
                duration_s = None
            self._take(item)
            if self._on_item is not None:
                self._on_item(item)
            if self._rows.count >= MOST_ROWS_WAITING:
                await self._write(recording)

    def _take(self, item: Received) -> None:
        refusal = next((notice.error for notice in item.notices if isinstance(notice, FrameRefused)), None)
        for notice in item.notices:
            if not isinstance(notice, FrameRefused):
                self._note(item.time_ns, notice)
        if refusal is None and item.events:
            try:
                for event in item.events:
                    _check_sides(event)
                apply_frame(item.events, self._engines, item.time_ns)
            except WireError as error:
                refusal = error
                if self._websocket is not None:
                    self._websocket.counts.refused += 1
        if refusal is not None:
            self._refused_by[f"{refusal.channel or 'frame'} {refusal.field}"] += 1
            self._rows.log(item.time_ns, "refused", item.frame or b"")
            self._rows.log(item.time_ns, "reason", str(refusal))
            return
        if item.frame is not None and self._settings.keep_frames:
            self._rows.log(item.time_ns, "frame", item.frame)
        for event in item.events:
            _add(self._rows, event, item.time_ns, self._counted)

    def _note(self, time_ns: int, notice: Notice) -> None:
        self._tape_gaps += isinstance(notice, TapeGap)
        self._rows.log(time_ns, "notice", repr(notice))

    # --- to disk ------------------------------------------------------------------------------------------------

    async def _write_now_and_then(self, recording: RollingRecording) -> None:
        while True:
            await asyncio.sleep(self._settings.piece_s)
            await self._write(recording)

    async def _write(self, recording: RollingRecording) -> None:
        """One piece of all that came since the last; in a thread, since disks block."""
        rows, self._rows = self._rows, Rows()
        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.run_in_executor(self._disk, recording.write, rows, self._clock()))
        self._written = recording.rows_written


def _check_sides(event: EngineEvent) -> None:
    """Books of spot pairs have no engine to refuse them.

    Raises:
        WireError: A side is not sorted from the best outwards, or the two cross.
    """
    if not isinstance(event, BookUpdate):
        return
    bids, asks = event.bid_prices, event.ask_prices
    is_sorted = all(a > b for a, b in pairwise(bids)) and all(a < b for a, b in pairwise(asks))
    if not is_sorted or (bids and asks and bids[0] > asks[0]):
        raise WireError(channel="l2Book", field="levels", value=event.coin, expected="sorted sides that do not cross")


def _add(rows: Rows, event: EngineEvent, time_ns: int, counted: Counter[str]) -> None:
    coin = event.coin
    if isinstance(event, BestUpdate):
        sides = (event.bid_price, event.bid_size, event.ask_price, event.ask_size)
        rows.best(coin, time_ns, event.exchange_time_ns, *sides)
        counted["best"] += 1
    elif isinstance(event, BookUpdate):
        levels: Sequence[Sequence[float]] = (event.bid_prices, event.bid_sizes, event.ask_prices, event.ask_sizes)
        rows.book(coin, time_ns, event.exchange_time_ns, *levels)
        counted["book"] += 1
    elif isinstance(event, TradesUpdate):
        is_history = int(event.is_history)
        columns = (event.exchange_times_ns, event.prices, event.sizes, event.aggressors, event.trade_ids)
        for exchange_time_ns, price, size, side, trade_id in zip(*columns, strict=True):
            aggressor = 1 if side is Side.BUY else -1
            rows.trade(coin, time_ns, exchange_time_ns, price, size, aggressor, trade_id, is_history)
        counted["history" if event.is_history else "trade"] += len(event.prices)
    elif isinstance(event, ContextUpdate):
        told = (event.mark_price, event.oracle_price, event.funding_rate, next_settlement_ns(time_ns))
        rows.context(coin, time_ns, *told, event.open_interest, event.mid_price, event.premium)
        counted["context"] += 1
