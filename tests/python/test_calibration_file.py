"""A calibration is read whole or not at all."""

from __future__ import annotations

import json
import math

import msgspec
import pytest

import hypermm
from hypermm.config.calibration import (
    AcceptedFeature,
    AdverseSelectionFit,
    CalibrationArtifact,
    CoefficientVerdict,
    FeatureVerdict,
    FilterFit,
    Gates,
    OwnFill,
    PipelineSettings,
    ReturnOnlyFit,
    VolatilityUse,
)
from hypermm.config.calibration_file import check_use, decode_calibration, encode_calibration, load_calibration
from hypermm.exceptions import InvalidConfigError

DAY_NS = 86_400 * 10**9
CREATED = 1_757_000_000 * 10**9
DATA_END = CREATED - DAY_NS
ETH = hypermm.Instrument("ETH", 4, 25)
TIME = (1 - math.exp(-0.05 * 10)) / 0.05


def judged(estimate, t, value, r2=0.001):
    return CoefficientVerdict(
        state="rejected" if value is None else "accepted",
        reason="why",
        value=value,
        estimate=estimate,
        error=0.1,
        clark_west_t=t,
        incremental_r2=r2,
    )


def artifact(**changes):
    features = tuple(
        AcceptedFeature(
            name=name,
            target="return",
            alpha=alpha,
            slope=alpha / (TIME * 0.5),
            gain=0.5,
            noise_memory_s=3.0,
            fresh_noise_share=0.25,
            reliability="depth",
            mean_evidence=12.0,
        )
        for name, alpha in (("book_imbalance_10bps", 1.5), ("microprice_offset", 0.7))
    )
    verdicts = tuple(
        FeatureVerdict(name=feature.name, accepted=True, reason="passed", target="return", share_known=1.0)
        for feature in features
    )
    made = CalibrationArtifact(
        coin="ETH",
        size_decimals=4,
        created_ns=CREATED,
        data_from_ns=CREATED - 2 * DAY_NS,
        data_to_ns=DATA_END,
        data_hash="0" * 64,
        recordings=("here",),
        cycle_s=0.5,
        horizon_s=10.0,
        independent_windows=8_640,
        provisional=False,
        gates=Gates(),
        filter=FilterFit(
            mean_reversion_per_s=0.05,
            stationary_variance=0.04,
            noise_scale=1.0,
            held_out_nis=1.02,
            log_score=-2.0,
            return_only=ReturnOnlyFit(
                mean_reversion_per_s=0.02, stationary_variance=0.01, volatility=1.0, log_likelihood=-9.0
            ),
        ),
        pipeline=PipelineSettings(
            volatility=1.5, sweep_s=2.0, hawkes_decay_per_s=0.5, hawkes_branching_ratio=0.5, lead="BTC", basis=None
        ),
        accepted=features,
        error_covariance=(0.04, 0.01, 0.01, 0.04),
        own_fill=OwnFill(state="not_measured", reason="3 fills", fills=3),
        hawkes_buy=None,
        hawkes_sell=None,
        volatility=VolatilityUse(
            ratio_exponent=None, informed_volatility=None, log_score_gain=0.0, log_score_error=0.0
        ),
        adverse_selection=AdverseSelectionFit(
            events=400,
            ratio=judged(0.2, 0.1, None),
            tail_factor=judged(0.3, 2.5, 0.3),
        ),
        features=verdicts,
    )
    return msgspec.structs.replace(made, **changes)


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_bytes(encode_calibration(artifact()))
    read = load_calibration(path)
    assert msgspec.structs.replace(read, content_hash="") == artifact()
    assert read.stale_share(DATA_END + 7 * DAY_NS // 2) == pytest.approx(0.5)


@pytest.mark.parametrize("key", ["alpha", "gain", "stationary_variance", "data_hash", "value"])
def test_a_number_changed_by_hand_is_noticed(key):
    # Kills: a hash over some of the fields only.
    text = encode_calibration(artifact()).decode()
    document = json.loads(text)
    place = {
        "alpha": document["accepted"][0],
        "gain": document["accepted"][1],
        "data_hash": document,
        "value": document["adverse_selection"]["tail_factor"],
    }.get(key, document["filter"])
    place[key] = "1" * 64 if key == "data_hash" else place[key] * 1.001
    with pytest.raises(InvalidConfigError, match="changed by hand"):
        decode_calibration(json.dumps(document).encode())


def test_the_same_calibration_made_later_has_the_same_hash():
    # Kills: the clock in the hash, by which the same data made in the same way looked like another calibration.
    hashes = [
        decode_calibration(encode_calibration(artifact(created_ns=made_ns))).content_hash
        for made_ns in (CREATED, CREATED + DAY_NS)
    ]
    assert hashes[0] == hashes[1]
    other = decode_calibration(encode_calibration(artifact(data_hash="1" * 64)))
    assert other.content_hash != hashes[0]


def own_fill(**changes):
    fill = OwnFill(state="accepted", reason="", fills=500, alpha=1.0, slope=1.0 / (TIME * 0.4), gain=0.4)
    return {"own_fill": msgspec.structs.replace(fill, **changes)}


def test_own_fills_that_add_up_are_read():
    made = artifact(**own_fill())
    assert decode_calibration(encode_calibration(made)).own_fill == made.own_fill


def test_reformatted_it_is_still_itself():
    document = json.loads(encode_calibration(artifact()))
    read = decode_calibration(json.dumps(document, indent=7).encode())
    assert msgspec.structs.replace(read, content_hash="") == artifact()


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        (DATA_END + 8 * DAY_NS, "8.0 days before"),
        (CREATED + 7 * DAY_NS, "8.0 days before"),
        (DATA_END - DAY_NS, "-1.0 days before"),
        (DATA_END + 7 * DAY_NS, None),
        (DATA_END, None),
    ],
)
def test_it_lasts_seven_days_from_the_end_of_its_data(when, wanted):
    # Kills: an age counted from when the file was written, however old the recording.
    if wanted is None:
        check_use(artifact(), ETH, when)
        return
    with pytest.raises(InvalidConfigError, match=wanted):
        check_use(artifact(), ETH, when)


def test_another_instrument_is_refused():
    for other in (hypermm.Instrument("BTC", 4, 25), hypermm.Instrument("ETH", 3, 25)):
        with pytest.raises(InvalidConfigError, match="instrument it was made on"):
            check_use(artifact(), other, CREATED)


def test_another_version_is_named_before_its_fields_are_read():
    document = json.loads(encode_calibration(artifact())) | {"version": 1, "something_old": 1}
    with pytest.raises(InvalidConfigError, match=r"version = 1: expected 3"):
        decode_calibration(json.dumps(document).encode())


def changed_first(**changes):
    first, second = artifact().accepted
    return {"accepted": (msgspec.structs.replace(first, **changes), second)}


def changed_filter(**changes):
    return {"filter": msgspec.structs.replace(artifact().filter, **changes)}


def changed_tail(estimate, t, value, r2=0.001):
    changed = msgspec.structs.replace(artifact().adverse_selection, tail_factor=judged(estimate, t, value, r2))
    return {"adverse_selection": changed}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (changed_first(slope=1.0), "slope"),
        (changed_first(gain=0.95), "gain"),
        (changed_first(gain=0.0), "gain"),
        (changed_first(noise_memory_s=601.0), "noise_memory_s"),
        (changed_first(fresh_noise_share=1.0), "fresh_noise_share"),
        (changed_first(fresh_noise_share=-0.1), "fresh_noise_share"),
        (changed_first(alpha=float("nan")), "alpha"),
        (changed_first(mean_evidence=0.0), "mean_evidence"),
        (changed_first(name="microprice_offset"), "accepted"),
        ({"error_covariance": (0.04, 0.01, 0.01)}, "error_covariance"),
        ({"error_covariance": (0.04, 0.04, 0.04, 0.04)}, "error_covariance"),
        ({"error_covariance": (0.04, 0.01, 0.02, 0.04)}, "error_covariance"),
        ({"error_covariance": (0.04, float("inf"), 0.01, 0.04)}, "error_covariance"),
        ({"error_covariance": (0.04, 0.01, 0.01, 0.039)}, "error_covariance"),
        (changed_filter(noise_scale=1.01), "error_covariance"),
        (changed_filter(noise_scale=0.99), "noise_scale"),
        (changed_filter(held_out_nis=float("nan")), "held_out_nis"),
        (own_fill(alpha=-1.0, slope=-1.0 / (TIME * 0.4)), "own_fill.alpha"),
        (own_fill(slope=1.0), "own_fill.slope"),
        (own_fill(gain=0.95), "own_fill.gain"),
        (changed_tail(5.1, 2.5, 5.1), "tail_factor.value"),
        (changed_tail(-0.1, 2.5, -0.1), "tail_factor.value"),
        (changed_tail(0.3, 1.6, 0.3), "tail_factor.value"),
        (changed_tail(0.3, 2.5, 0.3, r2=-0.001), "tail_factor.value"),
        (changed_tail(0.3, 2.5, None), "tail_factor.value"),
        (changed_tail(float("nan"), 0.1, None), "tail_factor.estimate"),
        ({"features": ()}, "features"),
        ({"horizon_s": 20.0}, "horizon_s"),
        ({"data_to_ns": CREATED - 3 * DAY_NS}, "data_to_ns"),
        ({"created_ns": DATA_END - 1}, "created_ns"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(changes, field):
    with pytest.raises(InvalidConfigError) as refused:
        encode_calibration(artifact(**changes))
    assert field in refused.value.field


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"kind": "hypermm.calibration", "version": 3}', b"\xff\xfe"])
def test_what_is_no_calibration_is_refused(text):
    with pytest.raises(InvalidConfigError):
        decode_calibration(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidConfigError, match=r"nowhere\.json"):
        load_calibration(tmp_path / "nowhere.json")
