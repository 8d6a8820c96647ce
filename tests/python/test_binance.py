"""Binance bookTicker as a reference price: real frames, frames that cannot be, the live source at a local server."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import backoff
from websockets.exceptions import InvalidStatus

from conftest import beside
from hypermm import CalibratedFeature, Calibration, EngineConfig, Instrument, QuoteEngine
from hypermm.exceptions import InvalidInputError, WireError
from hypermm.exchange.binance import BookTickerDecoder, BookTickerSource

if TYPE_CHECKING:
    from websockets.http11 import Request, Response

MARKETS = {"BTCUSDT": "BTC"}
TICKER = {"e": "bookTicker", "u": 5, "s": "BTCUSDT", "b": "10.0", "B": "1", "a": "11.0", "A": "2", "T": 7, "E": 8}


def frame(stream: str = "btcusdt@bookTicker", **changes: object) -> bytes:
    return json.dumps({"stream": stream, "data": TICKER | changes}).encode()


@pytest.fixture(scope="module")
def recorded() -> list[tuple[int, bytes]]:
    """(receiver's clock, frame) as they were captured."""
    [file] = sorted(Path(beside("binance")).glob("*.gz"))
    with gzip.open(file) as lines:
        pairs = [line.rstrip().split(b" ", 1) for line in lines]
    # Snapshots of the book stand among the frames; they came over HTTP.
    return [(int(time_ns), text) for time_ns, text in pairs if text.startswith(b'{"stream"')]


def test_every_recorded_frame_is_read_and_mids_are_those_of_the_text(recorded: list[tuple[int, bytes]]) -> None:
    """Kills: bid or offer taken alone, a stream mistaken for another, times in the wrong unit."""
    decoder = BookTickerDecoder(MARKETS)
    updates = [update for _, text in recorded if (update := decoder.decode(text)) is not None]
    plain = [json.loads(text)["data"] for _, text in recorded]
    tickers = [data for data in plain if data["e"] == "bookTicker"]
    assert len(updates) == len(tickers) > 10_000
    mids = np.array([(float(data["b"]) + float(data["a"])) / 2 for data in tickers])
    assert np.abs(np.array([update.price for update in updates]) / mids - 1).max() < 1e-12
    assert [update.exchange_time_ns for update in updates] == [data["T"] * 10**6 for data in tickers]
    assert {update.market for update in updates} == {"BTC"}


def test_recorded_prices_reach_the_lead_of_an_engine(recorded: list[tuple[int, bytes]]) -> None:
    """Kills: a name that the engine does not know, an update that is not applied."""
    calibration = Calibration(0.02, 0.01, [CalibratedFeature("basis", -0.1, 0.1)], [[0.09]], basis_market="BTC")
    engine = QuoteEngine(Instrument("BTC", 5, 40), EngineConfig(calibration=calibration))
    decoder = BookTickerDecoder(MARKETS)
    for time_ns, text in recorded[:2000]:
        engine.on_best(time_ns, 61_700.0, 1.0, 61_701.0, 1.0)
        update = decoder.decode(text)
        if update is not None:
            update.apply(engine, time_ns)
            last = update.price
    basis = engine.features(recorded[1999][0])["basis"]
    assert basis is not None
    assert basis == pytest.approx(1e4 * np.log(61_700.5 / last), abs=1e-9)
    assert engine.innovations["basis"]["count"] > 0


@pytest.mark.parametrize("update_id", [4, 5])
def test_a_frame_that_comes_late_or_twice_is_passed_over(update_id: int) -> None:
    """Kills: an update id that is not compared, or compared with ≥."""
    decoder = BookTickerDecoder(MARKETS)
    assert decoder.decode(frame()) is not None
    assert decoder.decode(frame(u=update_id)) is None
    assert decoder.decode(frame(u=6)) is not None


def test_an_exchange_that_counts_anew_is_heard() -> None:
    """Kills: a feed that is silent for ever after the exchange's ids began again below the last one."""
    decoder = BookTickerDecoder(MARKETS)
    assert decoder.decode(frame(u=10**12, T=7)) is not None
    assert decoder.decode(frame(u=1, T=7)) is None
    assert decoder.decode(frame(u=1, T=8, b="9.0")) is not None
    assert decoder.decode(frame(u=2, T=8)) is not None


def test_other_streams_and_symbols_say_nothing() -> None:
    """Kills: a symbol that is not asked for."""
    decoder = BookTickerDecoder(MARKETS)
    assert decoder.decode(frame("btcusdt@trade")) is None
    assert decoder.decode(frame(s="ETHUSDT")) is None


@pytest.mark.parametrize(
    "bad",
    [b"", b"{}", b"\xff", frame(b="NaN"), frame(b="-1"), frame(a="inf"), frame(b="12"), frame(a=None), frame(u="x")],
)
def test_a_frame_that_cannot_be_is_refused_and_nothing_of_it_is_kept(bad: bytes) -> None:
    """Kills: a number that is not checked, an update id kept of a frame that was refused."""
    decoder = BookTickerDecoder(MARKETS)
    with pytest.raises(WireError) as refused:
        decoder.decode(bad)
    assert refused.value.channel == "bookTicker"
    assert decoder.decode(frame()) is not None


def test_a_decoder_needs_a_market() -> None:
    """Kills: an empty subscription."""
    for markets in ({}, {"BTCUSDT": ""}):
        with pytest.raises(InvalidInputError):
            BookTickerDecoder(markets)


def test_the_live_source_goes_on_after_the_connection_ends_and_counts_what_it_cannot_read() -> None:
    """Kills: a source that ends with its first connection, a bad frame that ends it, a wrong subscription."""
    paths: list[str] = []

    async def exchange(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.send(b"{}".decode())
        await connection.send(frame(u=10 * len(paths)).decode())

    async def listen() -> list[Any]:
        async with serve(exchange, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            source = BookTickerSource(MARKETS, lambda: 42, url=f"ws://127.0.0.1:{port}", pause_s=0.01)
            heard = []
            async for pair in source.prices():
                heard.append(pair)
                if len(heard) == 2:
                    assert source.refused == 2
                    return heard
        return []

    heard = asyncio.run(asyncio.wait_for(listen(), 20))
    assert paths == ["/stream?streams=btcusdt@bookTicker"] * 2
    assert [time_ns for time_ns, _ in heard] == [42, 42]
    assert {update.price for _, update in heard} == {10.5}


@pytest.mark.parametrize("status", [429, 418, 403, 503])
def test_a_handshake_refused_for_now_is_tried_again_and_told(
    status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kills: a source that dies of one 429 and the live run with it; a refusal that nobody is told."""
    monkeypatch.setattr(backoff, "__defaults__", tuple(0.01 for _ in backoff.__defaults__ or ()))
    asked: list[str] = []

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        asked.append(request.path)
        return connection.respond(status, "later") if len(asked) <= 2 else None

    async def exchange(connection: ServerConnection) -> None:
        await connection.send(frame().decode())

    async def listen() -> float:
        async with serve(exchange, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            source = BookTickerSource(MARKETS, lambda: 42, url=f"ws://127.0.0.1:{port}", pause_s=0.01)
            async for _, update in source.prices():
                return update.price
        return 0.0

    assert asyncio.run(asyncio.wait_for(listen(), 20)) == 10.5
    assert len(asked) == 3
    assert caplog.text.count(f"HTTP {status}") == 2


def test_an_address_that_is_none_ends_the_source() -> None:
    """Kills: a mistake in the settings that is tried again for ever."""

    async def listen() -> None:
        async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            async for _ in BookTickerSource(MARKETS, lambda: 42, url=f"ws://127.0.0.1:{port}").prices():
                pass

    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(404, "nothing here")

    with pytest.raises(InvalidStatus):
        asyncio.run(asyncio.wait_for(listen(), 20))
