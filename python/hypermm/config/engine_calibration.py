"""From the artifact of a calibration to the numbers an engine is made with."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypermm._core import CalibratedFeature, Calibration
from hypermm.config.calibration import HORIZON_S
from hypermm.config.calibration_file import check_use, load_calibration

if TYPE_CHECKING:
    from hypermm import Instrument
    from hypermm.config.calibration import AcceptedFeature, CalibrationArtifact

__all__ = ["RecordedUse", "engine_calibration", "is_in_sample", "recorded_use"]


def engine_calibration(artifact: CalibrationArtifact, instrument: Instrument, now_ns: int) -> Calibration:
    """What `EngineConfig(calibration=...)` takes of an artifact that `load_calibration` has read.

    Warns with a `UserWarning` when the data are older than half of what is refused.

    Args:
        artifact: The calibration.
        instrument: What it is to be used for.
        now_ns: The present, ns since 1970: live, `time.time_ns()`.

    Raises:
        InvalidConfigError: Made on another instrument, on data that end more than 7 days before `now_ns` or after it,
            or a feature that this version does not have.
    """
    check_use(artifact, instrument, now_ns)
    if warning := artifact.age_warning(now_ns):
        warnings.warn(warning, UserWarning, stacklevel=2)
    return _numbers(artifact)


class RecordedUse(NamedTuple):
    """A calibration used on a market of the past.

    Attributes:
        calibration: For the engine.
        artifact: What it was made from.
        in_sample: Whether the data it was fitted to overlap what is judged, or come after its start.
        notes: What a user must be told, each one sentence.
    """

    calibration: Calibration
    artifact: CalibrationArtifact
    in_sample: bool
    notes: tuple[str, ...]


def recorded_use(path: str, instrument: Instrument, judged_from_ns: int | None) -> RecordedUse | None:
    """The calibration of a settings file for a recorded market; None for an empty path.

    Args:
        path: File that `hypermm calibrate` wrote, or "".
        instrument: What it is to be used for.
        judged_from_ns: Start of what is judged, at which the age is taken; None for a synthetic market, which has no
            date.

    Raises:
        InvalidConfigError: As of `load_calibration` and `engine_calibration`; data that end after the start are no
            error but `in_sample`.
    """
    if not path:
        return None
    artifact = load_calibration(path)
    start_ns = artifact.data_to_ns if judged_from_ns is None else judged_from_ns
    now_ns = max(start_ns, artifact.data_to_ns)
    check_use(artifact, instrument, now_ns)
    in_sample = judged_from_ns is not None and is_in_sample(artifact, start_ns)
    notes = [artifact.age_warning(now_ns)]
    if in_sample:
        notes.append(
            "in-sample: the data the calibration was fitted to overlap what is judged here or come after its start"
        )
    return RecordedUse(_numbers(artifact), artifact, in_sample, tuple(note for note in notes if note))


def is_in_sample(artifact: CalibrationArtifact, start_ns: int) -> bool:
    """Whether what begins at `start_ns` overlaps the data of a calibration and a horizon beyond, or comes before."""
    return start_ns <= artifact.data_to_ns + round(HORIZON_S * 1e9)


def _numbers(artifact: CalibrationArtifact) -> Calibration:
    fill = artifact.own_fill
    fills = {"accepted": (fill.slope, fill.gain), "rejected": (0.0, 0.0), "not_measured": None}
    count = len(artifact.accepted)
    return Calibration(
        artifact.filter.mean_reversion_per_s,
        artifact.filter.stationary_variance,
        [_feature(accepted) for accepted in artifact.accepted],
        np.asarray(artifact.error_covariance, dtype=np.float64).reshape(count, count),
        coin=artifact.coin,
        size_decimals=artifact.size_decimals,
        cycle_s=artifact.cycle_s,
        fresh_noise_share=[accepted.fresh_noise_share for accepted in artifact.accepted],
        own_fill=fills[fill.state],
        volatility_ratio_exponent=artifact.volatility.ratio_exponent,
        informed_volatility=artifact.volatility.informed_volatility,
        adverse_selection_ratio=artifact.adverse_selection.ratio.value,
        tail_factor=artifact.adverse_selection.tail_factor.value,
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
