"""A run in blocks of time, and what drawing its parts again says of its figures: the block bootstrap.

What is drawn are whole markets where there are several, since inventory lasts for many blocks of one. Of one market
alone profit, edge and markout are drawn by minutes: what a position makes in one minute says nothing of the next. The
half-life is not, as a position does last: it is drawn by stretches of several half-lives, and has no interval where
there are too few of them. A maximum has none at all: no draw of what was seen exceeds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    import hypermm

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.integer[Any]]

__all__ = [
    "DAY_S",
    "LEAST_PARTS",
    "LEAST_STRETCHES",
    "RunBlocks",
    "drawn_blocks",
    "drawn_parts",
    "interval",
    "market_parts",
    "paired",
    "sharpe_of_a_day",
    "stretches",
]

DAY_S = 86_400.0
# Fewer parts, or fewer stretches of one market, have no spread to speak of.
LEAST_PARTS, LEAST_STRETCHES = 5, 10
_HALF_LIVES = 3.0
_EDGE_COLUMN = 3
_SAMPLE_S = 1.0


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RunBlocks:
    """One run, or several joined, as sums over blocks of time; every array has shape (blocks,).

    Attributes:
        block_s: Length of a block, s.
        profit: Profit made in it, marked to market, USD.
        squares: Sum of the squared position, a second apart, contracts².
        products: Sum of the position times that of a second later, contracts².
        largest: Largest |position|, contracts.
        size: Size of the fills whose edge is known, contracts.
        edge: Their edge at 10 s after fees, size-weighted sum, bps·contracts.
        adverse: Their markout at 10 s against us, size-weighted sum, bps·contracts.
        fills: Number of fills.
    """

    block_s: float
    profit: Floats
    squares: Floats
    products: Floats
    largest: Floats
    size: Floats
    edge: Floats
    adverse: Floats
    fills: Floats

    @classmethod
    def of(cls, result: hypermm.BacktestResult, from_ns: int = 0, block_s: float = 60.0) -> RunBlocks:
        """The blocks of a run from `from_ns` on, the last half to one and a half as long."""
        block_ns = round(block_s * 1e9)
        equity, fills = result.equity, result.fills
        inside = equity["time_ns"] >= from_ns
        times, profit = equity["time_ns"][inside], equity["profit_usd"][inside]
        begin = int(times[0]) if times.size else from_ns
        # What is left over at the end is a block of its own only from half a block on.
        count = max(1, round((int(times[-1]) - begin) / block_ns)) if times.size else 0
        block = np.minimum((times - begin) // block_ns, count - 1)
        ends = np.searchsorted(block, np.arange(count), side="right") - 1
        position = equity["position"][inside]
        step = np.flatnonzero(np.diff(times) < 3 * _SAMPLE_S * 1e9)
        largest = np.zeros(count)
        np.maximum.at(largest, block, np.abs(position))
        of_block = np.minimum((fills["time_ns"] - begin) // block_ns, count - 1)
        kept = (fills["time_ns"] >= begin) & (count > 0)
        edge = fills["edge_bps"][:, _EDGE_COLUMN]
        adverse = -fills["markout_bps"][:, _EDGE_COLUMN]
        known = kept & np.isfinite(edge) & np.isfinite(adverse)
        size, place = fills["size"][known], of_block[known]

        def summed(places: Places, values: Floats) -> Floats:
            return np.bincount(places, values, count).astype(float)

        return cls(
            block_s=block_s,
            profit=np.diff(profit[np.maximum(ends, 0)], prepend=profit[:1]),
            squares=summed(block[step], position[step] ** 2),
            products=summed(block[step], position[step] * position[step + 1]),
            largest=largest,
            size=summed(place, size),
            edge=summed(place, size * edge[known]),
            adverse=summed(place, size * adverse[known]),
            fills=np.bincount(of_block[kept], minlength=count).astype(float),
        )

    def __len__(self) -> int:
        return len(self.profit)

    def first(self, count: int) -> RunBlocks:
        """The first `count` blocks."""
        return RunBlocks(block_s=self.block_s, **{name: getattr(self, name)[:count] for name in _COLUMNS})

    def figures(self) -> dict[str, Callable[[Places], float]]:
        """Each figure as a function of the blocks that were drawn."""
        return {
            "edge_bps": lambda drawn: _ratio(self.edge[drawn].sum(), self.size[drawn].sum()),
            "adverse_bps": lambda drawn: _ratio(self.adverse[drawn].sum(), self.size[drawn].sum()),
            "largest_position": lambda drawn: float(self.largest[drawn].max(initial=0.0)),
            "half_life_s": self._half_life_s,
            "pnl_usd": lambda drawn: float(self.profit[drawn].sum()),
            "sharpe": lambda drawn: float(sharpe_of_a_day(self.profit[drawn], self.block_s)),
            "drawdown_usd": self._drawdown,
        }

    def _half_life_s(self, drawn: Places) -> float:
        kept = _ratio(self.products[drawn].sum(), self.squares[drawn].sum())
        return _SAMPLE_S * math.log(0.5) / math.log(kept) if 0.0 < kept < 1.0 else math.nan

    def _drawdown(self, drawn: Places) -> float:
        path = np.concatenate([[0.0], np.cumsum(self.profit[drawn])])
        return float((np.maximum.accumulate(path) - path).max())


_COLUMNS = tuple(field.name for field in fields(RunBlocks) if field.name != "block_s")


def paired(runs: Mapping[str, Sequence[RunBlocks]]) -> dict[str, RunBlocks]:
    """Runs over the same markets, joined so that a place is the same block of the same market in each.

    Args:
        runs: By name, one run for each market, in the same order.
    """
    counts = [min(len(run) for run in market) for market in zip(*runs.values(), strict=True)]
    joined = {}
    for name, each in runs.items():
        alike = [run.first(count) for run, count in zip(each, counts, strict=True)]
        columns = {column: np.concatenate([getattr(run, column) for run in alike]) for column in _COLUMNS}
        joined[name] = RunBlocks(block_s=each[0].block_s, **columns)
    return joined


def market_parts(runs: Mapping[str, Sequence[RunBlocks]]) -> list[Places]:
    """Places of the blocks of each market in what `paired` joins."""
    counts = [min(len(run) for run in market) for market in zip(*runs.values(), strict=True)]
    ends = np.cumsum(counts)
    return [np.arange(end - count, end) for end, count in zip(ends, counts, strict=True)]


def stretches(joined: Mapping[str, RunBlocks]) -> list[Places]:
    """Runs of one market in stretches of three times the longest half-life of inventory of any of them.

    One part alone where inventory does not revert.
    """
    runs = list(joined.values())
    places = np.arange(len(runs[0]))
    half_lives = [run.figures()["half_life_s"](places) for run in runs]
    if not all(map(math.isfinite, half_lives)):
        return [places]
    length = max(1, math.ceil(_HALF_LIVES * max(half_lives) / runs[0].block_s))
    return np.array_split(places, max(1, len(places) // length))


def drawn_parts(parts: Sequence[Places], draws: int, seed: int) -> list[Places]:
    """Places of parts drawn with replacement, as many as there are; whoever draws with one seed draws alike."""
    return [np.concatenate([parts[one] for one in drawn]) for drawn in drawn_blocks(len(parts), draws, seed)]


def sharpe_of_a_day(profit: Floats, block_s: float) -> Floats:
    """Mean over standard deviation of the profit of blocks, times √(blocks in a day); NaN where they do not vary.

    It is the Sharpe ratio of a day's profit, no rate of interest taken off, as though blocks were independent; times
    √365 it is annualized. Blocks along the last axis.
    """
    deviation = profit.std(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe: Floats = np.where(deviation > 0.0, profit.mean(axis=-1) / deviation, np.nan)
    return math.sqrt(DAY_S / block_s) * sharpe


def drawn_blocks(blocks: int, draws: int, seed: int) -> Places:
    """Places of blocks drawn with replacement, shape (draws, blocks); whoever draws with one seed draws alike."""
    return np.random.default_rng(seed).integers(0, max(blocks, 1), size=(draws, max(blocks, 1)), dtype=np.int32)


def interval(values: Floats, parts: int | None = None) -> tuple[float, float]:
    """The middle 95 % of what draws came to; NaN where none is finite.

    Args:
        values: One a draw.
        parts: How many were drawn from. Of few the middle 95 % are too narrow; they are expanded to where Student's t
            would have its ends (Hesterberg, "What teachers should know about the bootstrap", 2015). None: of many.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return math.nan, math.nan
    tail = 0.025
    if parts is not None:
        from scipy.stats import norm, t

        tail = float(norm.cdf(t.ppf(tail, parts - 1) * math.sqrt(parts / (parts - 1))))
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return float(low), float(high)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0.0 else math.nan
