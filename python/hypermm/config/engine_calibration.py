"""From the artifact of a calibration to the numbers an engine is made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hypermm._core import CalibratedFeature, Calibration
from hypermm.config.calibration_file import load_calibration

if TYPE_CHECKING:
    from hypermm import Instrument
    from hypermm.config.calibration import AcceptedFeature, CalibrationArtifact

__all__ = ["calibration_for", "engine_calibration"]


def calibration_for(path: str, instrument: Instrument, *, now_ns: int | None = None) -> Calibration | None:
    """The calibration of a settings file for an instrument; None for an empty path.

    Args:
        path: File that `hypermm calibrate` wrote, or "".
        instrument: What it is to be used for.
        now_ns: The present; the age is checked where it is given, as live it must be.

    Raises:
        InvalidConfigError: As of `load_calibration`.
    """
    if not path:
        return None
    return engine_calibration(load_calibration(path, now_ns=now_ns, instrument=instrument))


def engine_calibration(artifact: CalibrationArtifact) -> Calibration:
    """What `EngineConfig(calibration=...)` takes of an artifact that `load_calibration` has checked.

    Raises:
        InvalidConfigError: A feature that this version does not have.
    """
    fill = artifact.own_fill
    fills = {"accepted": (fill.slope, fill.gain), "rejected": (0.0, 0.0), "not_measured": None}
    count = len(artifact.accepted)
    return Calibration(
        artifact.filter.mean_reversion_per_s,
        artifact.filter.stationary_variance,
        [_feature(accepted) for accepted in artifact.accepted],
        np.asarray(artifact.error_covariance, dtype=np.float64).reshape(count, count),
        cycle_s=artifact.cycle_s,
        own_fill=fills[fill.state],
        volatility_ratio_exponent=artifact.volatility.ratio_exponent,
        informed_volatility=artifact.volatility.informed_volatility,
        tail_factor=artifact.volatility.tail_factor,
        basis_market=artifact.pipeline.basis,
        lead_market=artifact.pipeline.lead,
        volatility=artifact.pipeline.volatility,
        sweep_s=artifact.pipeline.sweep_s,
        hawkes_decay_per_s=artifact.pipeline.hawkes_decay_per_s,
        hawkes_branching_ratio=artifact.pipeline.hawkes_branching_ratio,
    )


def _feature(accepted: AcceptedFeature) -> CalibratedFeature:
    mean = None if accepted.reliability == "none" else accepted.mean_evidence
    return CalibratedFeature(accepted.name, accepted.slope, accepted.gain, accepted.noise_memory_s, mean)
