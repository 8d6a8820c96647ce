"""Self-excitation of aggressor events by maximum likelihood: λ(t) = μ + n·β·Σ e^{−β(t − t_i)}, n < 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypermm.config.calibration import HawkesFit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypermm.recording import Recording

    Floats = NDArray[np.float64]

__all__ = ["MIN_EVENTS", "aggressor_times", "fit_hawkes", "rescaled_waits"]

MIN_EVENTS = 200
# A longer silence of the feed is not the market's: the process starts anew after it.
_GAP_S = 300.0
_MOST_BRANCHING = 0.999
_DECAY_RANGE = (0.01, 50.0)
_START_DECAYS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def aggressor_times(recording: Recording, side: int) -> list[Floats]:
    """Times of aggressor events of one side, s, by stretch without a gap; prints of one venue time are one event."""
    wanted = np.asarray(recording.trade_aggressor) == side
    times = np.unique(np.asarray(recording.trade_exchange_time_ns)[wanted])
    seconds = (times - times[0]) / 1e9 if times.size else np.zeros(0)
    cuts = np.flatnonzero(np.diff(seconds) > _GAP_S) + 1
    return [part for part in np.split(seconds, cuts) if part.size > 1]


def _excitation(times: Floats, decay: float) -> Floats:
    """Σ_{j<i} e^{−β(t_i − t_j)} at each event: a running log-sum, so that no loop is needed."""
    scaled = decay * (times - times[0])
    before = np.logaddexp.accumulate(scaled)
    return np.concatenate([[0.0], np.exp(before[:-1] - scaled[1:])])


def _log_likelihood(stretches: Sequence[Floats], base: float, branching: float, decay: float) -> float:
    total = 0.0
    for times in stretches:
        span = times[-1] - times[0]
        # The first event opens the window: it excites, and is not itself explained.
        intensity = base + branching * decay * _excitation(times, decay)[1:]
        compensator = base * span + branching * np.sum(-np.expm1(-decay * (times[-1] - times)))
        total += float(np.log(intensity).sum() - compensator)
    return total


def rescaled_waits(stretches: Sequence[Floats], base: float, branching: float, decay: float) -> Floats:
    """Integrals of the intensity between events: exponential with mean 1 where the model holds."""
    waits = []
    for times in stretches:
        gap = np.diff(times)
        carried = 1.0 + _excitation(times, decay)[:-1]
        waits.append(base * gap + branching * carried * -np.expm1(-decay * gap))
    return np.concatenate(waits)


def fit_hawkes(stretches: Sequence[Floats]) -> HawkesFit | None:
    """Maximum likelihood with errors from the Hessian and the time-rescaling test; None below `MIN_EVENTS`.

    Args:
        stretches: Event times of each stretch, s, rising.
    """
    from scipy.optimize import minimize
    from scipy.stats import kstest
    from statsmodels.tools.numdiff import approx_hess

    events = sum(len(times) for times in stretches)
    if events < MIN_EVENTS:
        return None
    rate = events / sum(float(times[-1] - times[0]) for times in stretches)

    def cost(point: Floats) -> float:
        return -_log_likelihood(stretches, float(np.exp(point[0])), float(point[1]), float(np.exp(point[2])))

    low, high = np.log(_DECAY_RANGE)
    bounds = [(np.log(rate) - 8.0, np.log(rate) + 0.1), (0.0, _MOST_BRANCHING), (low, high)]
    starts = [np.array([np.log(rate / 2.0), 0.5, np.log(decay)]) for decay in _START_DECAYS]
    found = minimize(cost, min(starts, key=cost), method="L-BFGS-B", bounds=bounds)
    base, branching, decay = float(np.exp(found.x[0])), float(found.x[1]), float(np.exp(found.x[2]))
    point = np.array([base, branching, decay])
    hessian = approx_hess(point, lambda at: -_log_likelihood(stretches, at[0], at[1], at[2]))
    errors = _errors(hessian)
    waits = rescaled_waits(stretches, base, branching, decay)
    return HawkesFit(
        base_rate_per_s=base,
        branching_ratio=branching,
        decay_per_s=decay,
        base_rate_error=errors[0],
        branching_ratio_error=errors[1],
        decay_error=errors[2],
        events=events,
        rescaling_p_value=float(kstest(waits, "expon").pvalue),
    )


def _errors(hessian: Floats) -> tuple[float | None, float | None, float | None]:
    try:
        variance = np.diag(np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return (None, None, None)
    if not (np.isfinite(variance) & (variance > 0.0)).all():
        return (None, None, None)
    first, second, third = np.sqrt(variance).tolist()
    return (first, second, third)
