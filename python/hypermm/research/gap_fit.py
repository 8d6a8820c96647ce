"""Fits the calibrated fill model, so that paper has no bias against live.

Three numbers are sought: the exponent α of cancels, the touch probability and the alone probability (see
`hypermm.research.gap.FillNumbers`). Wanted is no difference from live in the edge a fill, in the edge weighted by size
and in the number of fills, on the live run's own feed and in the market without us: one set of numbers for both.

Fills are counted, so a run is no smooth function of the numbers. All points of a fixed design are therefore run on the
same seeds, each difference is fitted by a quadratic in the numbers, and SciPy's least_squares finds where the smooth
differences, each in its own standard error, are least. A weak pull to α = 1 decides where the feed does not: of levels
beyond the shown ones no cancel is ever seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from hypermm.exceptions import InvalidInputError
from hypermm.research.gap import Arm, FillNumbers, Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

__all__ = ["FillFit", "Response", "design", "fit", "response"]

_FEEDS = ("ours_left_out", "without_us")
_LEVELS = (0.0, 0.4, 0.8)
_EXPONENTS = (0.25, 4.0)
_MIDDLE = 0.4
# A deviation of ln α of one: between 0.37 and 2.7 the pull hardly counts.
_EXPONENT_PRIOR = 1.0
# In what errors a difference counts, least and most: bps of edge a fill and by size, relative fills. Less is not known,
# since the quadratic is not exact; more would give way to the number of fills, and the edge is what is asked for.
_ERRORS = ((0.03, 0.1), (0.03, 0.1), (0.1, 0.2))


class Response(NamedTuple):
    """How the differences from live depend on the numbers.

    Attributes:
        coefficients: One row a difference, of 1, t, a, t², t·a, a², ln α with t touch and a alone probability.
        errors: Error in which each difference counts: its standard error, within bounds.
        names: What each is.
    """

    coefficients: npt.NDArray[np.float64]
    errors: npt.NDArray[np.float64]
    names: tuple[str, ...]

    def at(self, numbers: Sequence[float]) -> npt.NDArray[np.float64]:
        """The smooth differences at (ln α, touch, alone)."""
        return np.asarray(self.coefficients @ _terms(np.asarray([numbers], np.float64))[0])


class FillFit(NamedTuple):
    """Numbers that fit, with what is left.

    Attributes:
        numbers: The fitted model.
        left: Name of a difference → what the smooth response leaves of it.
        errors: Name of a difference → the error in which it counts.
    """

    numbers: FillNumbers
    left: dict[str, float]
    errors: dict[str, float]


def design() -> tuple[Arm, ...]:
    """The arms of the design: a grid of both chances, and the exponent varied in its middle, on both feeds."""
    points = [FillNumbers(1.0, touch, alone) for touch in _LEVELS for alone in _LEVELS]
    points += [FillNumbers(exponent, _MIDDLE, _MIDDLE) for exponent in _EXPONENTS]
    return tuple(Arm(feed, feed, point.model) for feed in _FEEDS for point in points)


def response(columns: Mapping[str, npt.NDArray[Any]], arms: Sequence[Arm], name: str) -> Response:
    """Fits the differences of a played design; `name` says whose.

    Raises:
        InvalidInputError: No fills, live or in an arm: there is nothing to compare.
    """
    numbers = np.array([[np.log(arm.fill_model[1]), *arm.fill_model[2:]] for arm in arms])
    feeds = np.array([arm.feed for arm in arms])
    live = _moments(columns, 0)
    values, errors = [], []
    for number in range(1, len(arms) + 1):
        paired = [
            (one.mean - other.mean, one.parts - other.parts)
            for one, other in zip(_moments(columns, number), live, strict=True)
        ]
        values.append([mean for mean, _ in paired])
        count = len(paired[0][1])
        errors.append([np.sqrt(count / max(count - 1, 1) * np.sum(parts**2)) for _, parts in paired])
    if not (np.isfinite(values).all() and np.isfinite(errors).all()):
        raise InvalidInputError(
            field="fit_seeds",
            value=len(np.unique(columns["seed"])),
            expected=f"seeds in which {name} fills live and in every arm of the fit",
            hint="more seeds, or longer ones",
        )
    found, middle, names = [], [], []
    for feed in _FEEDS:
        rows = feeds == feed
        terms = _terms(numbers[rows])
        for place, moment in enumerate(("edge", "weighted edge", "fills")):
            solved = np.linalg.lstsq(terms, np.asarray(values)[rows, place], rcond=None)[0]
            found.append(solved)
            middle.append(float(np.clip(np.median(np.asarray(errors)[rows, place]), *_ERRORS[place])))
            names.append(f"{name} {moment}, {feed.replace('_', ' ')}")
    return Response(np.array(found), np.array(middle), tuple(names))


def fit(responses: Sequence[Response]) -> FillFit:
    """The numbers that leave least of all the differences given: of one preset, or pooled over several."""

    def left(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        parts = [one.at(numbers.tolist()) / one.errors for one in responses]
        return np.concatenate([*parts, [numbers[0] / _EXPONENT_PRIOR]])

    bounds = ([np.log(_EXPONENTS[0]), 0.0, 0.0], [np.log(_EXPONENTS[1]), 1.0, 1.0])
    solved = least_squares(left, [0.0, 0.3, 0.3], bounds=bounds, x_scale=[1.0, 0.3, 0.3])
    alpha, touch, alone = solved.x.tolist()
    found = FillNumbers(round(float(np.exp(alpha)), 3), round(touch, 3), round(alone, 3))
    named = [
        (name, value, error)
        for one in responses
        for name, value, error in zip(one.names, one.at(solved.x.tolist()), one.errors, strict=True)
    ]
    return FillFit(
        found, {name: float(value) for name, value, _ in named}, {name: float(error) for name, _, error in named}
    )


def _terms(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    alpha, touch, alone = numbers.T
    return np.stack([np.ones_like(touch), touch, alone, touch**2, touch * alone, alone**2, alpha], axis=1)


def _moments(columns: Mapping[str, npt.NDArray[Any]], number: int) -> list[Ratio]:
    """Edge a fill, edge by size, and the logarithm of the number of fills, each with its parts by seed."""
    rows = columns["arm"] == number
    by_fill = columns["resolved"][rows].astype(np.float64)
    total, count = by_fill.sum(), len(by_fill)
    log_fills = Ratio(float(np.log(total)), by_fill / total - 1.0 / count) if total > 0 else Ratio.of(by_fill, by_fill)
    return [
        Ratio.of(columns["edge_sum_bps"][rows], by_fill),
        Ratio.of(columns["edge_volume"][rows], columns["volume_usd"][rows]),
        log_fills,
    ]
