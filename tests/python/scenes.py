"""Markets in a bottle: events that bring an engine into a known state, for tests that judge its quotes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import hypermm

Array = NDArray[np.float64]

START_NS = 1_700_000_000_000_000_000
FINE_PRICE = 1e12
"""Every integer is a valid price: at this price the grid is 1e-8 bps wide, so nothing visible is rounded away."""
FINE_POSITION = 10_000.0


def at(seconds: float) -> int:
    """Time in ns, seconds after the start."""
    return START_NS + round(seconds * 1e9)


def fine_instrument() -> hypermm.Instrument:
    """A contract whose price grid and lots are too fine to see, with no minimum order."""
    return hypermm.Instrument("FINE", 6, 50, min_notional=0.0)


def fine_config(**changes: object) -> hypermm.EngineConfig:
    """Defaults with a cap of ten thousand contracts, six levels of a twentieth, and risk aversion 0.03."""
    settings: dict[str, object] = {
        "max_position": FINE_POSITION,
        "clip": FINE_POSITION / 20.0,
        "levels": 6,
        "risk_aversion": 0.03,
    }
    return hypermm.EngineConfig(**(settings | changes))


def book_around(mid: float, half_spread_bps: float, *, levels: int = 3, size: float = 1000.0) -> tuple[Array, ...]:
    """A symmetric book on whole-number prices: bid prices, bid sizes, ask prices, ask sizes."""
    offsets = half_spread_bps * (1.0 + 0.5 * np.arange(levels)) * 1e-4 * mid
    sizes = np.full(levels, size)
    return np.round(mid - offsets), sizes, np.round(mid + offsets), sizes


@dataclass
class Market:
    """Feeds one engine a random walk with balanced flow, or whatever a test adds to it."""

    engine: hypermm.QuoteEngine
    seed: int = 0
    mid: float = FINE_PRICE
    half_spread_bps: float = 0.5
    time_s: float = 0.0
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def show(self, half_spread_bps: float | None = None) -> None:
        """Sends the book around the present mid."""
        spread = self.half_spread_bps if half_spread_bps is None else half_spread_bps
        self.engine.on_book(at(self.time_s), *book_around(self.mid, spread))

    def trade(self, aggressor: hypermm.Side, reach_bps: float, size: float = 100.0) -> None:
        """One aggressor event whose worst print stands ``reach_bps`` from mid."""
        sign = 1.0 if aggressor == hypermm.Side.BUY else -1.0
        price = float(np.round(self.mid * (1.0 + sign * reach_bps * 1e-4)))
        self.engine.on_trade(at(self.time_s), price, size, aggressor)

    def run(
        self,
        seconds: float,
        *,
        volatility: float = 1.5,
        drift_bps_per_s: float = 0.0,
        sell_rate: float = 0.3,
        buy_rate: float = 0.3,
        step_s: float = 0.5,
    ) -> None:
        """Books every step, Poisson aggressor events between them with exponential reach of 0.5 per bp."""
        for _ in range(round(seconds / step_s)):
            self.time_s = round(self.time_s + step_s, 9)
            move = drift_bps_per_s * step_s + volatility * np.sqrt(step_s) * self.rng.standard_normal()
            self.mid = float(np.round(self.mid * (1.0 + move * 1e-4)))
            self.show()
            for side, rate in ((hypermm.Side.SELL, sell_rate), (hypermm.Side.BUY, buy_rate)):
                if self.rng.random() < rate * step_s:
                    self.trade(side, self.half_spread_bps + self.rng.exponential(2.0))

    def widen(self, half_spread_bps: float = 400.0) -> None:
        """Opens the book so far that the post-only clamp has nothing to do with any quote."""
        self.show(half_spread_bps)

    def quote(self) -> hypermm.Decision:
        """The decision of this moment."""
        return self.engine.quote(at(self.time_s))


def warm_engine(seed: int = 1, seconds: float = 120.0, **changes: object) -> Market:
    """A market that has run for a while on the fine grid, its book opened at the end."""
    market = Market(hypermm.QuoteEngine(fine_instrument(), fine_config(**changes)), seed)
    market.run(seconds)
    market.widen()
    return market


def feb_19_market(**changes: object) -> Market:
    """σ 1.7, k 0.25, A 0.04 as priors: a book and nothing else yet, so the priors are the estimates."""
    priors: dict[str, object] = {"volatility": 1.7, "depth_decay": 0.25, "arrival_rate": 0.04}
    market = Market(hypermm.QuoteEngine(fine_instrument(), fine_config(**(priors | changes))))
    market.show()
    return market


@dataclass(frozen=True)
class Ladder:
    """One side before post-only clamp and price grid, by ladder index; size 0 where nothing is quoted."""

    offsets_bps: Array
    """(levels,) price before clamp and grid, bps from mid; NaN where not quoted."""
    sizes: Array
    """(levels,) contracts."""


def unrounded(decision: hypermm.Decision, name: str, levels: int, spacings_bps: Array) -> Ladder:
    """Reads the ladder back out of explain(): the sum of all terms but the clamp and the grid."""
    side = decision.bids if name == "bid" else decision.asks
    offsets, sizes = np.full(levels, np.nan), np.zeros(levels)
    for level in range(len(side)):
        terms = dict(decision.explain(level)[name])
        terms.pop("price")
        spacing = abs(terms["level_spacing"])
        index = int(np.argmin(np.abs(spacings_bps - spacing)))
        offsets[index] = sum(v for k, v in terms.items() if k not in ("post_only_clamp", "price_increment"))
        sizes[index] = side.sizes[level]
    return Ladder(offsets, sizes)


def spacings(config: hypermm.EngineConfig, levels: int) -> Array:
    """d_i by adding up the geometric steps, bps."""
    steps = config.level_spacing_bps * config.level_growth ** np.arange(levels - 1)
    return np.concatenate([[0.0], np.cumsum(steps)])
