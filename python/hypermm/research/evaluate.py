"""What a run was worth, from its fills and the market's mid: markouts and the split of profit and loss.

NumPy only, and none of the engine's code: it judges the numbers that the backtest reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypermm.exceptions import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hypermm.recording.schema import Recording

__all__ = ["MarkoutCurve", "MidPath", "ProfitSplit", "RunView", "markout_curve", "mid_path", "profit_split"]

_BPS = 1e4
_NS_PER_S = 1e9
_EDGE_HORIZON_S = 10.0


class MidPath(NamedTuple):
    """The mid as it was known, a step function of receive time.

    Attributes:
        time_ns: When the mid changed, ns, rising.
        mid_price: The mid from then on.
    """

    time_ns: NDArray[np.int64]
    mid_price: NDArray[np.float64]

    def at(self, time_ns: ArrayLike) -> NDArray[np.float64]:
        """Mid at each time; NaN before the first and after the last row."""
        times = np.asarray(time_ns, np.int64)
        index = np.searchsorted(self.time_ns, times, side="right") - 1
        inside = (index >= 0) & (times <= self.time_ns[-1])
        return np.where(inside, self.mid_price[np.maximum(index, 0)], np.nan)


class MarkoutCurve(NamedTuple):
    """Mean move in our favor after a fill, by horizon.

    Attributes:
        horizon_s: Horizons, s.
        mean_bps: Size-weighted mean of sgn·(mid after the horizon − mid at the fill)/mid at placement, bps.
        error_bps: Standard error of the mean, bps, fills taken as independent.
        fills: Fills whose horizon ends within the data.
    """

    horizon_s: NDArray[np.float64]
    mean_bps: NDArray[np.float64]
    error_bps: NDArray[np.float64]
    fills: NDArray[np.int64]


class ProfitSplit(NamedTuple):
    """Profit and loss by source, USD, cumulated at each time; the sources sum to `total`.

    Attributes:
        time_ns: When, ns.
        spread_capture: Distance from the mid at placement, Σ sgn·(m0 − price)·size.
        adverse_selection: Move of the mid from placement to 10 s after the fill, Σ sgn·(m_10 − m0)·size.
        inventory: The rest of the mark to market.
        fees: Fees, negative when paid.
        funding: Funding, negative when paid.
        total: Equity.
    """

    time_ns: NDArray[np.int64]
    spread_capture: NDArray[np.float64]
    adverse_selection: NDArray[np.float64]
    inventory: NDArray[np.float64]
    fees: NDArray[np.float64]
    funding: NDArray[np.float64]
    total: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RunView:
    """What a run did, in the form that reports read.

    Attributes:
        coin: Venue symbol.
        title: Heading of the report.
        summary: The object `--json` prints.
        fills: Columns of fills.
        decisions: Columns of quotes, one row a cycle.
        equity: Columns of the ledger over time.
        path: The market's mid.
        max_position: Cap of |position|, contracts.
        settings: Settings to show, by name.
    """

    coin: str
    title: str
    summary: Mapping[str, Any]
    fills: Mapping[str, Any]
    decisions: Mapping[str, Any]
    equity: Mapping[str, Any]
    path: MidPath
    max_position: float
    settings: Mapping[str, Any]


def mid_path(recording: Recording) -> MidPath:
    """The mid of a recording as it was known: the last received book or best bid and offer.

    Of rows received at one time the best bid and offer stands. A one-sided or crossed row leaves the mid where it was.

    Raises:
        InvalidInputError: No row has both sides.
    """
    time_ns = np.concatenate([recording.book_time_ns, recording.best_time_ns])
    bid = np.concatenate([recording.bid_prices[:, 0], recording.best_bid_price])
    ask = np.concatenate([recording.ask_prices[:, 0], recording.best_ask_price])
    order = np.argsort(time_ns, kind="stable")
    usable = order[bid[order] < ask[order]]
    if not usable.size:
        raise InvalidInputError(field="recording", value=recording.coin, expected="at least one row with both sides")
    return MidPath(time_ns[usable], (bid[usable] + ask[usable]) / 2.0)


def markout_curve(fills: Mapping[str, Any], path: MidPath, horizons_s: Sequence[float]) -> MarkoutCurve:
    """Markouts of fills at some horizons.

    Args:
        fills: Columns time_ns, side (+1 we bought, −1 we sold), size, mid_at_fill, mid_at_placement.
        path: The market's mid.
        horizons_s: Horizons, s, ≥ 0.

    Returns:
        The curve; NaN where no fill's horizon ends within the data.
    """
    side, size = np.asarray(fills["side"], float), np.asarray(fills["size"], float)
    start = np.asarray(fills["time_ns"], np.int64)
    mid, reference = np.asarray(fills["mid_at_fill"], float), np.asarray(fills["mid_at_placement"], float)
    horizons = np.asarray(horizons_s, float)
    mean, error = np.full(len(horizons), np.nan), np.full(len(horizons), np.nan)
    count = np.zeros(len(horizons), np.int64)
    for index, horizon in enumerate(horizons):
        later = path.at(start + np.int64(round(horizon * _NS_PER_S)))
        value = side * (later - mid) / reference * _BPS
        inside = np.isfinite(value)
        count[index] = inside.sum()
        if not count[index]:
            continue
        weight = size[inside] / size[inside].sum()
        mean[index] = weight @ value[inside]
        if count[index] > 1:
            error[index] = np.sqrt(weight**2 @ (value[inside] - mean[index]) ** 2)
    return MarkoutCurve(horizons, mean, error, count)


def profit_split(fills: Mapping[str, Any], equity: Mapping[str, Any], path: MidPath) -> ProfitSplit:
    """Splits the equity of a run into its sources at each time of `equity`.

    Args:
        fills: Columns time_ns, side, price, size, fee_usd, mid_at_placement.
        equity: Columns time_ns, profit_usd (from 0) and funding_usd (cumulated, + = paid).
        path: The market's mid.
    """
    times = np.asarray(equity["time_ns"], np.int64)
    total = np.asarray(equity["profit_usd"], float)
    start = np.asarray(fills["time_ns"], np.int64)
    signed = np.asarray(fills["side"], float) * np.asarray(fills["size"], float)
    placed = np.asarray(fills["mid_at_placement"], float)
    later = path.at(start + np.int64(_EDGE_HORIZON_S * _NS_PER_S))
    # A horizon beyond the data's end has no adverse selection: that fill's move counts as inventory.
    adverse_each = np.where(np.isfinite(later), signed * (later - placed), 0.0)
    known = np.searchsorted(start, times, side="right")

    def cumulated(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum(values)])[known]

    spread = cumulated(signed * (placed - np.asarray(fills["price"], float)))
    adverse = cumulated(adverse_each)
    fees = -cumulated(np.asarray(fills["fee_usd"], float))
    funding = -np.asarray(equity["funding_usd"], float)
    return ProfitSplit(times, spread, adverse, total - spread - adverse - fees - funding, fees, funding, total)
