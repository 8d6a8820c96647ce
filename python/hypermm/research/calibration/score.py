"""How good the whole filter's forecast is: R² at 10 s with block-bootstrap errors, against the best single feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.config.calibration import HORIZON_S
from hypermm.exceptions import InvalidInputError
from hypermm.research.calibration.drift import Filtered, filter_sample
from hypermm.research.calibration.noise import Mapping, expected_time
from hypermm.research.calibration.regression import clark_west, r2_score, without_missing
from hypermm.research.calibration.threads import single_threaded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypermm.config.calibration import CalibrationArtifact
    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = ["bootstrap_r2", "forecast_of", "mapping_of", "reliability", "unseen_rows", "validation"]

_BLOCK_S = 60.0
_DRAWS = 1_000
_BINS = 10
_LEAST_WINDOWS = 12


def mapping_of(artifact: CalibrationArtifact) -> Mapping:
    """The artifact's features as the filter takes them."""
    count = len(artifact.accepted)
    return Mapping(
        slope=np.array([feature.slope for feature in artifact.accepted]),
        gain=np.array([feature.gain for feature in artifact.accepted]),
        memory_s=np.array([feature.noise_memory_s for feature in artifact.accepted]),
        covariance=np.array(artifact.error_covariance).reshape(count, count),
        fresh_share=np.array([feature.fresh_noise_share for feature in artifact.accepted]),
        mean_evidence=np.array([feature.mean_evidence for feature in artifact.accepted]),
    )


def forecast_of(artifact: CalibrationArtifact, sample: Sample) -> tuple[Filtered, Floats]:
    """The filter with price and features over a sample, and its forecast of the 10 s return, bps."""
    places = tuple(sample.names.index(feature.name) for feature in artifact.accepted)
    kappa, stationary = artifact.filter.mean_reversion_per_s, artifact.filter.stationary_variance
    filtered = filter_sample(sample, places, mapping_of(artifact), kappa, stationary)
    return filtered, filtered.mean * expected_time(kappa)


def unseen_rows(artifact: CalibrationArtifact, sample: Sample) -> Sample:
    """Rows outside the span that the artifact was fitted to, with a horizon between.

    Raises:
        InvalidInputError: There are none, or too few.
    """
    reach_ns = round(HORIZON_S * 1e9)
    before = sample.time_ns + reach_ns < artifact.data_from_ns
    after = sample.time_ns > artifact.data_to_ns + reach_ns
    unseen = sample.rows(before | after)
    if unseen.independent_windows < _LEAST_WINDOWS:
        raise InvalidInputError(
            field="data",
            value=f"{unseen.independent_windows} windows of 10 s",
            expected=f"{_LEAST_WINDOWS} or more that the calibration was not fitted to",
            hint="fit to a part of it: hypermm calibrate --span 0:0.5",
        )
    return unseen


def bootstrap_r2(
    target: Floats, forecasts: list[Floats], time_ns: NDArray[np.int64], seed: int = 0
) -> tuple[Floats, Floats]:
    """R² of some forecasts of one target, and those of draws of 60 s blocks that they share.

    Returns:
        R², shape (forecasts,), and draws, shape (1000, forecasts).
    """
    _, block = np.unique((time_ns - time_ns[0]) // round(_BLOCK_S * 1e9), return_inverse=True)
    count = int(block.max()) + 1
    squares = np.bincount(block, target**2, count)
    errors = np.array([np.bincount(block, (target - forecast) ** 2, count) for forecast in forecasts])
    draws = np.random.Generator(np.random.Philox(seed)).integers(0, count, (_DRAWS, count))
    r2 = 1.0 - errors.sum(axis=1) / squares.sum()
    drawn = 1.0 - errors[:, draws].sum(axis=2) / squares[draws].sum(axis=1)
    return r2, drawn.T


def reliability(target: Floats, forecast: Floats, lags: int) -> list[dict[str, float]]:
    """Mean realized return by tenths of the forecast, bps, with errors: equal where forecasts mean what they say."""
    order = np.argsort(forecast, kind="stable")
    rows = []
    for part in np.array_split(order, _BINS):
        if len(part):
            # Overlapping targets: of `lags` neighbors one counts.
            error = float(target[part].std() / np.sqrt(max(1.0, len(part) / lags)))
            rows.append(
                {
                    "forecast_bps": float(forecast[part].mean()),
                    "realized_bps": float(target[part].mean()),
                    "error_bps": error,
                    "rows": len(part),
                }
            )
    return rows


@single_threaded
def validation(artifact: CalibrationArtifact, sample: Sample) -> dict[str, Any]:
    """The figures of a calibration on rows it was not fitted to."""
    filtered, forecast = forecast_of(artifact, sample)
    rows = np.isfinite(sample.target_bps)
    target, times = sample.target_bps[rows], sample.time_ns[rows]
    features, singles = [], []
    for feature in artifact.accepted:
        single = feature.alpha * without_missing(sample.column(feature.name))[rows]
        r2, error = r2_score(target, single, sample.lags)
        t = clark_west(target, np.zeros(len(target)), single, sample.lags)
        features.append({"name": feature.name, "r2": r2, "r2_error": error, "clark_west_t": t})
        singles.append(single)
    scores, draws = bootstrap_r2(target, [forecast[rows], *singles], times)
    verdicts = {verdict.name: verdict for verdict in artifact.features}
    fitted = [verdicts[feature.name].r2 or 0.0 for feature in artifact.accepted]
    summary: dict[str, Any] = {
        "rows": int(rows.sum()),
        "independent_windows": sample.independent_windows,
        "horizon_s": HORIZON_S,
        "forecast_r2": float(scores[0]),
        "forecast_r2_error": float(draws[:, 0].std(ddof=1)),
        "forecast_r2_interval": [float(edge) for edge in np.percentile(draws[:, 0], [2.5, 97.5])],
        "features": features,
        "best_single": None,
        "best_single_r2": None,
        "difference": None,
        "difference_error": None,
    }
    if fitted:
        best = int(np.argmax(fitted))
        gap = draws[:, 0] - draws[:, best + 1]
        summary |= {
            "best_single": artifact.accepted[best].name,
            "best_single_r2": float(scores[best + 1]),
            "difference": float(scores[0] - scores[best + 1]),
            "difference_error": float(gap.std(ddof=1)),
        }
    square = float(forecast[rows] @ forecast[rows])
    slope = float(forecast[rows] @ target / square) if square > 0.0 else None
    return summary | {
        "slope": slope,
        "nis": {name: facts["nis"] for name, facts in filtered.innovations.items()},
        "reliability": reliability(target, forecast[rows], sample.lags) if square > 0.0 else [],
    }
