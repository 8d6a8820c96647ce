"""Reads, checks and writes the calibration artifact; its shape is `hypermm.config.calibration`."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hypermm.config.calibration import (
    AGE_LIMIT_NS,
    EIGENVALUE_FLOOR,
    HORIZON_S,
    MAX_ADVERSE_SELECTION_RATIO,
    MAX_FRESH_SHARE,
    MAX_GAIN,
    MAX_MEMORY_S,
    MAX_TAIL_FACTOR,
    MEAN_REVERSION_RANGE,
    VERSION,
    CalibrationArtifact,
)
from hypermm.exceptions import InvalidConfigError

if TYPE_CHECKING:
    from os import PathLike

    from hypermm import Instrument

__all__ = ["check_use", "decode_calibration", "encode_calibration", "load_calibration"]


def encode_calibration(artifact: CalibrationArtifact) -> bytes:
    """The artifact as an indented JSON file, its `content_hash` filled in.

    Raises:
        InvalidConfigError: It would be refused when read.
    """
    sealed = msgspec.structs.replace(artifact, content_hash=_hash_of(artifact))
    _check(sealed, "calibration")
    return msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"


def load_calibration(path: str | PathLike[str]) -> CalibrationArtifact:
    """Reads a calibration and checks all of it but what it is used for, which `check_use` does.

    Args:
        path: File that `hypermm calibrate` wrote.

    Raises:
        InvalidConfigError: No such file, no calibration, another version, changed by hand, or numbers that are not
            finite or contradict each other.
    """
    name = Path(path).name
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise InvalidConfigError(
            field=str(path), value=error.strerror, expected="a file that hypermm calibrate wrote"
        ) from error
    return decode_calibration(text, name=name)


def decode_calibration(text: bytes, *, name: str = "calibration") -> CalibrationArtifact:
    """As `load_calibration`, of bytes already read."""
    expected = "a file that hypermm calibrate wrote"
    try:
        head = msgspec.json.decode(text, type=dict[str, object])
        if head.get("kind") == "hypermm.calibration" and head.get("version") != VERSION:
            raise InvalidConfigError(
                field=f"{name}: version",
                value=head.get("version"),
                expected=str(VERSION),
                hint="make it anew: hypermm calibrate",
            )
        artifact = msgspec.json.decode(text, type=CalibrationArtifact)
    except msgspec.DecodeError as error:
        raise InvalidConfigError(field=name, value=str(error), expected=expected) from error
    if artifact.content_hash != _hash_of(artifact):
        raise InvalidConfigError(
            field=f"{name}: content_hash",
            value=artifact.content_hash[:16],
            expected=f"{_hash_of(artifact)[:16]}, the hash of what stands there",
            hint="it was changed by hand; make it anew: hypermm calibrate",
        )
    _check(artifact, name)
    return artifact


def check_use(artifact: CalibrationArtifact, instrument: Instrument, now_ns: int) -> None:
    """Refuses a calibration of another instrument, or one whose data are not of the last 7 days.

    Args:
        artifact: The calibration.
        instrument: What it is to be used for.
        now_ns: When it is to be used, ns since 1970.

    Raises:
        InvalidConfigError: Either.
    """
    if (artifact.coin, artifact.size_decimals) != (instrument.coin, instrument.size_decimals):
        raise InvalidConfigError(
            field="calibration.coin",
            value=f"{artifact.coin} with {artifact.size_decimals} size decimals",
            expected=f"{instrument.coin} with {instrument.size_decimals}",
            hint="a calibration holds for the instrument it was made on",
        )
    age_ns = now_ns - artifact.data_to_ns
    if not 0 <= age_ns <= AGE_LIMIT_NS:
        raise InvalidConfigError(
            field="calibration.data_to_ns",
            value=f"data that end {age_ns / 86_400e9:.1f} days before their use",
            expected="0 to 7 days",
            hint="make it anew on recent data: hypermm calibrate",
        )


def _hash_of(artifact: CalibrationArtifact) -> str:
    # Not of the clock: what was made of the same data in the same way has the same hash.
    content = msgspec.structs.replace(artifact, content_hash="", created_ns=0)
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def _check(artifact: CalibrationArtifact, name: str) -> None:
    def need(*, met: bool, field: str, value: object, expected: str) -> None:
        if not met:
            raise InvalidConfigError(field=f"{name}: {field}", value=value, expected=expected)

    for field, value in _numbers(msgspec.to_builtins(artifact), ""):
        need(met=math.isfinite(value), field=field, value=value, expected="a finite number")
    need(met=artifact.horizon_s == HORIZON_S, field="horizon_s", value=artifact.horizon_s, expected="10")
    need(met=artifact.cycle_s > 0, field="cycle_s", value=artifact.cycle_s, expected="above 0")
    span = (artifact.data_from_ns, artifact.data_to_ns)
    need(met=span[0] < span[1], field="data_to_ns", value=span[1], expected=f"after {span[0]}")
    made = artifact.created_ns
    need(met=made >= span[1], field="created_ns", value=made, expected=f"{span[1]}, the end of its data, or later")
    kappa, variance = artifact.filter.mean_reversion_per_s, artifact.filter.stationary_variance
    low, high = MEAN_REVERSION_RANGE
    need(met=low <= kappa <= high, field="filter.mean_reversion_per_s", value=kappa, expected=f"{low} to {high}")
    need(met=variance > 0, field="filter.stationary_variance", value=variance, expected="above 0")
    scale = artifact.filter.noise_scale
    need(met=scale >= 1, field="filter.noise_scale", value=scale, expected="1 or more")
    pipeline = artifact.pipeline
    for field in ("volatility", "sweep_s", "hawkes_decay_per_s"):
        number = getattr(pipeline, field)
        need(met=number > 0, field=f"pipeline.{field}", value=number, expected="above 0")
    fits = {"buy": artifact.hawkes_buy, "sell": artifact.hawkes_sell}
    ratios = {f"hawkes_{side}": fit.branching_ratio for side, fit in fits.items() if fit is not None}
    for field, ratio in (ratios | {"pipeline.hawkes": pipeline.hawkes_branching_ratio}).items():
        need(met=0 <= ratio < 1, field=f"{field}.branching_ratio", value=ratio, expected="0 or more and below 1")
    names = [feature.name for feature in artifact.accepted]
    need(met=len(set(names)) == len(names), field="accepted", value=", ".join(names), expected="each name once")
    passed = {verdict.name for verdict in artifact.features if verdict.accepted}
    need(met=passed == set(names), field="features", value=", ".join(sorted(passed)), expected=f"the accepted: {names}")
    factor = (1.0 - math.exp(-kappa * HORIZON_S)) / kappa
    for feature in artifact.accepted:
        at = f"accepted.{feature.name}"
        need(met=0 < feature.gain <= MAX_GAIN, field=f"{at}.gain", value=feature.gain, expected="above 0, at most 0.9")
        memory = feature.noise_memory_s
        need(met=0 <= memory <= MAX_MEMORY_S, field=f"{at}.noise_memory_s", value=memory, expected="0 to 600")
        fresh = feature.fresh_noise_share
        need(met=0 <= fresh <= MAX_FRESH_SHARE, field=f"{at}.fresh_noise_share", value=fresh, expected="0 to 0.99")
        slope = feature.alpha / (factor * feature.gain)
        close = math.isclose(slope, feature.slope, rel_tol=1e-9)
        need(met=close, field=f"{at}.slope", value=feature.slope, expected=f"alpha/(T·gain) = {slope:g}")
        evidence = feature.mean_evidence
        need(met=evidence > 0, field=f"{at}.mean_evidence", value=evidence, expected="above 0")
    own = artifact.own_fill
    if own.state == "accepted":
        need(
            met=own.alpha > 0, field="own_fill.alpha", value=own.alpha, expected="above 0: scores are bullish-positive"
        )
        need(met=0 < own.gain <= MAX_GAIN, field="own_fill.gain", value=own.gain, expected="above 0, at most 0.9")
        slope = own.alpha / (factor * own.gain)
        close = math.isclose(slope, own.slope, rel_tol=1e-9)
        need(met=close, field="own_fill.slope", value=own.slope, expected=f"alpha/(T·gain) = {slope:g}")
    charge, least = artifact.adverse_selection, artifact.gates.clark_west_t
    for field, one, most in (
        ("ratio", charge.ratio, MAX_ADVERSE_SELECTION_RATIO),
        ("tail_factor", charge.tail_factor, MAX_TAIL_FACTOR),
    ):
        at = f"adverse_selection.{field}"
        t, r2 = one.clark_west_t, one.incremental_r2
        passed_gate = t is not None and r2 is not None and t > least and r2 > 0
        stated = (one.state == "accepted", one.value is not None, passed_gate)
        need(met=len(set(stated)) == 1, field=f"{at}.value", value=one.value, expected="a number where it passed only")
        value = 0.0 if one.value is None else one.value
        need(met=0 <= value <= most, field=f"{at}.value", value=value, expected=f"0 to {most:g}")
    _check_covariance(artifact, name)


def _check_covariance(artifact: CalibrationArtifact, name: str) -> None:
    count = len(artifact.accepted)
    flat = np.array(artifact.error_covariance, float)
    if flat.size != count * count:
        raise InvalidConfigError(
            field=f"{name}: error_covariance",
            value=f"{flat.size} numbers",
            expected=f"{count * count}: {count} accepted features squared",
        )
    if not count:
        return
    matrix = flat.reshape(count, count)
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2.0)
    symmetric = np.allclose(matrix, matrix.T, rtol=1e-9, atol=0.0)
    gain = np.array([feature.gain for feature in artifact.accepted])
    least = artifact.filter.noise_scale * artifact.filter.stationary_variance * (1.0 - gain) / gain
    if not (np.diag(matrix) >= (1.0 - 1e-9) * least).all():
        raise InvalidConfigError(
            field=f"{name}: error_covariance",
            value=f"diagonal {np.diag(matrix)}",
            expected=f"noise_scale·P∞(1 − K)/K or more: {least}",
        )
    if not symmetric or values[0] < 0.5 * EIGENVALUE_FLOOR * values[-1] or values[-1] <= 0:
        raise InvalidConfigError(
            field=f"{name}: error_covariance",
            value=f"eigenvalues {values[0]:.3g} to {values[-1]:.3g}",
            expected="a symmetric positive definite matrix, its least eigenvalue 1e-3 of the largest",
        )


def _numbers(value: object, path: str) -> list[tuple[str, float]]:
    """Every float of nested plain data with the path to it."""
    if isinstance(value, float):
        return [(path, value)]
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in _numbers(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, (list, tuple)):
        return [item for place, inner in enumerate(value) for item in _numbers(inner, f"{path}[{place}]")]
    return []
