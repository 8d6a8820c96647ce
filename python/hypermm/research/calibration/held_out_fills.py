"""Own fills on rows a calibration was not fitted to: what they add to the price alone, and to the whole filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.research.calibration.drift import filter_sample
from hypermm.research.calibration.fills import FillScores, fill_scores
from hypermm.research.calibration.noise import expected_time
from hypermm.research.calibration.regression import r2_score
from hypermm.research.calibration.replay import replay, replay_config
from hypermm.research.calibration.score import forecast_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import hypermm
    from hypermm.config.calibration import CalibrationArtifact
    from hypermm.recording import Recording
    from hypermm.research.calibration.sample import Sample

__all__ = ["validate_own_fills"]


def validate_own_fills(
    artifact: CalibrationArtifact, sample: Sample, recordings: Sequence[Recording], instrument: hypermm.Instrument
) -> dict[str, Any]:
    """R² of α·s of own fills in a pessimistic replay, of the return that follows them beyond two forecasts.

    Section 8 of MODEL.md asks for what the price-only filter leaves. The features see the book that a fill has moved
    too: what the whole filter leaves says how much of a fill is news beside them.

    Args:
        artifact: The calibration.
        sample: Rows it was not fitted to, of segments numbered as `recordings`.
        recordings: In order of time.
        instrument: Facts of the contract.

    Returns:
        state, fills, and R² with its HAC error beyond the price-only filter and beyond the whole one: r2_price_only,
        r2_price_only_error, r2_whole_filter, r2_whole_filter_error; None where fills are not accepted, or too few.
    """
    own = artifact.own_fill
    facts: dict[str, Any] = {"state": own.state, "fills": 0}
    names = ("r2_price_only", "r2_whole_filter")
    figures: dict[str, float | None] = {f"{name}{ending}": None for name in names for ending in ("", "_error")}
    if own.state != "accepted":
        return facts | figures
    kappa, stationary = artifact.filter.mean_reversion_per_s, artifact.filter.stationary_variance
    config = replay_config(
        float(np.nanmedian(sample.mid_price)), kappa, stationary, float(np.nanmedian(sample.volatility))
    )
    price_only = filter_sample(sample, (), None, kappa, stationary).mean * expected_time(kappa)
    _, whole = forecast_of(artifact, sample)
    played = {int(segment): replay(recordings[segment], instrument, config) for segment in np.unique(sample.segment)}
    for name, forecast in zip(names, (price_only, whole), strict=True):
        residual = sample.target_bps - forecast
        scores = [fill_scores(fills, sample, residual, segment) for segment, fills in played.items()]
        joined = FillScores(*(np.concatenate(column) for column in zip(*scores, strict=True)))
        count = len(joined.score)
        facts["fills"] = count
        if count > 1:
            lags = max(1, round(count ** (1 / 3)))
            r2, error = r2_score(joined.residual_bps, own.alpha * joined.score, lags)
            figures |= {name: float(r2), f"{name}_error": float(error)}
    return facts | figures
