"""From a websocket frame to the engine, against what one would write by hand.

    make bench        or        python -m pytest benches/python/bench_decode.py -o addopts="" -s

Four ways in one run, taken in turns, the least of many short rounds. `session` is what runs live: streams' clocks,
repeated prints left out, events, engine; `decode` the same without the session. `json` is the standard library, floats
made by hand and the engine's own method; `msgspec` the leanest hand path there is, structs of floats in the JSON
decoder (the line of ``peers/bench_decode.py``) and the engine's own method, nothing checked.
"""

from __future__ import annotations

import itertools
import json
import random
import timeit
from typing import Any

import msgspec
import pytest

from hypermm import Instrument, QuoteEngine, Side
from hypermm.exchange.events import apply_frame
from hypermm.exchange.hyperliquid.assets import Asset, Universe
from hypermm.exchange.hyperliquid.decode import decode
from hypermm.exchange.hyperliquid.session import Session

T0 = 1_756_900_000_000_000_000
STEP_NS = 1_000_000
ROUNDS, CALLS = 120, 400
DRAW = random.Random(3)  # noqa: S311 - seeded sizes of a bench


def levels(price: float, step: float, count: int) -> list[dict[str, Any]]:
    sizes = [DRAW.lognormvariate(1.0, 1.0) for _ in range(count)]
    return [
        {"px": f"{price + step * i:.1f}", "sz": f"{size:.4f}", "n": DRAW.randint(1, 12)} for i, size in enumerate(sizes)
    ]


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":")).encode()


def book(count: int) -> bytes:
    sides = [levels(2999.9, -0.1, count), levels(3000.0, 0.1, count)]
    return frame("l2Book", {"coin": "ETH", "time": 1756900000123, "levels": sides})


TRADE = {
    "coin": "ETH", "side": "B", "px": "3000.1", "sz": "0.1234", "time": 1756900000123, "hash": "0x" + "ab" * 32,
    "users": ["0x" + "11" * 20, "0x" + "22" * 20],
}  # fmt: skip
FRAMES = {
    "best bid and offer": frame(
        "bbo", {"coin": "ETH", "time": 1756900000123, "bbo": [levels(2999.9, 0, 1)[0], levels(3000.0, 0, 1)[0]]}
    ),
    "book, 20 levels a side": book(20),
    "book, 5 levels a side": book(5),
    "3 trades": frame("trades", [TRADE | {"tid": 123456789012340 + i} for i in range(3)]),
}


class Level(msgspec.Struct, gc=False):
    px: float
    sz: float
    n: int


class Book(msgspec.Struct, gc=False):
    coin: str
    time: int
    levels: tuple[list[Level], list[Level]]


class Best(msgspec.Struct, gc=False):
    coin: str
    time: int
    bbo: tuple[Level, Level]


class Trade(msgspec.Struct, gc=False):
    coin: str
    side: str
    px: float
    sz: float
    time: int
    tid: int


def hand(kind: Any) -> Any:
    message = msgspec.defstruct("Message", [("channel", str), ("data", kind)], gc=False)
    return msgspec.json.Decoder(message, strict=False).decode


DECODERS = {
    "best bid and offer": hand(Best),
    "book, 20 levels a side": hand(Book),
    "book, 5 levels a side": hand(Book),
    "3 trades": hand(list[Trade]),
}


def engine() -> QuoteEngine:
    return QuoteEngine(Instrument("ETH", 4, 25))


def ways(name: str) -> dict[str, Any]:
    """Callables that bring the frame to an engine of their own."""
    data, clock = FRAMES[name], itertools.count(T0, STEP_NS)
    by_session, by_decode, by_json, by_msgspec = (engine() for _ in range(4))
    universe = Universe([Asset(coin="ETH", asset_id=1, dex="", size_decimals=4, max_leverage=25)])
    session = Session(universe, ["ETH"], lambda: 0.5)
    session.connecting(T0)
    session.connected(T0)
    engines, alone, by_hand = {"ETH": by_session}, {"ETH": by_decode}, DECODERS[name]
    # A session hands on each print once: every call needs prints of its own.
    calls = 2 * ROUNDS * CALLS if "trades" in name else 1
    supply = itertools.cycle([data.replace(b"1756900000123", str(1756900000123 + i).encode()) for i in range(calls)])

    def through_session() -> None:
        now = next(clock)
        apply_frame(session.receive(now, next(supply)), engines, now)

    def through_decode() -> None:
        apply_frame(decode(data), alone, next(clock))

    def json_best() -> None:
        bid, ask = json.loads(data)["data"]["bbo"]
        by_json.on_best(next(clock), float(bid["px"]), float(bid["sz"]), float(ask["px"]), float(ask["sz"]))

    def json_book() -> None:
        bids, asks = json.loads(data)["data"]["levels"]
        columns = [[float(level[key]) for level in side] for side in (bids, asks) for key in ("px", "sz")]
        by_json.on_book(next(clock), *columns)

    def json_trades() -> None:
        now = next(clock)
        for row in json.loads(data)["data"]:
            side = Side.BUY if row["side"] == "B" else Side.SELL
            by_json.on_trade(now, float(row["px"]), float(row["sz"]), side, exchange_time_ns=row["time"] * 1_000_000)

    def msgspec_best() -> None:
        bid, ask = by_hand(data).data.bbo
        by_msgspec.on_best(next(clock), bid.px, bid.sz, ask.px, ask.sz)

    def msgspec_book() -> None:
        bids, asks = by_hand(data).data.levels
        by_msgspec.on_book(
            next(clock),
            [level.px for level in bids],
            [level.sz for level in bids],
            [level.px for level in asks],
            [level.sz for level in asks],
        )

    def msgspec_trades() -> None:
        now = next(clock)
        for row in by_hand(data).data:
            side = Side.BUY if row.side == "B" else Side.SELL
            by_msgspec.on_trade(now, row.px, row.sz, side, exchange_time_ns=row.time * 1_000_000)

    kind = "trades" if "trades" in name else "book" if "book" in name else "best"
    plain = {"best": json_best, "book": json_book, "trades": json_trades}[kind]
    lean = {"best": msgspec_best, "book": msgspec_book, "trades": msgspec_trades}[kind]
    return {"session": through_session, "decode": through_decode, "json": plain, "msgspec": lean}


@pytest.fixture(scope="module")
def least_us() -> dict[str, dict[str, float]]:
    """Least time of one call by frame and way, µs."""
    table = {}
    heads = "".join(f"{way:>9}" for way in ("session", "decode", "json", "msgspec"))
    print(f"\n\n{'frame to engine, least time, µs':<32}{heads}  json/session")
    for name in FRAMES:
        timers = {way: timeit.Timer(call) for way, call in ways(name).items()}
        least = dict.fromkeys(timers, float("inf"))
        for _ in range(ROUNDS):
            for way, timer in timers.items():
                least[way] = min(least[way], timer.timeit(CALLS) / CALLS * 1e6)
        table[name] = least
        row = "".join(f"{least[way]:9.2f}" for way in ("session", "decode", "json", "msgspec"))
        print(f"  {name:<30}{row}{least['json'] / least['session']:13.1f}x")
    return table


@pytest.mark.parametrize(("name", "bound"), [("best bid and offer", 1.2), ("book, 20 levels a side", 8.0)])
def test_a_frame_reaches_the_engine_in_time(least_us: dict[str, dict[str, float]], name: str, bound: float) -> None:
    print(f"  {name:<30} {least_us[name]['decode']:6.2f} µs  target {bound:g} µs")
    assert least_us[name]["decode"] <= bound


@pytest.mark.parametrize(("name", "bound"), [("best bid and offer", 3.0), ("book, 20 levels a side", 3.0)])
def test_the_live_path_beats_plain_json(least_us: dict[str, dict[str, float]], name: str, bound: float) -> None:
    ratio = least_us[name]["json"] / least_us[name]["session"]
    print(f"  {name:<30} {ratio:6.2f} x   target {bound:g} x")
    assert ratio >= bound
