"""Features by their formulas (MODEL.md section 7), each a sum over everything heard before: nothing streams here.

Shares no code with the library. A recording is a mapping of column name to array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

S = 10**9
BANDS = {2: 2.0, 5: 5.0, 10: 10.0, 25: 25.0, 50: 50.0}
CHUNK = 256


@dataclass
class Books:
    """The book after each change: levels best first, cut at 20."""

    time: NDArray[np.int64]
    bids: list[Floats]  # rows of price, size
    asks: list[Floats]

    def before(self, time: int) -> int:
        """Index of the last book before a time, -1 for none."""
        return int(np.searchsorted(self.time, time, side="left")) - 1

    def at(self, time: int) -> int:
        """Index of the last book at or before a time."""
        return int(np.searchsorted(self.time, time, side="right")) - 1

    def two_sided(self, index: int) -> bool:
        bids, asks = self.bids[index], self.asks[index]
        return bool(len(bids) and len(asks) and bids[0, 0] < asks[0, 0])


def _laid_over(side: Floats, price: float, size: float, sign: float) -> Floats:
    if np.isnan(price):
        return side[:0]
    rest = side[sign * side[:, 0] < sign * price]
    return np.vstack([[price, size], rest])[:20]


def books_of(columns: Mapping[str, Any]) -> Books:
    rows = [(int(t), 0, i) for i, t in enumerate(columns["book_time_ns"])]
    rows += [(int(t), 1, i) for i, t in enumerate(columns["best_time_ns"])]
    rows.sort()
    bids = asks = np.empty((0, 2))
    all_bids, all_asks = [], []
    for _, kind, i in rows:
        if kind == 0:
            bids, asks = (
                np.column_stack([columns[f"{side}_prices"][i], columns[f"{side}_sizes"][i]]) for side in ("bid", "ask")
            )
            bids, asks = bids[~np.isnan(bids[:, 0])], asks[~np.isnan(asks[:, 0])]
        else:
            bids = _laid_over(bids, columns["best_bid_price"][i], columns["best_bid_size"][i], 1.0)
            asks = _laid_over(asks, columns["best_ask_price"][i], columns["best_ask_size"][i], -1.0)
        all_bids.append(bids)
        all_asks.append(asks)
    return Books(np.array([row[0] for row in rows], np.int64), all_bids, all_asks)


def faded(at: NDArray[np.int64], times: NDArray[np.int64], weights: Floats, time_constant_s: float) -> Floats:
    """Sum of weight·exp(-(t - t_i)/T) over t_i <= t, for each t."""
    result = np.zeros(len(at))
    for start in range(0, len(at), CHUNK):
        t = at[start : start + CHUNK, None]
        age = (t - times[None, :]) / S
        kernel = np.where(age >= 0, np.exp(-np.maximum(age, 0.0) / time_constant_s), 0.0)
        result[start : start + CHUNK] = kernel @ weights
    return result


def weighted(samples: list[tuple[int, float]], time_constant_s: float) -> tuple[float, float]:
    """Mean and deviation of timed samples, weighted by their age at the last one."""
    times, values = np.array([when for when, _ in samples]), np.array([value for _, value in samples])
    weights = np.exp(-(times[-1] - times) / S / time_constant_s)
    mean = np.average(values, weights=weights)
    return float(mean), float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


class Forecast:
    """The funding forecast of section 6, bps an interval."""

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns
        self.current: float | None = None
        self.predicted: float | None = None
        self.settlement: int | None = None
        self.settled: list[tuple[int, float]] = []

    def hear(self, when: int, rate: float, predicted: float, settlement: int) -> bool:
        """Takes in a row of the context; True when it had a rate."""
        if self.settlement is not None and self.settlement <= when:
            if self.current is not None:
                self.settled.append((self.settlement, self.current))
            self.settlement += ((when - self.settlement) // self.interval_ns + 1) * self.interval_ns
        self.current = self.current if np.isnan(rate) else rate * 1e4
        self.predicted = self.predicted if np.isnan(predicted) else predicted * 1e4
        self.settlement = int(settlement) or self.settlement
        return not (np.isnan(rate) and np.isnan(predicted))

    def at(self, t: int) -> float:
        value = self.current
        if self.predicted is not None:
            left = (
                self.settlement - t
                if self.settlement > t
                else self.interval_ns - (t - self.settlement) % self.interval_ns
            )
            value += 0.8 * np.exp(-left / S / 900.0) * (self.predicted - self.current)
        if self.settled:
            value += 0.2 * (weighted(self.settled, 28_800.0)[0] - self.current)
        return float(value)


class Recomputed:
    """All features at given times."""

    def __init__(
        self,
        columns: Mapping[str, Any],
        at: NDArray[np.int64],
        *,
        lead: tuple[Any, Any] | None = None,
        basis: tuple[Any, Any] | None = None,
        sigma: float = 1.5,
        funding_interval_s: float = 3600.0,
    ) -> None:
        self.columns, self.at = columns, at
        self.sigma, self.funding_interval_s = sigma, funding_interval_s
        self.books = books_of(columns)
        heard = [self.books.time, columns["trade_time_ns"], columns["context_time_ns"]]
        heard += [np.asarray(market[0]) for market in (lead, basis) if market is not None]
        every = np.sort(np.concatenate(heard))
        last = every[np.searchsorted(every, at, side="right") - 1]
        # Whole seconds since the first event; the k-th has passed once an event at or after it was heard.
        self.anchor = int(every[0])
        self.passed = (last - self.anchor) // S
        self.seconds = self.anchor + S * np.arange(1, int(self.passed.max()) + 1)
        self.values: dict[str, Floats] = {}
        self.covered: dict[str, Floats] = {}
        self._book()
        self._tape()
        self._second_grid()
        self._context(basis)
        self._lead(lead)
        for side in ("buy", "sell"):
            self.values[f"fill_size_{side}"] = np.full(len(at), np.nan)

    def _age(self, times: NDArray[np.int64]) -> Floats:
        """Seconds since the last of some times, infinite before the first."""
        times = np.asarray(times, np.int64)
        index = np.searchsorted(times, self.at, side="right") - 1
        known = index >= 0
        age = np.full(len(self.at), np.inf)
        age[known] = (self.at[known] - times[index[known]]) / S
        return age

    def _keep(self, name: str, values: Floats, *fresh: NDArray[np.bool_]) -> None:
        self.values[name] = np.where(np.logical_and.reduce(fresh), values, np.nan) if fresh else values

    # --- book --------------------------------------------------------------------------------------------------------

    def _bands(self, index: int) -> dict[int, tuple[float, float]] | None:
        if index < 0 or not self.books.two_sided(index):
            return None
        bids, asks = self.books.bids[index], self.books.asks[index]
        mid = (bids[0, 0] + asks[0, 0]) / 2
        below, above = (mid - bids[:, 0]) / mid * 1e4, (asks[:, 0] - mid) / mid * 1e4
        edge = 1e-6
        return {
            name: (bids[below <= d + edge, 1].sum(), asks[above <= d + edge, 1].sum()) for name, d in BANDS.items()
        } | {0: (below[-1], above[-1])}

    @staticmethod
    def _imbalance(pair: tuple[float, float]) -> float:
        return (pair[0] - pair[1]) / (pair[0] + pair[1]) if sum(pair) > 0 else np.nan

    def _book(self) -> None:
        n = len(self.at)
        names = [f"book_imbalance_{d}bps" for d in BANDS]
        names += ["pressure_gradient", "book_acceleration", "depth_velocity", "microprice_offset"]
        out = {name: np.full(n, np.nan) for name in names}
        covered = {name: np.full(n, np.nan) for name in names[:5]}
        at_second = []
        for second in self.seconds:
            index = self.books.before(int(second))
            fresh = index >= 0 and (second - self.books.time[index]) / S <= 5.0
            at_second.append(self._bands(index) if fresh else None)
        for i, t in enumerate(self.at):
            index = self.books.at(int(t))
            bands = self._bands(index)
            if bands is None:
                continue
            reach = min(bands[0])
            for d in BANDS:
                out[f"book_imbalance_{d}bps"][i] = self._imbalance(bands[d])
                covered[f"book_imbalance_{d}bps"][i] = min(reach, BANDS[d])
            if reach > 10.0 + 1e-6:
                out["pressure_gradient"][i] = self._imbalance(bands[10]) - self._imbalance(bands[50])
            bids, asks = self.books.bids[index], self.books.asks[index]
            share = bids[0, 1] / (bids[0, 1] + asks[0, 1])
            mid = (bids[0, 0] + asks[0, 0]) / 2
            out["microprice_offset"][i] = (share * asks[0, 0] + (1 - share) * bids[0, 0] - mid) / mid * 1e4
            # The second before the last one passed.
            k = int(self.passed[i]) - 1
            if k >= 1 and (before := at_second[k - 1]) is not None:
                dt = (t - self.seconds[k - 1]) / S
                out["book_acceleration"][i] = (self._imbalance(bands[10]) - self._imbalance(before[10])) / dt
                (bid_0, ask_0), (bid_1, ask_1) = before[25], bands[25]
                if bid_0 + ask_0 > 0 and bid_1 + ask_1 > 0:
                    out["depth_velocity"][i] = ((bid_1 - bid_0) - (ask_1 - ask_0)) / (bid_0 + ask_0) / dt
        self.book_fresh = self._age(self.books.time)
        for name, values in out.items():
            self._keep(name, values, self.book_fresh <= 5.0)
        for name, values in covered.items():
            self.covered[name] = np.where(np.isnan(self.values[name]), np.nan, values)
        self._order_flow()

    def _order_flow(self) -> None:
        books = self.books
        usable = np.array([books.two_sided(i) for i in range(len(books.time))])
        best = np.full((len(books.time), 4), np.nan)
        for i in np.flatnonzero(usable):
            best[i] = [*books.bids[i][0], *books.asks[i][0]]
        p0, q0, a0, s0 = best[:-1].T
        p1, q1, a1, s1 = best[1:].T
        flow = (p1 >= p0) * q1 - (p1 <= p0) * q0 - (a1 <= a0) * s1 + (a1 >= a0) * s0
        flow = np.where(usable[1:] & usable[:-1], flow, 0.0)
        sums = faded(self.at, books.time[1:], flow, 5.0)
        # Best sizes at whole seconds, of books heard within 5 s.
        index = np.array([books.before(int(second)) for second in self.seconds])
        known = (index >= 0) & usable[index]
        known[known] = (self.seconds[known] - books.time[index[known]]) / S <= 5.0
        sampled = self.seconds[known]
        sizes = (best[index[known], 1] + best[index[known], 3]) / 2
        passed = self.anchor + S * self.passed
        with np.errstate(invalid="ignore"):
            mean = faded(passed, sampled, sizes, 300.0) / faded(passed, sampled, np.ones(len(sampled)), 300.0)
        now = np.array([usable[max(books.at(int(t)), 0)] for t in self.at])
        self._keep("order_flow_imbalance", sums / mean, self.book_fresh <= 5.0, now)

    # --- tape --------------------------------------------------------------------------------------------------------

    def _tape(self) -> None:
        c = self.columns
        time, key, side = c["trade_time_ns"], c["trade_exchange_time_ns"], c["trade_aggressor"]
        size, price = c["trade_size"], c["trade_price"]
        begun = np.zeros(len(time), bool)
        sweep = np.zeros(len(time))
        event_of = np.zeros(len(time), np.int64)
        for sign in (1, -1):
            rows = np.flatnonzero(side == sign)
            begun[rows] = np.diff(key[rows], prepend=-1) != 0
            number = np.cumsum(begun[rows]) - 1
            event_of[rows] = number
            for event in range(int(number[-1]) + 1 if len(number) else 0):
                prints = rows[number == event]
                worst = np.maximum.accumulate(sign * price[prints])
                levels = 1 + np.cumsum(np.diff(worst, prepend=worst[0]) > 0)
                sweep[prints] = np.diff(np.cumsum(size[prints]) * levels, prepend=0.0)
        age = self._age(time)

        def split(weights: Floats, time_constant_s: float) -> tuple[Floats, Floats]:
            return tuple(faded(self.at, time, weights * (side == sign), time_constant_s) for sign in (1, -1))  # type: ignore[return-value]

        buys, sells = split(sweep, 2.0)
        self._keep("sweep_score", buys - sells, age <= 10.0)
        events = begun.astype(float)
        with np.errstate(invalid="ignore"):
            mean = faded(self.at, time, size, 3600.0) / faded(self.at, time, events, 3600.0)
        for window in (5, 30, 120, 300):
            buys, sells = split(events, window)
            self._keep(f"flow_count_{window}s", (buys - sells) / (8 + buys + sells), age <= 5 * window)
            buys, sells = split(size, window)
            self._keep(f"flow_volume_{window}s", (buys - sells) / (8 * mean + buys + sells), age <= 5 * window)
        seen = 300.0 * (1 - np.exp(-(self.at - self.anchor) / S / 300.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            for name, sign, excited, usual in zip(
                ("hawkes_buy", "hawkes_sell"), (1, -1), split(events, 2.0), split(events, 300.0), strict=True
            ):
                # n = 0.5, β = 0.5/s: λ = (1 - n)·mean + n·β·sum, less its mean.
                intensity = 0.5 * usual / seen + 0.25 * excited
                self._keep(name, sign * (intensity - usual / seen), age <= 60.0, seen >= 60.0)
        for name, sign in (("trade_size_buy", 1), ("trade_size_sell", -1)):
            self._sizes(name, sign, begun, event_of)

    def _sizes(self, name: str, sign: int, begun: NDArray[np.bool_], event_of: NDArray[np.int64]) -> None:
        c = self.columns
        mine = c["trade_aggressor"] == sign
        start = c["trade_time_ns"][mine & begun]
        time, size, event = c["trade_time_ns"][mine], c["trade_size"][mine], event_of[mine]
        out = np.full(len(self.at), np.nan)
        for i, t in enumerate(self.at):
            seen = time <= t
            n = int(event[seen].max(initial=-1)) + 1
            if n < 2:
                continue
            logs = np.log(np.bincount(event[seen], size[seen], n))
            begin = start[:n]
            complete = np.exp(-(begin[-2] - begin[:-1]) / S / 3600.0).sum()
            if complete < 10.0 or (t - begin[-1]) / S > 150.0:
                continue
            recent, usual = (np.exp(-(begin[-1] - begin) / S / constant) for constant in (30.0, 3600.0))
            mean = np.average(logs, weights=usual)
            deviation = np.sqrt(np.average((logs - mean) ** 2, weights=usual))
            out[i] = sign * (np.average(logs, weights=recent) - mean) / deviation
        self.values[name] = out

    # --- whole seconds -----------------------------------------------------------------------------------------------

    def _second_grid(self) -> None:
        usable = [i for i in range(len(self.books.time)) if self.books.two_sided(i)]
        times = self.books.time[usable]
        mids = np.array([(self.books.bids[i][0, 0] + self.books.asks[i][0, 0]) / 2 for i in usable])
        index = np.searchsorted(times, self.seconds, side="left") - 1
        self.mid = np.where(index >= 0, mids[np.maximum(index, 0)], np.nan)
        now = np.searchsorted(times, self.at, side="right") - 1
        last_book = np.array([self.books.at(int(t)) for t in self.at])
        two_sided = np.array([i >= 0 and self.books.two_sided(i) for i in last_book])
        self.mid_now = np.where((now >= 0) & two_sided, mids[np.maximum(now, 0)], np.nan)
        returns = {h: self._returns(self.mid, h) for h in (1, 5, 10, 30, 60, 300)}
        self.returns = returns
        fresh = self.book_fresh <= 5.0
        now_returns = {h: self._now(returns[h]) for h in (10, 60, 300)}
        for h, values in now_returns.items():
            self._keep(f"trend_return_{h}s", values, fresh)
        stacked = np.array(list(now_returns.values()))
        agreement = np.abs(np.sign(stacked).sum(axis=0)) / 3
        self._keep("trend_agreement", agreement, fresh)
        continuation = self._continuation(returns[10])
        enough = np.isfinite(self._now(self._returns(self.mid, 20)))
        self._keep("trend_continuation", self._now(continuation), fresh, enough)
        sigma = np.sqrt(self._mean_square(returns[10] ** 2 / 10.0, 300.0))
        strength = np.mean([now_returns[h] / np.sqrt(h) for h in now_returns], axis=0) / self._now(sigma)
        self._keep("trend_score", strength * agreement * self._now(continuation), fresh)
        squares = returns[5] ** 2 / 5.0
        ratio = np.sqrt(self._mean_square(squares, 30.0) / self._mean_square(squares, 300.0))
        seen_5 = np.isfinite(returns[5]).cumsum() > 0
        self._keep("volatility_ratio", self._now(np.where(seen_5, ratio, np.nan)), self.book_fresh <= 30.0)
        self._keep("excess_kurtosis", self._now(self._kurtosis(returns[1])), self.book_fresh <= 30.0)

    @staticmethod
    def _returns(values: Floats, horizon: int) -> Floats:
        out = np.full(len(values), np.nan)
        out[horizon:] = np.log(values[horizon:] / values[:-horizon]) * 1e4
        return out

    def _now(self, at_second: Floats) -> Floats:
        index = self.passed - 1
        return np.where(index >= 0, at_second[np.maximum(index, 0)], np.nan)

    def _continuation(self, ten: Floats) -> Floats:
        out = np.full(len(ten), np.nan)
        first = int(np.flatnonzero(np.isfinite(self.mid))[0])
        agreed = turned = 0.0
        for i in range(first, len(ten)):
            if (i - first + 1) % 10 == 0 and i - first >= 20:
                before, now = ten[i - 10], ten[i]
                if before != 0.0 and now != 0.0:
                    agreed, turned = agreed * 0.998_076_45, turned * 0.998_076_45
                    agreed, turned = (agreed + 1, turned) if before * now > 0 else (agreed, turned + 1)
            out[i] = (1 + agreed) / (2 + agreed + turned)
        return out

    def _mean_square(self, samples: Floats, time_constant_s: float) -> Floats:
        """Weighted mean of all samples so far and a prior sigma² that weighs twenty of them."""
        known = np.isfinite(samples)
        number = known.cumsum()
        x = samples[known]
        out = np.empty(len(samples))
        prior = self.sigma**2
        for n in range(int(number[-1]) + 1):
            weights = np.exp(-np.arange(n)[::-1] / time_constant_s)
            left = 20.0 * np.exp(-n / time_constant_s)
            out[number == n] = (left * prior + weights @ x[:n]) / (left + weights.sum())
        return out

    @staticmethod
    def _kurtosis(one: Floats) -> Floats:
        out = np.full(len(one), np.nan)
        known = np.flatnonzero(np.isfinite(one))
        x = one[known]
        for n in range(1, len(x) + 1):
            weights = np.exp(-np.arange(n)[::-1] / 300.0)
            second = weights @ x[:n] ** 2
            if weights.sum() >= 60.0 and second > 0:
                fourth = weights @ x[:n] ** 4
                out[known[n - 1]] = np.clip(fourth * weights.sum() / second**2 - 3, 0, 10)
        return out

    # --- other series ------------------------------------------------------------------------------------------------

    def _held(self, times: Any, values: Any, fresh_s: float) -> Floats:
        """A series at whole seconds, NaN where it was last heard longer ago."""
        times, values = np.asarray(times, np.int64), np.asarray(values, float)
        index = np.searchsorted(times, self.seconds, side="left") - 1
        known = index >= 0
        known[known] = (self.seconds[known] - times[index[known]]) / S <= fresh_s
        return np.where(known, values[np.maximum(index, 0)] if len(values) else np.nan, np.nan)

    def _change(self, held: Floats, horizon: int) -> Floats:
        """Log change in bps, NaN where the series was silent in between."""
        silent = np.isnan(held).astype(float)
        gaps = np.concatenate([[0.0], silent.cumsum()])
        out = self._returns(held, horizon)
        for k in range(horizon, len(held)):
            if gaps[k + 1] - gaps[k - horizon] > 0:
                out[k] = np.nan
        return out

    def _heard(self, name: str) -> tuple[NDArray[np.int64], Floats]:
        values = self.columns[name]
        known = np.isfinite(values)
        return self.columns["context_time_ns"][known], values[known]

    def _context(self, basis: tuple[Any, Any] | None) -> None:
        times, prices = self._heard("oracle_price") if basis is None else basis
        times, prices = np.asarray(times, np.int64), np.asarray(prices, float)
        age = np.maximum(self._age(times), self.book_fresh)
        index = np.searchsorted(times, self.at, side="right") - 1
        price = prices[np.maximum(index, 0)] if len(prices) else np.nan
        self._keep("basis", np.log(self.mid_now / price) * 1e4, age <= 10.0)
        change = self.returns[30] - self._change(self._held(times, prices, 10.0), 30)
        self._keep("basis_change", self._now(change), age <= 10.0)
        times, interest = self._heard("open_interest")
        age = np.maximum(self._age(times), self.book_fresh)
        change = self._change(self._held(times, interest, 60.0), 60) * np.sign(self.returns[60])
        self._keep("open_interest_change", self._now(change), age <= 60.0)
        self._funding()

    def _funding(self) -> None:
        c = self.columns
        out = np.full(len(self.at), np.nan)
        forecast = Forecast(round(self.funding_interval_s * S))
        samples: list[tuple[int, float]] = []
        heard: list[int] = []
        row = 0
        for i, t in enumerate(self.at):
            while row < len(c["context_time_ns"]) and c["context_time_ns"][row] <= t:
                when = int(c["context_time_ns"][row])
                if forecast.hear(
                    when, c["funding_rate"][row], c["predicted_funding"][row], c["next_settlement_ns"][row]
                ):
                    heard.append(when)
                if forecast.current is not None and (not samples or when - samples[-1][0] >= 60 * S):
                    samples.append((when, forecast.at(when)))
                row += 1
            if len(samples) < 2 or (t - heard[-1]) / S > 600.0:
                continue
            mean, deviation = weighted(samples, 86_400.0)
            if deviation > 1e-9 * max(abs(mean), 1e-6):
                out[i] = -(forecast.at(int(t)) - mean) / deviation
        self.values["funding_z"] = out

    def _lead(self, lead: tuple[Any, Any] | None) -> None:
        n = len(self.at)
        if lead is None:
            self.values["lead"] = np.full(n, np.nan)
            return
        held = self._held(*lead, 5.0)
        x, y = self._change(held, 30), self.returns[30]
        index = np.array([self.books.before(int(second)) for second in self.seconds])
        heard = index >= 0
        heard[heard] = (self.seconds[heard] - self.books.time[index[heard]]) / S <= 5.0
        pairs = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & heard)
        beta = np.full(len(self.seconds), np.nan)
        for k in range(len(self.seconds)):
            used = pairs[pairs <= k]
            weights = np.exp(-np.arange(len(used))[::-1] / 1800.0)
            if weights.sum() >= 60.0:
                beta[k] = (weights * x[used]) @ y[used] / ((weights * x[used]) @ x[used])
        residual = beta * self._change(held, 5) - self.returns[5]
        age = np.maximum(self._age(lead[0]), self.book_fresh)
        self._keep("lead", self._now(residual), age <= 5.0)
