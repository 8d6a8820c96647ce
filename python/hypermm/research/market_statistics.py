"""What a market looks like in numbers: the same reading of a recording and of a simulation.

Everything is read on the venue's clock. Prints of one venue time and side are one aggressor event. A statistic is a
function of rows, and each row stands in a block of time, so that whole blocks can be drawn again: the bootstrap keeps
what neighbors in time have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hypermm.recording import Recording

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

__all__ = ["MIN_SPAN_S", "MarketTape", "Statistic", "bootstrap_errors", "market_statistics", "market_tape", "reaches"]

MIN_SPAN_S = 300.0
BLOCK_S = 60.0
_BPS = 1e4
_NS = 1e9
_MIN_EVENTS, _MIN_BOOKS = 50, 50
# Books come about twice a second: longer without any row and the collector was not there.
_GAP_S = 3.0
# Farther than rounding in a float, nearer than any price increment.
_BEYOND_BPS = 0.01


@dataclass(frozen=True, slots=True)
class MarketTape:
    """A recording on the venue's clock: times in s since its first row, prices in quote currency.

    Attributes:
        touch_s: Times of the best bid and offer, one a venue time, both sides there and apart.
        bid: Best bid from then on.
        ask: Best ask from then on.
        book_s: Times of the books.
        bids: Prices and sizes of bids, shape (books, levels, 2), NaN where there is none.
        asks: The same of asks.
        event_s: Times of the aggressor events.
        side: +1 bought, −1 sold.
        size: Contracts of an event.
        prints: Its prints.
        worst: Its price farthest from the touch.
        gaps: Spans without any row, shape (gaps, 2), s.
        span_s: Seconds from the first row to the last.
    """

    touch_s: Floats
    bid: Floats
    ask: Floats
    book_s: Floats
    bids: Floats
    asks: Floats
    event_s: Floats
    side: Floats
    size: Floats
    prints: Floats
    worst: Floats
    gaps: Floats
    span_s: float

    def mid_at(self, time_s: Floats) -> Floats:
        """Mid of the last best bid and offer not after each time."""
        place = np.maximum(np.searchsorted(self.touch_s, time_s, side="right") - 1, 0)
        mid: Floats = 0.5 * (self.bid[place] + self.ask[place])
        return mid

    def seen(self, from_s: Floats, to_s: Floats) -> NDArray[np.bool_]:
        """Whether nothing of the span from one time to another stands in a gap, nor after the end."""
        whole: NDArray[np.bool_] = (from_s >= 0.0) & (to_s <= self.span_s)
        for start, end in self.gaps:
            whole &= (to_s <= start) | (from_s >= end)
        return whole

    def between(self, from_s: float, to_s: float) -> MarketTape:
        """The part of the tape from one time to another, its times counted from the first."""
        touch, book, event = (
            slice(*np.searchsorted(times, (from_s, to_s))) for times in (self.touch_s, self.book_s, self.event_s)
        )
        gaps = np.clip(self.gaps, from_s, to_s) - from_s
        return MarketTape(
            touch_s=self.touch_s[touch] - from_s,
            bid=self.bid[touch],
            ask=self.ask[touch],
            book_s=self.book_s[book] - from_s,
            bids=self.bids[book],
            asks=self.asks[book],
            event_s=self.event_s[event] - from_s,
            side=self.side[event],
            size=self.size[event],
            prints=self.prints[event],
            worst=self.worst[event],
            gaps=gaps[gaps[:, 1] > gaps[:, 0]],
            span_s=min(to_s, self.span_s) - from_s,
        )


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number of a market and the rows it is made of.

    Attributes:
        name: What it is, with its unit.
        value: The number; NaN where the market has nothing to make it of.
        rows: What it is made of, one row an observation.
        block: Block of time of each row.
        of: The number of any such rows.
    """

    name: str
    value: float
    rows: Floats
    block: Integers
    of: Callable[[Floats], float]


def market_tape(recording: Recording) -> MarketTape:
    """Reads a recording on the venue's clock.

    Raises:
        RecordingError: It is shorter than `MIN_SPAN_S`, or has too few books, best prices or prints to speak of.
    """
    rows = {"best": len(recording.best_time_ns), "book": len(recording.book_time_ns)}
    for stream, count in rows.items():
        if count < _MIN_BOOKS:
            raise _too_short(recording, f"{stream}_time_ns", f"{count} rows", f"at least {_MIN_BOOKS} rows")
    start_ns = int(min(recording.best_exchange_time_ns[0], recording.book_exchange_time_ns[0]))
    touch_s, bid, ask = _touches(recording, start_ns)
    book_s = (recording.book_exchange_time_ns - start_ns) / _NS
    events = _events(recording, start_ns)
    span_s = float(max(touch_s[-1] if len(touch_s) else 0.0, book_s[-1]))
    if span_s < MIN_SPAN_S:
        raise _too_short(recording, "recording", f"{span_s:.0f} s", f"at least {MIN_SPAN_S:.0f} s")
    if len(events[0]) < _MIN_EVENTS:
        found = f"{len(events[0])} aggressor events"
        raise _too_short(recording, "trade_time_ns", found, f"at least {_MIN_EVENTS} aggressor events")
    every = np.sort(np.concatenate([touch_s, book_s]))
    wide = np.flatnonzero(np.diff(every) > _GAP_S)
    return MarketTape(
        touch_s=touch_s,
        bid=bid,
        ask=ask,
        book_s=book_s,
        bids=np.stack([recording.bid_prices, recording.bid_sizes], axis=2),
        asks=np.stack([recording.ask_prices, recording.ask_sizes], axis=2),
        event_s=events[0],
        side=events[1],
        size=events[2],
        prints=events[3],
        worst=events[4],
        gaps=np.stack([every[wide], every[wide + 1]], axis=1),
        span_s=span_s,
    )


def _too_short(recording: Recording, field: str, value: str, expected: str) -> RecordingError:
    where = f"{recording.path or 'recording'} ({recording.coin})"
    return RecordingError(
        field=f"{where}: {field}", value=value, expected=expected, hint="record longer, or give another folder"
    )


def _touches(recording: Recording, start_ns: int) -> tuple[Floats, Floats, Floats]:
    """Best bid and offer with the last word of each venue time."""
    bid, ask = recording.best_bid_price, recording.best_ask_price
    order = np.flatnonzero(bid < ask)
    order = order[np.argsort(recording.best_exchange_time_ns[order], kind="stable")]
    times = recording.best_exchange_time_ns[order]
    last = np.append(np.diff(times) > 0, True) if len(times) else np.empty(0, bool)
    kept = order[last]
    return (recording.best_exchange_time_ns[kept] - start_ns) / _NS, bid[kept], ask[kept]


def _events(recording: Recording, start_ns: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Times, sides, sizes, prints and worst prices of the aggressor events."""
    side = recording.trade_aggressor.astype(np.float64)
    order = np.lexsort((side, recording.trade_exchange_time_ns))
    order = order[recording.trade_exchange_time_ns[order] >= start_ns]
    times, side = recording.trade_exchange_time_ns[order], side[order]
    if not len(times):
        empty = np.empty(0)
        return empty, empty, empty, empty, empty
    first = np.flatnonzero(np.concatenate([[True], (np.diff(times) != 0) | (np.diff(side) != 0)]))
    signed = recording.trade_price[order] * side
    return (
        (times[first] - start_ns) / _NS,
        side[first],
        np.add.reduceat(recording.trade_size[order], first),
        np.diff(np.append(first, len(times))).astype(np.float64),
        np.maximum.reduceat(signed, first) * side[first],
    )


# --- functions of rows --------------------------------------------------------------------------------------------


def _mean(rows: Floats) -> float:
    return float(rows[:, 0].mean())


def _ratio(rows: Floats) -> float:
    """Sum of the first column over that of the second: a mean with weights, or a rate."""
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def _deviation(rows: Floats) -> float:
    return float(rows[:, 0].std())


def _kurtosis(rows: Floats) -> float:
    centered = rows[:, 0] - rows[:, 0].mean()
    return float((centered**4).mean() / (centered**2).mean() ** 2)


def _dispersion(rows: Floats) -> float:
    """Fano factor: variance of counts over their mean; 1 for a Poisson process."""
    return float(rows[:, 0].var() / rows[:, 0].mean())


def _correlation(rows: Floats) -> float:
    x, y = rows[:, 0] - rows[:, 0].mean(), rows[:, 1] - rows[:, 1].mean()
    return float((x * y).mean() / np.sqrt((x * x).mean() * (y * y).mean()))


def _decay(rows: Floats) -> float:
    """Rate of an exponential: 1 over the mean of what is above nothing."""
    beyond = rows[rows[:, 0] > _BEYOND_BPS, 0]
    return float(1.0 / beyond.mean()) if len(beyond) else np.nan


def _quantile(share: float) -> Callable[[Floats], float]:
    return lambda rows: float(np.quantile(rows[:, 0], share))


class _Collector:
    """Makes statistics of rows that have times."""

    def __init__(self) -> None:
        self.found: list[Statistic] = []

    def add(self, name: str, of: Callable[[Floats], float], time_s: Floats, *columns: Floats) -> None:
        rows = np.column_stack(columns)
        whole = np.isfinite(rows).all(axis=1)
        rows, block = rows[whole], (time_s[whole] / BLOCK_S).astype(np.int64)
        with np.errstate(all="ignore"):
            value = of(rows) if len(rows) > 1 else np.nan
        self.found.append(Statistic(name, value, rows, block, of))


# --- the statistics -----------------------------------------------------------------------------------------------


def market_statistics(tape: MarketTape) -> list[Statistic]:
    """Every statistic of a tape, always the same ones in the same order.

    Spread and best prices, depth by level and by distance, aggressor events (rate, clustering, signs, sizes, reach),
    returns, and what book and events tell of returns to come.
    """
    collector = _Collector()
    _add_spread(collector, tape)
    _add_lives(collector, tape)
    _add_depth(collector, tape)
    _add_events(collector, tape)
    _add_reach(collector, tape)
    _add_returns(collector, tape)
    _add_signals(collector, tape)
    return collector.found


def _add_spread(collector: _Collector, tape: MarketTape) -> None:
    start, end = tape.touch_s[:-1], tape.touch_s[1:]
    lasted = np.where(tape.seen(start, end), end - start, np.nan)
    spread = ((tape.ask - tape.bid) / (0.5 * (tape.ask + tape.bid)) * _BPS)[:-1]
    narrow = spread < 1.5 * spread.min()
    collector.add("spread, mean, bps", _ratio, start, spread * lasted, lasted)
    collector.add("spread at its narrowest, share of time", _ratio, start, narrow * lasted, lasted)
    collector.add(
        "spread above 3 times its narrowest, share", _ratio, start, (spread > 3 * spread.min()) * lasted, lasted
    )
    mid = tape.bid + tape.ask
    collector.add("mid moves, 1/s", _ratio, start, (np.diff(mid) != 0).astype(np.float64), lasted)


def _add_lives(collector: _Collector, tape: MarketTape) -> None:
    """How long a best price stands: the time a queue has to be filled in."""
    lives, begun = [], []
    for price in (tape.bid, tape.ask):
        first = np.flatnonzero(np.concatenate([[True], np.diff(price) != 0]))
        start, end = tape.touch_s[first[:-1]], tape.touch_s[first[1:]]
        lives.append(np.where(tape.seen(start, end), end - start, np.nan))
        begun.append(start)
    life, start = np.concatenate(lives), np.concatenate(begun)
    collector.add("life of a best price, mean, s", _mean, start, life)
    collector.add("life of a best price, median, s", _quantile(0.5), start, life)
    collector.add("life of a best price, 90 %, s", _quantile(0.9), start, life)


_LEVELS = {1: "touch", 2: "2nd level", 3: "3rd level", 5: "5th level", 10: "10th level", 20: "20th level"}


def _add_depth(collector: _Collector, tape: MarketTape) -> None:
    both = np.concatenate([tape.bids, tape.asks])
    time_s = np.concatenate([tape.book_s, tape.book_s])
    for level, name in _LEVELS.items():
        if level <= both.shape[1]:
            collector.add(f"{name} size, mean", _mean, time_s, both[:, level - 1, 1])
    touch = both[:, 0, 1]
    collector.add("touch size, median", _quantile(0.5), time_s, touch)
    collector.add("touch size, deviation of ln", _deviation, time_s, np.log(touch))
    mid = 0.5 * (tape.bids[:, 0, 0] + tape.asks[:, 0, 0])
    distance = np.abs(both[:, :, 0] / np.concatenate([mid, mid])[:, None] - 1.0) * _BPS
    for band in (1.0, 2.0, 5.0):
        within = np.where(distance <= band, both[:, :, 1], 0.0).sum(axis=1)
        collector.add(f"depth within {band:g} bps of the mid, mean", _mean, time_s, within)
    collector.add("all levels reach, mean, bps", _mean, time_s, np.fmax.reduce(distance, axis=1))


def _add_events(collector: _Collector, tape: MarketTape) -> None:
    for window_s in (1.0, 10.0, 60.0):
        edges = np.arange(0.0, tape.span_s, window_s)
        counts = np.histogram(tape.event_s, edges)[0].astype(np.float64)
        counts[~tape.seen(edges[:-1], edges[1:])] = np.nan
        if window_s == 1.0:
            collector.add("events, 1/s", _mean, edges[:-1], counts)
        collector.add(f"Fano factor of events, {window_s:g} s", _dispersion, edges[:-1], counts)
    collector.add("prints an event, mean", _mean, tape.event_s, tape.prints)
    collector.add("events of one print, share", _mean, tape.event_s, (tape.prints == 1).astype(np.float64))
    collector.add("event size, mean", _mean, tape.event_s, tape.size)
    for share in (0.25, 0.5, 0.75, 0.9, 0.99):
        collector.add(f"event size, {share:.0%} quantile", _quantile(share), tape.event_s, tape.size)
    for lag in (1, 2, 5, 20):
        name = f"sign autocorrelation, lag {lag}"
        collector.add(name, _correlation, tape.event_s[lag:], tape.side[lag:], tape.side[:-lag])


def reaches(tape: MarketTape) -> Floats:
    """How far each event went beyond the touch it met, the best price before it, bps; NaN where none is known."""
    place = np.searchsorted(tape.touch_s, tape.event_s, side="left") - 1
    touch = np.where(tape.side > 0, tape.ask[np.maximum(place, 0)], tape.bid[np.maximum(place, 0)])
    reach: Floats = np.where(place >= 0, tape.side * (tape.worst / touch - 1.0) * _BPS, np.nan)
    return reach


def _add_reach(collector: _Collector, tape: MarketTape) -> None:
    reach = reaches(tape)
    for beyond in (_BEYOND_BPS, 1.0, 2.0, 5.0):
        name = (
            "events beyond the touch, share" if beyond == _BEYOND_BPS else f"events beyond it by {beyond:g} bps, share"
        )
        # A comparison makes NaN a no; the reach itself keeps it out.
        collector.add(name, _mean, tape.event_s, np.where(np.isfinite(reach), reach > beyond, np.nan))
    collector.add("decay k of prints beyond the touch, 1/bps", _decay, tape.event_s, reach)


def _returns(tape: MarketTape, horizon_s: float, every_s: float) -> tuple[Floats, Floats]:
    """Starts and returns, bps; NaN where a gap is in between."""
    start = np.arange(0.0, max(tape.span_s - horizon_s, 0.0), every_s)
    moved = np.log(tape.mid_at(start + horizon_s) / tape.mid_at(start)) * _BPS
    return start, np.where(tape.seen(start, start + horizon_s), moved, np.nan)


def _add_returns(collector: _Collector, tape: MarketTape) -> None:
    for horizon_s in (0.5, 1.0, 10.0, 60.0):
        start, moved = _returns(tape, horizon_s, min(horizon_s, 1.0))
        collector.add(f"return deviation, {horizon_s:g} s, bps", _deviation, start, moved)
        if horizon_s in (1.0, 10.0):
            collector.add(f"return kurtosis, {horizon_s:g} s", _kurtosis, start, moved)
        if horizon_s == 1.0:
            collector.add("return autocorrelation, 1 s", _correlation, start[1:], moved[1:], moved[:-1])
            size = np.abs(moved)
            collector.add(
                "|return| of 1 s, autocorrelation 10 s apart", _correlation, start[10:], size[10:], size[:-10]
            )


def _imbalance(tape: MarketTape, band_bps: float) -> Floats:
    """Bids less asks over both, of the sizes within a band of the mid; the touch alone for a band of 0."""
    mid = 0.5 * (tape.bids[:, 0, 0] + tape.asks[:, 0, 0])[:, None]
    depths = []
    for side in (tape.bids, tape.asks):
        near = np.abs(side[:, :, 0] / mid - 1.0) * _BPS <= band_bps
        near[:, 0] = True
        depths.append(np.where(near, side[:, :, 1], 0.0).sum(axis=1))
    imbalance: Floats = (depths[0] - depths[1]) / (depths[0] + depths[1])
    return imbalance


def _add_signals(collector: _Collector, tape: MarketTape) -> None:
    for band, name in ((0.0, "touch imbalance"), (5.0, "imbalance of 5 bps")):
        imbalance = _imbalance(tape, band)
        for horizon_s in (1.0, 10.0):
            moved = np.log(tape.mid_at(tape.book_s + horizon_s) / tape.mid_at(tape.book_s)) * _BPS
            moved[~tape.seen(tape.book_s, tape.book_s + horizon_s)] = np.nan
            title = f"{name} to return, {horizon_s:g} s"
            collector.add(title, _correlation, tape.book_s, imbalance, moved)
        for lag in (1, 20):
            title = f"{name}, autocorrelation {lag} book{'s' if lag > 1 else ''} apart"
            collector.add(title, _correlation, tape.book_s[lag:], imbalance[lag:], imbalance[:-lag])
    before = np.maximum(tape.event_s - 1e-3, 0.0)
    for horizon_s in (0.5, 5.0, 30.0):
        moved = tape.side * np.log(tape.mid_at(tape.event_s + horizon_s) / tape.mid_at(before)) * _BPS
        moved[~tape.seen(before, tape.event_s + horizon_s)] = np.nan
        collector.add(f"impact of an event after {horizon_s:g} s, bps", _mean, tape.event_s, moved)


# --- errors -------------------------------------------------------------------------------------------------------


def bootstrap_errors(statistics: list[Statistic], *, draws: int = 200, seed: int = 0) -> Floats:
    """Standard error of each statistic when whole blocks of a minute are drawn again.

    Args:
        statistics: As `market_statistics` gives them.
        draws: How many times.
        seed: Of the draws; every statistic gets the same blocks.

    Returns:
        One error each; NaN where the statistic itself is NaN.
    """
    blocks = 1 + max((int(item.block.max()) for item in statistics if len(item.block)), default=0)
    random = np.random.default_rng(seed)
    chosen = random.integers(0, blocks, (draws, blocks))
    errors = np.full(len(statistics), np.nan)
    for place, item in enumerate(statistics):
        if not np.isfinite(item.value):
            continue
        order = np.argsort(item.block, kind="stable")
        ends = np.searchsorted(item.block[order], np.arange(blocks + 1))
        parts: list[Any] = [order[ends[block] : ends[block + 1]] for block in range(blocks)]
        with np.errstate(all="ignore"):
            again = [item.of(item.rows[rows]) for rows in (_rows(parts, draw) for draw in chosen) if len(rows) > 1]
        errors[place] = float(np.nanstd(again)) if len(again) > 1 else np.nan
    return errors


def _rows(parts: list[Any], draw: Integers) -> Any:
    return np.concatenate([parts[block] for block in draw])
