"""The gate: which features are in, greedily, and why the others are out. Section 8 of MODEL.md.

Errors of R² and Clark–West t are Newey–West with the lag h, as section 8 asks; only the error of α, which no gate uses,
is taken with 4h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hypermm.config.calibration import FeatureVerdict, FoldScore, Gates
from hypermm.research.calibration.folds import Fold, walk_forward
from hypermm.research.calibration.regression import (
    clark_west,
    coefficient,
    coefficient_error,
    joint_forecast,
    mean_evidence,
    noise_factors,
    r2_score,
    without_missing,
)
from hypermm.research.calibration.threads import single_threaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = ["RESIDUAL_PREFIXES", "CostTest", "Judged", "Selection", "select"]

Target = Literal["return", "residual"]

# What repeats returns the price-only filter has seen is held against what that filter leaves.
RESIDUAL_PREFIXES = ("flow_", "trend_")
_MIN_KNOWN_SHARE = 0.05
_CHANCE = 95.0
# Newey–West weights of one horizon take in half of what overlapping targets share, and the drift outlasts it: the error
# of α would be a fifth too small.
_ERROR_HORIZONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTest:
    """What a forecast must move to be worth acting on.

    Attributes:
        needed_bps: Half a price increment ("maker"), or fee and half-spread ("taker").
        replay: Held-out replay edge per fill with some features less that without the last of them, and its error;
            None where none is made.
    """

    needed_bps: float
    replay: Callable[[tuple[str, ...]], tuple[float, float] | None] | None = None


class Wanted(NamedTuple):
    """What features are held against, bps; NaN where it is unknown.

    Attributes:
        whole: By all rows, shape (rows,).
        by_fold: By the train rows of each fold, shape (folds, rows): no test row has a say in what it is judged by.
    """

    whole: Floats
    by_fold: Floats

    def tested(self, folds: tuple[Fold, ...]) -> Floats:
        """Each test row's, by its fold; NaN elsewhere."""
        joined = np.full(len(self.whole), np.nan)
        for fold, wanted in zip(folds, self.by_fold, strict=True):
            joined[fold.test] = wanted[fold.test]
        return joined


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Judged:
    """One feature alone: α fold by fold and its forecasts on the tests.

    Attributes:
        place: Column of the sample.
        target: What it is held against.
        forecast: α·f on test rows, 0 where it has no value; shape (rows,).
        r2: Out of sample.
        r2_error: HAC.
        t: Clark–West against zero.
        alpha: Over all rows.
        folds: By fold.
    """

    place: int
    target: Target
    forecast: Floats
    r2: float
    r2_error: float
    t: float
    alpha: float
    folds: tuple[FoldScore, ...]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Selection:
    """What passed.

    Attributes:
        accepted: Columns of the sample, in the order they were taken.
        targets: What each was fitted on.
        alphas: Each one's α over all rows.
        fold_alphas: Shape (folds, accepted).
        verdicts: Every feature's.
        folds: The folds.
        joint_forecast: Ridge of the accepted on the test rows, 0 elsewhere; shape (rows,).
    """

    accepted: tuple[int, ...]
    targets: tuple[Target, ...]
    alphas: Floats
    fold_alphas: Floats
    verdicts: tuple[FeatureVerdict, ...]
    folds: tuple[Fold, ...]
    joint_forecast: Floats


@single_threaded
def select(
    sample: Sample,
    residual_bps: Floats,
    gates: Gates,
    cost: CostTest,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
    *,
    residual_by_fold: Floats | None = None,
) -> Selection:
    """Judges every feature and takes those that pass, best first.

    Args:
        sample: Rows.
        residual_bps: The 10 s return less the forecast of the price-only filter, shape (rows,).
        gates: Thresholds.
        cost: Cost test.
        progress: Called with (features done, of all).
        residual_by_fold: The same by the filter of each fold's train rows, shape (folds, rows); None: the same for all.

    Raises:
        InvalidInputError: Too little data.
    """
    folds = tuple(walk_forward(sample))
    alike = (len(folds), len(sample))
    weight = 1.0 / noise_factors(sample, mean_evidence(sample, np.isfinite(sample.target_bps)))
    targets: dict[Target, Wanted] = {
        "return": Wanted(sample.target_bps, np.broadcast_to(sample.target_bps, alike)),
        "residual": Wanted(
            residual_bps, np.broadcast_to(residual_bps, alike) if residual_by_fold is None else residual_by_fold
        ),
    }
    reasons: dict[int, str] = {}
    judged: dict[int, Judged] = {}
    for place, name in enumerate(sample.names):
        if reason := _unfit(sample, place):
            reasons[place] = reason
        else:
            target: Target = "residual" if name.startswith(RESIDUAL_PREFIXES) else "return"
            judged[place] = _alone(sample, place, target, targets[target], weight[:, place], folds)
            if reason := _fails_alone(judged[place], gates):
                reasons[place] = reason
        progress(place + 1, len(sample.names))
    facts: dict[int, dict[str, float]] = {place: {} for place in range(len(sample.names))}
    accepted: list[int] = []
    for stage in ("return", "residual"):
        candidates = [p for p, one in judged.items() if p not in reasons and one.target == stage]
        _greedy(sample, targets[stage], folds, candidates, accepted, judged, gates, cost, reasons, facts)
    verdicts = tuple(
        _verdict(sample, place, judged.get(place), reasons.get(place), facts[place], weight[:, place], targets, cost)
        for place in range(len(sample.names))
    )
    columns = without_missing(sample.values[:, accepted])
    joint = _out_of_sample(columns, targets["return"], folds)
    return Selection(
        accepted=tuple(accepted),
        targets=tuple(judged[place].target for place in accepted),
        alphas=np.array([judged[place].alpha for place in accepted]),
        fold_alphas=np.array([[fold.alpha for fold in judged[place].folds] for place in accepted])
        .reshape(len(accepted), len(folds))
        .T,
        verdicts=verdicts,
        folds=folds,
        joint_forecast=joint,
    )


def _unfit(sample: Sample, place: int) -> str:
    values = sample.values[:, place]
    known = values[np.isfinite(values)]
    if not sample.directional[place]:
        return "says nothing on direction"
    if not known.size:
        return "has no value in this data"
    if np.ptp(known) == 0.0:
        return f"is constant: {known[0]:g}"
    if known.size < _MIN_KNOWN_SHARE * values.size:
        return f"has a value in {known.size / values.size:.1%} of the cycles, {_MIN_KNOWN_SHARE:.0%} needed"
    return ""


def _alone(
    sample: Sample, place: int, target: Target, wanted: Wanted, weight: Floats, folds: tuple[Fold, ...]
) -> Judged:
    values = sample.values[:, place]
    forecast = np.zeros(len(sample))
    scores = []
    for fold, of_fold in zip(folds, wanted.by_fold, strict=True):
        alpha = coefficient(values[fold.train], of_fold[fold.train], weight[fold.train])
        alpha = alpha if np.isfinite(alpha) else 0.0
        forecast[fold.test] = alpha * without_missing(values[fold.test])
        known = fold.test & np.isfinite(of_fold)
        r2, error = r2_score(of_fold[known], forecast[known], sample.lags)
        scores.append(FoldScore(alpha=alpha, r2=_or_zero(r2), r2_error=_or_zero(error), rows=int(known.sum())))
    tested = wanted.tested(folds)
    rows = np.isfinite(tested)
    r2, error = r2_score(tested[rows], forecast[rows], sample.lags)
    t = clark_west(tested[rows], np.zeros(rows.sum()), forecast[rows], sample.lags)
    alpha = coefficient(values, wanted.whole, weight)
    return Judged(
        place=place,
        target=target,
        forecast=forecast,
        r2=_or_zero(r2),
        r2_error=_or_zero(error),
        t=t,
        alpha=alpha,
        folds=tuple(scores),
    )


def _fails_alone(one: Judged, gates: Gates) -> str:
    if one.r2 <= gates.r2:
        return f"out-of-sample R² {one.r2:.4f} ± {one.r2_error:.4f}, above {gates.r2:g} needed"
    if one.t <= gates.clark_west_t:
        return f"Clark–West t {one.t:.2f} against no forecast, above {gates.clark_west_t:g} needed"
    if one.target == "return" and one.alpha <= 0.0:
        return f"coefficient {one.alpha:.3g}: features are bullish-positive, the other sign is chance or a fault"
    return ""


def _greedy(
    sample: Sample,
    wanted: Wanted,
    folds: tuple[Fold, ...],
    candidates: list[int],
    accepted: list[int],
    judged: dict[int, Judged],
    gates: Gates,
    cost: CostTest,
    reasons: dict[int, str],
    facts: dict[int, dict[str, float]],
) -> None:
    """Takes the candidate that adds most, as long as one passes; `accepted`, `reasons` and `facts` are filled."""
    tested = wanted.tested(folds)
    rows = np.isfinite(tested)
    open_ = list(candidates)
    for place in list(open_):
        move = _move_bps(sample, judged[place])
        facts[place]["move_bps"] = move
        if move < cost.needed_bps:
            reasons[place] = f"cost test: moves the quote by {move:.3g} bps, {cost.needed_bps:.3g} needed"
            open_.remove(place)
    while open_:
        small = _out_of_sample(without_missing(sample.values[:, accepted]), wanted, folds)
        base, _ = r2_score(tested[rows], small[rows], sample.lags)
        gains = []
        for place in open_:
            large = _out_of_sample(without_missing(sample.values[:, [*accepted, place]]), wanted, folds)
            r2, _ = r2_score(tested[rows], large[rows], sample.lags)
            t = clark_west(tested[rows], small[rows], large[rows], sample.lags)
            facts[place] |= {"incremental_r2": r2 - base, "incremental_t": t}
            gains.append((r2 - base, t, place))
        passing = [gain for gain in gains if gain[0] > gates.incremental_r2 and gain[1] > gates.clark_west_t]
        for gain, t, place in gains:
            if (gain, t, place) not in passing:
                reasons[place] = _adds_too_little(gain, t, [sample.names[other] for other in accepted], gates)
                open_.remove(place)
        if not passing:
            return
        best = max(passing)[2]
        open_.remove(best)
        if reason := _fails_replay(sample, [*accepted, best], cost, facts[best]):
            reasons[best] = reason
        else:
            accepted.append(best)


def _adds_too_little(gain: float, t: float, accepted: list[str], gates: Gates) -> str:
    added = f"adds R² {gain:.4f} to {', '.join(accepted) or 'nothing'}"
    if not gain > gates.incremental_r2:
        return f"{added}, above {gates.incremental_r2:g} needed"
    return f"{added}, but with Clark–West t {t:.2f}, above {gates.clark_west_t:g} needed"


def _fails_replay(sample: Sample, places: list[int], cost: CostTest, facts: dict[str, float]) -> str:
    outcome = cost.replay(tuple(sample.names[place] for place in places)) if cost.replay else None
    if outcome is None:
        return ""
    edge, error = outcome
    facts |= {"replay_edge_bps": edge, "replay_edge_error": error}
    if edge < -error:
        return f"cost test: the replay's edge per fill is lower by {-edge:.3g} ± {error:.3g} bps with it"
    return ""


def _out_of_sample(columns: Floats, wanted: Wanted, folds: tuple[Fold, ...]) -> Floats:
    forecast = np.zeros(len(columns))
    for fold, of_fold in zip(folds, wanted.by_fold, strict=True):
        train = fold.train & np.isfinite(of_fold)
        forecast[fold.test] = joint_forecast(columns[train], of_fold[train], columns[fold.test])
    return forecast


def _move_bps(sample: Sample, one: Judged) -> float:
    known = np.isfinite(sample.values[:, one.place])
    return float(np.percentile(np.abs(one.alpha * sample.values[known, one.place]), _CHANCE))


def _or_zero(value: float) -> float:
    return value if np.isfinite(value) else 0.0


def _verdict(
    sample: Sample,
    place: int,
    one: Judged | None,
    reason: str | None,
    facts: dict[str, float],
    weight: Floats,
    targets: dict[Target, Wanted],
    cost: CostTest,
) -> FeatureVerdict:
    name = sample.names[place]
    share = float(np.isfinite(sample.values[:, place]).mean())
    if one is None:
        return FeatureVerdict(name=name, accepted=False, reason=reason or "", target="return", share_known=share)
    values = sample.values[:, place]
    return FeatureVerdict(
        name=name,
        accepted=reason is None,
        reason=reason or "passed the gate",
        target=one.target,
        share_known=share,
        alpha=one.alpha,
        alpha_error=coefficient_error(values, targets[one.target].whole, weight, _ERROR_HORIZONS * sample.lags),
        r2=one.r2,
        r2_error=one.r2_error,
        clark_west_t=one.t,
        move_bps=facts.get("move_bps", _move_bps(sample, one)),
        cost_needed_bps=cost.needed_bps,
        incremental_r2=facts.get("incremental_r2"),
        incremental_t=facts.get("incremental_t"),
        replay_edge_bps=facts.get("replay_edge_bps"),
        replay_edge_error=facts.get("replay_edge_error"),
        folds=one.folds,
    )
