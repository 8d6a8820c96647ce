"""What a calibration is made of: its recordings in order of time, its grid, its fills, and what volatility may say."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import hypermm
from hypermm.cli import root
from hypermm.cli.calibrate import _leader
from hypermm.config.calibration import AcceptedFeature, Gates, OwnFill
from hypermm.exceptions import InvalidInputError
from hypermm.recording import Recording
from hypermm.recording.write import write_recording
from hypermm.research.calibration import calibrate as calibration
from hypermm.research.calibration.calibrate import Source, calibrate, pipeline_settings, samples_of
from hypermm.research.calibration.fills import FillScores, fill_scores, fit_own_fills
from hypermm.research.calibration.folds import walk_forward
from hypermm.research.calibration.held_out_fills import validate_own_fills
from hypermm.research.calibration.noise import Moments, explained_bps2, map_features
from hypermm.research.calibration.regression import coefficient, mean_evidence, noise_factors
from hypermm.research.calibration.sample import concatenated, from_columns, make_sample
from hypermm.research.calibration.volatility import fit_volatility

ETH = hypermm.Instrument("ETH", 4, 25)
START = 1_757_000_000_000_000_000
SECOND = 10**9


def recorded(seed, duration_s, later_s, coin="ETH"):
    columns = hypermm.synthetic_session(seed, duration_s)
    shifted = {
        name: values + round(later_s * SECOND) if name.endswith("_ns") else values for name, values in columns.items()
    }
    return Recording.from_columns(coin, shifted)


def test_the_order_of_sources_and_a_last_one_too_short_change_nothing():
    # Kills: the replay of the cost test on rows it was fitted to, an index beyond a recording without a 10 s target.
    first, second = Source("a", recorded(1, 700.0, 0.0)), Source("b", recorded(2, 700.0, 1_000.0))
    short = Source("c", recorded(3, 8.0, 2_000.0))
    made = [
        calibrate(sources, ETH, created_ns=2 * START, gates=Gates(r2=0.9)).artifact
        for sources in ((first, second, short), (short, second, first))
    ]
    assert made[0] == made[1]
    assert made[0].recordings == ("a", "b", "c")


def test_sources_with_other_markets_beside_them_are_refused(tmp_path):
    # Kills: the settings of the first one for all, a default leader that some of the folders do not hold.
    ours, btc = recorded(1, 60.0, 0.0), recorded(2, 60.0, 0.0, "BTC")
    for field in ("lead", "basis"):
        with pytest.raises(InvalidInputError, match="same market beside every recording") as refused:
            pipeline_settings([Source("a", ours, **{field: btc}), Source("b", ours)], [])
        assert (refused.value.field, refused.value.value) == (field, "BTC, none")
    assert pipeline_settings([Source("a", ours, btc)] * 2, []).lead == "BTC"
    both, alone = str(tmp_path / "both"), str(tmp_path / "alone")
    for recording, folder in ((ours, both), (btc, both), (ours, alone)):
        write_recording(recording, folder)
    assert _leader((both,), "ETH") == "BTC"
    assert _leader((both, alone), "ETH") is None
    assert _leader((both,), "BTC") is None


@pytest.mark.parametrize("cycle_ms", [300, 333, 7_000])
def test_a_grid_that_does_not_divide_the_horizon_is_refused(cycle_ms):
    # Kills: a horizon of 9.9 s called 10 s.
    settings = pipeline_settings([Source("a", recorded(1, 60.0, 0.0))], [])
    with pytest.raises(InvalidInputError, match="divides 10 s"):
        make_sample(recorded(1, 60.0, 0.0), ETH, settings, cycle_ns=cycle_ms * 1_000_000)
    sample = make_sample(recorded(1, 60.0, 0.0), ETH, settings, cycle_ns=400_000_000)
    assert sample.lags * sample.step_s == pytest.approx(10.0, rel=1e-12)


def test_a_folders_own_instruments_file_is_read(tmp_path, capsys):
    # Kills: facts of the coin that backtest knows and calibrate does not.
    write_recording(recorded(1, 120.0, 0.0, "NEWCOIN"), tmp_path)
    (tmp_path / "instruments.toml").write_text(
        '[[instrument]]\ncoin = "NEWCOIN"\nsize_decimals = 4\nmax_leverage = 5\nmin_notional = 10.0\n'
        'funding_interval_s = 3600.0\nsource = "test"\n'
    )
    out = tmp_path / "c.json"
    assert root.run(["calibrate", "--data", str(tmp_path), "--coin", "NEWCOIN", "--out", str(out)]) == 2
    assert "15 minutes" in capsys.readouterr().err


def test_a_feature_without_a_value_in_a_fold_explains_nothing_there():
    # Kills: a singular matrix where a recording starts without the feature.
    product, one = np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([[2.0]])
    rest = {"lag_s": 5.0, "lagged": np.zeros(2), "mean_evidence": np.ones(2)}
    rest |= {"adjacent": np.zeros(2), "spacing_s": np.full(2, 0.5), "cycle_s": 0.5}
    both = explained_bps2(np.array([3.0, 0.0]), Moments(product=product, **rest))
    assert both == explained_bps2(np.array([3.0]), Moments(product=one, **rest)) > 0.0


def two_segments():
    rows = 200
    columns = {"one": np.zeros(rows)}
    parts = [
        from_columns(START + later + np.arange(rows) * SECOND // 2, np.full(rows, 100.0), columns)
        for later in (0, 1_000 * SECOND)
    ]
    return concatenated(parts)


def test_a_fill_is_held_against_the_next_cycle_of_its_own_recording():
    # Kills: a fill after the last row held against a return hours later, in another recording.
    sample = two_segments()
    times = START + np.array([10 * SECOND + 1, 101 * SECOND, 999 * SECOND + 9 * SECOND // 10, 1_010 * SECOND])
    fills = {"time_ns": times, "side": np.ones(4), "mid_at_fill": np.full(4, 100.0), "price": np.full(4, 99.99)}
    residual = np.arange(len(sample), dtype=float)
    first, second = (fill_scores(fills, sample, residual, segment) for segment in (0, 1))
    assert first.time_ns.tolist() == [START + 10 * SECOND + SECOND // 2]
    assert first.residual_bps.tolist() == [21.0]
    assert second.time_ns.tolist() == [START + 1_000 * SECOND, START + 1_010 * SECOND]
    assert second.residual_bps.tolist() == [200.0, 220.0]


def test_fills_are_judged_on_what_ended_before():
    # Kills: a train fill whose return overlaps the test's.
    rng = np.random.default_rng(1)
    score = rng.standard_normal(400)
    residual = 2.0 * score + 0.1 * rng.standard_normal(400)
    for span_s, state in ((4_000.0, "accepted"), (15.0, "rejected")):
        times = START + np.round(np.linspace(0.0, span_s, 400) * SECOND).astype(np.int64)
        assert fit_own_fills(FillScores(times, score, residual), 0.05, 1.0, Gates()).state == state


@pytest.mark.parametrize(("alpha", "state", "reason"), [(0.8, "accepted", "passed"), (-0.8, "rejected", "come back")])
def test_fills_after_which_the_price_comes_back_are_refused(alpha, state, reason):
    # Kills: a gate on |α|; what the price gives back after a fill is no adverse selection.
    rng = np.random.default_rng(0)
    times, score = START + np.arange(600) * 40 * SECOND, rng.standard_normal(600)
    own = fit_own_fills(FillScores(times, score, alpha * score + rng.standard_normal(600)), 0.02, 0.01, Gates())
    assert (own.state, reason in own.reason) == (state, True)
    assert own.r2 > 0.2


def volatile_sample(level, exponent):
    """Targets of their own each: the σ the engine knows is too low by `level` and by ratio^exponent."""
    rng = np.random.default_rng(3)
    rows = 6_000
    ratio = np.exp(0.5 * rng.standard_normal(rows))
    sample = from_columns(
        START + np.arange(rows) * SECOND // 2,
        np.full(rows, 100.0),
        {"volatility_ratio": ratio, "flow_count_120s": rng.uniform(-1, 1, rows)},
        {"flow_count_120s": np.full(rows, 50.0)},
    )
    sigma = level * np.maximum(1.0, ratio) ** exponent
    return replace(
        sample, volatility=np.ones(rows), target_bps=np.sqrt(10.0) * sigma * rng.standard_normal(rows)
    ), ratio


def test_volatility_features_are_fitted_at_the_level_the_engine_has():
    # Kills: ν and c_I beside a free level that the engine does not get.
    sample, ratio = volatile_sample(1.3, 0.4)
    found = fit_volatility(sample, tuple(walk_forward(sample)), Gates())
    assert found.log_score_gain > 3 * found.log_score_error
    flow = np.abs(sample.column("flow_count_120s"))
    # 50 events in 120 s are 0.21 a second and side: 2·58·120/(4/0.21 + 120) effective ones.
    noise = np.sqrt(2 / (np.pi * 100.0))
    informed = np.maximum(0.0, flow - noise) / (1 - noise)

    def score(exponent, share):
        variance = 10.0 * np.maximum(1.0, ratio) ** (2 * exponent) * (1 + share * informed)
        return float(np.mean(-0.5 * np.log(variance) - 0.5 * sample.target_bps**2 / variance))

    best = max(score(exponent, share) for exponent in np.linspace(0, 1, 41) for share in np.linspace(0, 5, 41))
    assert score(found.ratio_exponent, found.informed_volatility) > best - 1e-4
    assert score(found.ratio_exponent, found.informed_volatility) > score(0.4, 0.0) + 0.01


def test_volatility_features_that_say_nothing_are_out():
    # Kills: None, the config's default, for what was measured and rejected; a level the features are credited with.
    sample, _ = volatile_sample(1.0, 0.0)
    found = fit_volatility(sample, tuple(walk_forward(sample)), Gates())
    assert (found.ratio_exponent, found.informed_volatility) == (0.0, 0.0)
    bare = from_columns(sample.time_ns, sample.mid_price, {})
    nothing = fit_volatility(bare, tuple(walk_forward(bare)), Gates())
    assert (nothing.ratio_exponent, nothing.informed_volatility) == (None, None)
    assert msgspec.to_builtins(found)["ratio_exponent"] == 0.0


def test_a_replay_hears_of_a_trend_what_the_gate_fits(monkeypatch):
    # Kills: a coefficient of the return for a feature that is in by what the price-only filter leaves.
    source = Source("a", recorded(5, 1_500.0, 0.0))
    sample = samples_of([source], ETH, pipeline_settings([source], [None, None]), 500_000_000)
    told, fitted = {}, []

    def noted(alpha, *rest):
        fitted.extend(alpha)
        return map_features(alpha, *rest)

    monkeypatch.setattr(calibration, "map_features", noted)
    test = calibration._ReplayTest(sample, [source.recording], ETH)
    fold = walk_forward(sample)[-1]
    wanted = {"trend_return_60s": calibration.residual_of_fold(sample, fold), "microprice_offset": sample.target_bps}
    for name, target in wanted.items():
        test((name,))
        place = sample.names.index(name)
        weight = 1.0 / noise_factors(sample, mean_evidence(sample, fold.train), (place,))[:, 0]
        told[name] = coefficient(sample.values[fold.train, place], target[fold.train], weight[fold.train])
    assert fitted == pytest.approx(list(told.values()), rel=1e-12)
    # The two are not the same here, so that the first is no accident.
    assert np.abs(wanted["trend_return_60s"] - sample.target_bps)[fold.train].max() > 1e-3


def test_own_fills_are_judged_beyond_the_price_and_beyond_the_features():
    # Kills: own fills that no validation looks at, an α that is fitted again, features left out of the second figure.
    source = Source("a", recorded(1, 1_500.0, 0.0))
    made = calibrate([source], ETH, created_ns=2 * START, gates=Gates(r2=0.9), with_replay=False).artifact
    sample = samples_of([source], ETH, made.pipeline, 500_000_000)

    def judged(alpha, artifact=made):
        own = OwnFill(state="accepted", reason="", fills=500, alpha=alpha)
        return validate_own_fills(msgspec.structs.replace(artifact, own_fill=own), sample, [source.recording], ETH)

    first, second, third = judged(1.0), judged(2.0), judged(3.0)
    assert first["fills"] > 30
    assert first["r2_price_only"] == first["r2_whole_filter"]
    # R² of α·s is a parabola through 0 in α: α is taken as it is.
    at = [one["r2_price_only"] for one in (first, second, third)]
    assert at[2] == pytest.approx(3.0 * (at[1] - at[0]), abs=1e-12)
    assert len(set(at)) == 3
    seen = next(name for name in sample.names if name.startswith("book_imbalance"))
    feature = AcceptedFeature(
        name=seen,
        target="return",
        alpha=1.0,
        slope=1.0,
        gain=0.5,
        noise_memory_s=3.0,
        fresh_noise_share=0.0,
        reliability="none",
        mean_evidence=1.0,
    )
    with_one = msgspec.structs.replace(made, accepted=(feature,), error_covariance=(0.04,))
    other = judged(1.0, with_one)
    assert other["r2_price_only"] == first["r2_price_only"]
    assert other["r2_whole_filter"] != first["r2_whole_filter"]
    refused = OwnFill(state="rejected", reason="", fills=500)
    said = validate_own_fills(msgspec.structs.replace(made, own_fill=refused), sample, [source.recording], ETH)
    assert (said["state"], said["r2_price_only"]) == ("rejected", None)
