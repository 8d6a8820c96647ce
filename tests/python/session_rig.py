"""A session between a venue and an engine, without sockets: what the tests of the session drive."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from hypermm import Instrument, QuoteEngine
from hypermm.exchange.events import apply_frame
from hypermm.exchange.hyperliquid.assets import Asset, Universe
from hypermm.exchange.hyperliquid.session import Phase, Session
from venue_double import COIN, START_MS, USER, Venue, Wire

MS = 1_000_000
S = 1_000_000_000
T0 = START_MS * MS
UNIVERSE = Universe(
    [
        Asset(coin=COIN, asset_id=1, dex="", size_decimals=4, max_leverage=25),
        Asset(coin="BTC", asset_id=0, dex="", size_decimals=5, max_leverage=40),
        Asset(coin="MATIC", asset_id=2, dex="", size_decimals=1, max_leverage=20, is_delisted=True),
    ],
    ["PURR/USDC"],
)


def session(**settings: Any) -> Session:
    return Session(UNIVERSE, [COIN], lambda: 0.5, **({"user": USER} | settings))


@dataclass
class Rig:
    """A session, its venue, the wire between and an engine behind; `run` lets time pass."""

    seed: int = 0
    repeat: float = 0.0
    overtake: float = 0.0
    lose_fills: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    notices: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    is_up: bool = False

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - a seeded test
        self.venue = Venue(self.rng)
        self.wire = Wire(self.rng, self.repeat, self.overtake, self.lose_fills)
        self.session = session(**self.settings)
        self.engine = QuoteEngine(Instrument(COIN, 4, 25))

    @property
    def now(self) -> int:
        return self.venue.now_ms * MS

    def take(self, events: list[Any]) -> None:
        apply_frame(events, {COIN: self.engine}, self.now)
        self.told += events

    def connect(self) -> None:
        self.session.connecting(self.now)
        self.venue.connect()
        self.wire.queue.clear()
        self.session.connected(self.now)
        self.is_up = True

    def drop(self) -> None:
        self.session.disconnected(self.now, "dropped")
        self.venue.connect()
        self.wire.queue.clear()
        self.is_up = False

    def pump(self, frames: int = 1_000) -> None:
        """Both ways: what the session sends reaches the venue, so many frames reach the session."""
        if self.is_up:
            for frame in self.session.take_outgoing(self.now):
                self.venue.handle(frame)
            self.wire.take_from(self.venue)
            for message in self.wire.deliver(frames):
                self.take(self.session.receive(self.now, json.dumps(message)))
            self.session.advance(self.now)
        self.notices += self.session.notices
        self.session.notices.clear()

    def pass_time(self, ms: int) -> None:
        self.venue.pass_time(ms)
        if not self.is_up and self.session.connect_at_ns is not None and self.now >= self.session.connect_at_ns:
            self.connect()
        if self.is_up and self.session.close_reason is not None:
            self.drop()

    def run(self, ms: int, step: int = 100) -> None:
        """Quiet time, books as the venue sends them."""
        for _ in range(ms // step):
            self.pass_time(step)
            self.venue.book()
            self.venue.send("activeAssetCtx", CONTEXT)
            self.pump()

    def of(self, kind: type) -> list[Any]:
        return [notice for notice in self.notices if isinstance(notice, kind)]

    def told_of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.session.take_outgoing(self.now)]


CONTEXT = {
    "coin": COIN,
    "ctx": {"funding": "0.0000125", "openInterest": "1.0", "oraclePx": "3000.0", "markPx": "3000.0"},
}


def ready_rig(**settings: Any) -> Rig:
    rig = Rig(**settings)
    rig.pass_time(100)
    rig.run(1_000)
    assert rig.session.phase is Phase.READY
    return rig
