"""Calibration finds what was planted, and nothing else; its numbers mean what section 8 says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import hypermm
from hypermm.config.calibration import Gates
from hypermm.exceptions import InvalidInputError
from hypermm.research.calibration.calibrate import calibrate_sample
from hypermm.research.calibration.drift import (
    Filtered,
    diffusive_volatility,
    displacement_variance,
    filter_sample,
    innovation_scale,
    log_score,
)
from hypermm.research.calibration.folds import walk_forward
from hypermm.research.calibration.gates import CostTest, select
from hypermm.research.calibration.hawkes import fit_hawkes
from hypermm.research.calibration.noise import (
    MEMORY_RULES,
    MemoryRule,
    Moments,
    expected_time,
    map_features,
    moments_of,
)
from hypermm.research.calibration.regression import coefficient_error, mean_error, mean_evidence, noise_factors
from hypermm.research.calibration.replay import fused_features
from hypermm.research.calibration.sample import concatenated, forward_return, from_columns
from oracles.planted import ou, planted_market

COST = CostTest(needed_bps=0.0)


def sample_of(market, **values):
    return from_columns(market.time_ns, market.mid_price, market.values | values, prior_volatility=1.0)


def accepted(fitted):
    return [feature.name for feature in fitted.accepted]


def test_what_was_planted_is_found_and_what_was_not_is_out():
    # Kills: a gate that lets everything or nothing pass, an α of the wrong scale.
    market = planted_market(1, hours=3.0, sights=((0.5, 10.0, 3.0),), decoys=(0.0, 20.0, 120.0))
    fitted = calibrate_sample(sample_of(market), Gates(), COST)
    assert accepted(fitted) == ["sight_0"]
    (feature,), verdict = fitted.accepted, fitted.selection.verdicts[0]
    # α = T·K/scale: the expected displacement per unit of the column.
    true = (1 - np.exp(-0.05 * 10)) / 0.05 * 0.5 / 3.0
    assert abs(feature.alpha - true) < 4 * verdict.alpha_error
    assert verdict.r2 > 0.03
    print(f"α {feature.alpha:.3f} ± {verdict.alpha_error:.3f}, planted {true:.3f}; R² {verdict.r2:.3f}")


def test_one_feature_alone_reproduces_its_regression_forecast():
    # Kills: K without the square, P∞ or T left out of the mapping.
    market = planted_market(3, hours=1.0, sights=((0.4, 10.0, 2.0),))
    sample = sample_of(market)
    moments = moments_of(sample, (0,), np.isfinite(sample.target_bps))
    mapping = map_features(np.array([1.7]), moments, 0.03, 0.9)
    for value in (0.3, -2.0, 11.0):
        drift = hypermm.DriftFilter(0.03, float(np.sqrt(0.9)))
        drift.observe_features(1_757_000_000_000_000_000, mapping.slope * value, mapping.covariance, mapping.memory_s)
        assert abs(drift.displacement(10.0) - 1.7 * value) < 1e-9


def test_a_target_shifted_by_its_horizon_has_no_forecast():
    # Kills: a look-ahead anywhere between feature and target.
    rng = np.random.default_rng(5)
    rows, lags = 28_800, 20
    shocks = rng.standard_normal(rows)
    mid = 100 * np.exp(np.concatenate([[0.0], np.cumsum(0.5 * shocks + rng.standard_normal(rows))[:-1]]) * 1e-4)
    # All of the next ten seconds' shocks and nothing of what comes before or after them.
    feature = np.convolve(np.append(shocks, np.zeros(lags - 1)), np.ones(lags), "valid")
    time_ns = 1_757_000_000_000_000_000 + np.arange(rows, dtype=np.int64) * 500_000_000
    sample = from_columns(time_ns, mid, {"signal": feature}, prior_volatility=1.4)
    for shift, low, high in ((0, 0.15, 0.25), (lags, -0.01, 0.01), (-lags, -0.01, 0.01)):
        target = np.roll(sample.target_bps, -shift)
        (verdict,) = select(replace(sample, target_bps=target), target, Gates(), COST).verdicts
        print(f"shift {shift * 0.5:+.0f} s: R² {verdict.r2:.4f}")
        assert low < verdict.r2 < high
        assert verdict.accepted == (shift == 0)


def test_folds_are_purged_and_embargoed():
    # Kills: a train row whose target reaches into the test or its embargo, a test row trained on.
    sample = sample_of(planted_market(7, hours=1.0))
    last = -1
    for fold in walk_forward(sample):
        first_test = sample.time_ns[fold.test].min()
        assert sample.time_ns[fold.train].max() + 20_000_000_000 <= first_test
        assert first_test > last
        last = sample.time_ns[fold.test].max()
        assert not (fold.train & fold.test).any()
    assert fold.test.sum() > 500


def test_errors_are_those_of_statsmodels():
    # Kills: other lags, other weights, a variance in place of a deviation.
    import statsmodels.api as sm
    from statsmodels.stats.sandwich_covariance import S_hac_simple

    rng = np.random.default_rng(11)
    feature, weight = rng.standard_normal(800).cumsum(), rng.uniform(0.25, 4.0, 800)
    target = 0.1 * feature + np.convolve(rng.standard_normal(819), np.ones(20), "valid")
    fit = sm.WLS(target, feature, weights=weight).fit(cov_type="HAC", cov_kwds={"maxlags": 20, "use_correction": False})
    residual = weight * feature * (target - feature * fit.params[0])
    # The scores have mean 0 by construction, so that centering them changes nothing.
    assert coefficient_error(feature, target, weight, 20) == pytest.approx(fit.bse[0], rel=1e-9)
    centered = (residual - residual.mean())[:, None]
    wanted = np.sqrt(S_hac_simple(centered, nlags=20).item()) / len(residual)
    assert mean_error(residual, 20) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("horizon_s", [10.0, 30.0])
def test_displacement_variance_is_the_filters(horizon_s):
    drift = hypermm.DriftFilter(0.07, 0.3)
    ours = displacement_variance(np.array([0.09]), np.array([1.3]), 0.07, 0.09, horizon_s)
    assert ours[0] == pytest.approx(drift.displacement_variance(horizon_s, 1.3), rel=1e-12)


def test_fused_features_can_be_told_to_any_filter():
    # Kills: R̄ or z̄ mixed with the prior they were taken from.
    market = planted_market(13, hours=0.3, sights=((0.4, 10.0, 1.0), (0.2, 3.0, 1.0)))
    sample = sample_of(market)
    places = (0, 1)
    mapping = map_features(np.array([3.0, 1.5]), moments_of(sample, places, np.isfinite(sample.target_bps)), 0.05, 0.03)
    drift, variance = fused_features(sample, places, mapping, 0.05, 0.03)
    whole = filter_sample(sample, places, mapping, 0.05, 0.03, with_price=False)
    told = hypermm.DriftFilter(0.05, float(np.sqrt(0.03)))
    told.observe_many(sample.time_ns, drift, variance)
    assert told.mean == pytest.approx(whole.mean[-1], rel=1e-9)
    assert told.variance == pytest.approx(whole.variance[-1], rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5), st.integers(0, 2**31), st.floats(0.005, 0.2), st.floats(1.0, 30.0), st.sampled_from(MEMORY_RULES)
)
def test_any_moments_make_a_covariance_the_filter_takes(count, seed, kappa, ratio, rule):
    # Kills: noises of unlike memories whose whitened matrix is not positive definite.
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((count, count + 1)) * 10 ** rng.uniform(-2, 2, count)[:, None]
    product = root @ root.T / count
    moments = Moments(
        product=product,
        lagged=np.diag(product) * rng.uniform(-0.5, 1.0, count),
        lag_s=5.0,
        adjacent=np.diag(product) * rng.uniform(-0.5, 1.0, count),
        spacing_s=rng.choice([0.5, 1.0, 2.5], count),
        cycle_s=0.5,
        mean_evidence=np.ones(count),
    )
    alpha = rng.standard_normal(count)
    stationary = ratio * float((alpha**2 * np.diag(product)).max()) / expected_time(kappa) ** 2
    mapping = map_features(alpha, moments, kappa, stationary, rule)
    assert ((mapping.memory_s >= 0) & (mapping.memory_s <= 600)).all()
    rows = 60
    values = rng.standard_normal((rows, count)) * np.sqrt(np.diag(product)) * mapping.slope
    values[rng.random((rows, count)) < 0.3] = np.nan
    times = 1_757_000_000_000_000_000 + np.cumsum(rng.choice([500, 1_000, 2_500, 60_000], rows)) * 1_000_000
    drift = hypermm.DriftFilter(kappa, float(np.sqrt(stationary)))
    nothing = np.full(rows, np.nan)
    factors = rng.uniform(0.25, 4.0, (rows, count))
    mean, variance = drift.filter_columns(
        times,
        nothing,
        nothing,
        values,
        mapping.covariance,
        mapping.memory_s,
        noise_factors=factors,
        fresh_noise_share=mapping.fresh_share,
    )
    assert ((mapping.fresh_share >= 0) & (mapping.fresh_share <= 0.99)).all()
    assert np.isfinite(mean).all()
    assert (variance > 0).all()


def two_scaled(seed, hours=2.0, gain=0.5, fresh_share=0.5):
    """A market and what sees its drift through noise new in part at each reading, the rest for 20 s."""
    market = planted_market(seed, hours=hours, sights=())
    rng, rows = np.random.default_rng(seed + 10**6), len(market.drift)
    noise = 0.03 * (1 - gain) / gain
    error = ou(rng, rows, 0.5, 0.0, fresh_share * noise) + ou(rng, rows, 0.5, 20.0, (1 - fresh_share) * noise)
    return market, sample_of(market, seen=market.drift + error)


def test_noise_of_two_memories_does_not_make_the_filter_too_sure():
    # Kills: a memory read at 5 s alone and taken at its word, a scale that is not fitted or not used: NIS 2.2 and more.
    fitted = calibrate_sample(two_scaled(5)[1], Gates(), COST)
    assert accepted(fitted) == ["seen"]
    _, fresh = two_scaled(6)
    kappa, stationary = fitted.filter.mean_reversion_per_s, fitted.filter.stationary_variance
    facts = filter_sample(fresh, (0,), fitted.mapping, kappa, stationary).innovations["features"]
    print(f"NIS {facts['nis']:.3f} of {facts['count']:,.0f}, held out in the fit {fitted.filter.held_out_nis:.3f}")
    assert facts["count"] >= 800
    assert 0.9 <= facts["nis"] <= 1.1
    assert 0.9 <= fitted.filter.held_out_nis <= 1.1


def test_with_the_true_numbers_moves_are_as_large_as_the_score_says():
    # Kills: the drift's displacement counted in σ̂ and again beside it (0.83 at 10 s), σ̂ of one horizon for another.
    kappa, stationary = 0.05, 0.03
    ratios = []
    for seed in range(40, 46):
        sample = two_scaled(seed, hours=4.0)[1]
        volatility = diffusive_volatility(sample.volatility, kappa, stationary)
        prior = np.full(len(sample), stationary)
        ratios.append(
            [
                np.nanmean(target**2) / displacement_variance(prior, volatility, kappa, stationary, horizon_s).mean()
                for horizon_s, target in ((10.0, sample.target_bps), (30.0, sample.long_target_bps))
            ]
        )
    ten, thirty = np.mean(ratios, axis=0)
    print(f"E[r²]/v: {ten:.3f} at 10 s, {thirty:.3f} at 30 s")
    assert ten == pytest.approx(1.0, abs=0.03)
    assert thirty == pytest.approx(1.0, abs=0.08)


def test_the_score_counts_the_drifts_displacement_once():
    # Kills: σ̂ of 10 s returns beside the drift's own variance, either horizon with a σ₀ of its own.
    kappa, stationary, sigma = 0.05, 0.03, 1.2
    sample = two_scaled(40)[1]

    def moved(horizon_s):
        # ∫∫ of the drift's autocovariance, by the midpoint rule.
        at = (np.arange(1_000) + 0.5) * horizon_s / 1_000
        lags = np.abs(at[:, None] - at)
        return sigma**2 * horizon_s + stationary * float(np.exp(-kappa * lags).mean()) * horizon_s**2

    seen = replace(sample, volatility=np.full(len(sample), np.sqrt(moved(10.0) / 10.0)))
    nothing = Filtered(np.zeros(len(sample)), np.full(len(sample), stationary), {})
    expected = 0.5 * (
        norm.logpdf(sample.target_bps, scale=np.sqrt(moved(10.0)))
        + norm.logpdf(sample.long_target_bps, scale=np.sqrt(moved(30.0)))
    )
    np.testing.assert_allclose(log_score(seen, nothing, kappa, stationary), expected, atol=1e-4)


@pytest.mark.parametrize(("tier", "every"), [("hot", 1), ("warm", 2), ("cold", 5)])
def test_fresh_and_slow_noise_are_told_apart_at_the_spacing_of_readings(tier, every):
    # Kills: the spacing of another tier, P∞ or its decay left out of a lagged moment, u for 1 − u.
    _, sample = two_scaled(7, hours=6.0, gain=0.3, fresh_share=0.6)
    sample = replace(sample, tiers=(tier,))
    moments = moments_of(sample, (0,), np.isfinite(sample.target_bps))
    assert moments.spacing_s == pytest.approx([0.5 * every])
    alpha = np.array([0.3 * expected_time(0.05)])
    mapping = map_features(alpha, moments, 0.05, 0.03, MemoryRule(two_scaled=True))
    assert mapping.memory_s[0] == pytest.approx(20.0, rel=0.25)
    assert mapping.fresh_share[0] == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("fresh_share", [0.3, 0.7])
def test_fresh_beside_slow_noise_leaves_the_filter_as_sure_as_it_may_be(fresh_share):
    # Kills: fresh noise taken for slow (NIS above 4), slow for fresh (mse/P above 1.3), the drift in ê left out.
    market, sample = two_scaled(6, gain=0.3, fresh_share=fresh_share)
    moments = moments_of(sample, (0,), np.isfinite(sample.target_bps))
    mapping = map_features(np.array([0.3 * expected_time(0.05)]), moments, 0.05, 0.03, MemoryRule(two_scaled=True))
    filtered = filter_sample(sample, (0,), mapping, 0.05, 0.03)
    nis = filtered.innovations["features"]["nis"]
    ratio = float(((filtered.mean - market.drift) ** 2)[600:].mean() / filtered.variance[600:].mean())
    print(f"fresh {fresh_share}: NIS {nis:.3f}, mse/P {ratio:.3f}")
    assert 0.95 <= nis <= 1.05
    assert 0.85 <= ratio <= 1.15


def test_c_is_scaled_until_innovations_are_as_large_as_said_and_never_below_one():
    # Kills: a factor below 1, one that stops short, one of the wrong matrix.
    market = planted_market(8, hours=1.0, sights=((0.4, 10.0, 1.0),))
    sample = sample_of(market)
    mapping = map_features(
        np.array([0.4 * expected_time(0.05)]), moments_of(sample, (0,), np.isfinite(sample.target_bps)), 0.05, 0.03
    )
    for times, low, high in ((0.2, 4.0, 6.0), (5.0, 1.0, 1.0)):
        off = replace(mapping, covariance=times * mapping.covariance)
        scale = innovation_scale(sample, (0,), off, 0.05, 0.03)
        assert low <= scale <= high
        mended = replace(off, covariance=scale * off.covariance)
        nis = filter_sample(sample, (0,), mended, 0.05, 0.03).innovations["features"]["nis"]
        assert nis == pytest.approx(1.0, abs=0.02) if times < 1.0 else nis < 1.0


def test_filter_columns_is_the_loop():
    # Kills: factors on the wrong entry, fresh noise that one of them leaves out, price after features, a row skipped.
    market = planted_market(17, hours=0.05, sights=((0.4, 10.0, 1.0), (0.2, 3.0, 1.0)))
    values = np.column_stack(list(market.values.values()))
    values[::3, 1] = np.nan
    rows = len(values)
    rng = np.random.default_rng(1)
    factors = rng.uniform(0.25, 4.0, values.shape)
    drifts = np.where(np.arange(rows) % 10 == 0, rng.standard_normal(rows), np.nan)
    covariance, memory = np.array([[0.05, 0.01], [0.01, 0.1]]), np.array([10.0, 3.0])
    fresh = np.array([0.4, 0.0])
    batch, loop = hypermm.DriftFilter(0.05, 0.2), hypermm.DriftFilter(0.05, 0.2)
    mean, variance = batch.filter_columns(
        market.time_ns,
        drifts,
        np.full(rows, 0.2),
        values,
        covariance,
        memory,
        noise_factors=factors,
        fresh_noise_share=fresh,
    )
    for row, time_ns in enumerate(market.time_ns.tolist()):
        loop.predict(time_ns)
        if np.isfinite(drifts[row]):
            loop.observe(time_ns, drifts[row], 0.2, name="price")
        scale = np.sqrt(np.outer(factors[row], factors[row]))
        loop.observe_features(time_ns, values[row], covariance * scale, memory, fresh_noise_share=fresh)
        assert mean[row] == pytest.approx(loop.mean, rel=1e-12)
        assert variance[row] == pytest.approx(loop.variance, rel=1e-12)
    assert batch.innovations == loop.innovations


def hawkes_times(rng, base, branching, decay, span_s):
    """By clusters: immigrants, each with its children and theirs."""
    times = list(rng.uniform(0, span_s, rng.poisson(base * span_s)))
    young = list(times)
    while young:
        born = [t + w for t in young for w in rng.exponential(1 / decay, rng.poisson(branching))]
        young = [t for t in born if t < span_s]
        times += young
    return np.sort(np.array(times))


def test_hawkes_is_recovered_within_its_errors():
    # Kills: a compensator cut off wrongly, rate and decay exchanged.
    rng = np.random.default_rng(23)
    fit = fit_hawkes([hawkes_times(rng, 0.2, 0.6, 0.8, 7_200.0)])
    print(
        f"base {fit.base_rate_per_s:.3f} ± {fit.base_rate_error:.3f} (0.2), branching {fit.branching_ratio:.3f} ± "
        f"{fit.branching_ratio_error:.3f} (0.6), decay {fit.decay_per_s:.3f} ± {fit.decay_error:.3f} (0.8); "
        f"time-rescaling p = {fit.rescaling_p_value:.2f} of {fit.events} events"
    )
    for found, error, true in (
        (fit.base_rate_per_s, fit.base_rate_error, 0.2),
        (fit.branching_ratio, fit.branching_ratio_error, 0.6),
        (fit.decay_per_s, fit.decay_error, 0.8),
    ):
        assert abs(found - true) < 3 * error
        assert error < 0.5 * true
    assert fit.branching_ratio < 1
    assert fit.rescaling_p_value > 0.01
    uniform = np.linspace(0, 7_200, len(rng.uniform(0, 1, fit.events)))
    assert fit_hawkes([uniform]).rescaling_p_value < 1e-6
    assert fit_hawkes([uniform[:100]]) is None


def test_bad_columns_are_named_not_fitted():
    market = planted_market(29, hours=1.0, sights=((0.6, 10.0, 1.0),))
    rows = len(market.time_ns)
    gap = market.values["sight_0"].copy()
    gap[100:900] = np.nan
    sample = sample_of(
        market,
        gap=gap,
        constant=np.full(rows, 2.0),
        missing=np.full(rows, np.nan),
        seldom=np.where(np.arange(rows) % 100 == 0, gap, np.nan),
    )
    reasons = {verdict.name: verdict.reason for verdict in select(sample, sample.target_bps, Gates(), COST).verdicts}
    assert reasons["constant"] == "is constant: 2"
    assert reasons["missing"] == "has no value in this data"
    assert "5% needed" in reasons["seldom"]
    with pytest.raises(InvalidInputError, match="finite numbers"):
        sample_of(market, infinite=np.full(rows, np.inf))


def test_too_little_data_is_named_with_how_much_is_needed():
    sample = sample_of(planted_market(31, hours=0.2))
    with pytest.raises(InvalidInputError, match="90 or more: 15 minutes"):
        calibrate_sample(sample, Gates(), COST)


def test_recordings_that_overlap_are_refused():
    sample = sample_of(planted_market(37, hours=0.3))
    with pytest.raises(InvalidInputError, match="do not overlap"):
        concatenated([sample, sample])


def test_a_return_over_an_unknown_mid_is_no_target():
    # Kills: a gap taken for a move.
    mid = np.array([100.0, 101.0, np.nan, 103.0, 104.0])
    target = forward_return(mid, 5.0, 10.0)
    assert np.isnan(target[[0, 2, 3, 4]]).all()
    assert target[1] == pytest.approx(1e4 * np.log(103 / 101))


def test_a_feature_of_the_wrong_sign_is_out():
    # Kills: a gate that takes |α|; features are bullish-positive.
    market = planted_market(41, hours=2.0, sights=((0.6, 10.0, -1.0),))
    (verdict,) = select(sample_of(market), sample_of(market).target_bps, Gates(), COST).verdicts
    assert verdict.r2 > 0.01
    assert not verdict.accepted
    assert "bullish-positive" in verdict.reason


def test_little_evidence_is_more_noise_within_a_quarter_and_four():
    # Kills: n/n̄ in place of n̄/n, bounds left out, a mean where the scale is absolute.
    rows = 400
    time_ns = 1_757_000_000_000_000_000 + np.arange(rows, dtype=np.int64) * 500_000_000
    evidence = np.tile([1.0, 2.0, 0.05, 100.0, 0.0], rows // 5)
    columns = {name: np.sin(np.arange(rows)) for name in ("book_imbalance_10bps", "trend_score", "microprice_offset")}
    sample = from_columns(
        time_ns,
        np.full(rows, 100.0),
        columns,
        {"book_imbalance_10bps": evidence, "trend_score": np.minimum(evidence, 1.0)},
    )
    assert sample.rules == ("depth", "agreement", "none")
    mean = mean_evidence(sample, np.ones(rows, bool))
    assert mean == pytest.approx([evidence.mean(), 1.0, 1.0])
    factors = noise_factors(sample, mean)[:5]
    assert factors[:, 0] == pytest.approx([4.0, 4.0, 4.0, 0.25, 4.0])
    assert noise_factors(sample, np.array([3.0, 1.0, 1.0]))[:2, 0] == pytest.approx([3.0, 1.5])
    assert factors[:, 1] == pytest.approx([1.0, 1.0, 4.0, 1.0, 4.0])
    assert (factors[:, 2] == 1.0).all()


def test_what_adds_nothing_is_out_and_named_with_what_it_repeats():
    # Kills: a gate on each feature alone.
    market = planted_market(43, hours=2.0, sights=((0.6, 10.0, 1.0),))
    sample = sample_of(market, copy=market.values["sight_0"] + 0.02 * np.random.default_rng(1).standard_normal(14_400))
    verdicts = {verdict.name: verdict for verdict in select(sample, sample.target_bps, Gates(), COST).verdicts}
    assert [verdict.accepted for verdict in verdicts.values()].count(True) == 1
    (out,) = [verdict for verdict in verdicts.values() if not verdict.accepted]
    assert out.reason.startswith("adds R²")
    assert out.reason.endswith("above 0.003 needed")
    assert out.incremental_r2 < 0.003


def test_the_reason_names_the_condition_that_failed():
    # Kills: "above 0.003 needed" of a feature that adds more, and failed by its t.
    market = planted_market(43, hours=2.0, sights=((0.6, 10.0, 1.0), (0.3, 10.0, 1.0)))
    sample = sample_of(market)
    (added,) = [
        verdict.incremental_t
        for verdict in select(sample, sample.target_bps, Gates(), COST).verdicts
        if verdict.name == "sight_1"
    ]
    strict = Gates(clark_west_t=added + 0.01, r2=-1.0)
    verdicts = {verdict.name: verdict for verdict in select(sample, sample.target_bps, strict, COST).verdicts}
    out = verdicts["sight_1"]
    assert out.incremental_r2 > 0.003
    assert out.reason.endswith(f"with Clark–West t {out.incremental_t:.2f}, above {strict.clark_west_t:g} needed")


def test_the_cost_test_asks_for_half_an_increment():
    market = planted_market(47, hours=2.0, sights=((0.6, 10.0, 1.0),))
    sample = sample_of(market)
    (free,) = select(sample, sample.target_bps, Gates(), COST).verdicts
    (dear,) = select(sample, sample.target_bps, Gates(), CostTest(needed_bps=1.01 * free.move_bps)).verdicts
    assert free.accepted
    assert not dear.accepted
    assert dear.reason.startswith("cost test")
    assert free.move_bps == pytest.approx(np.percentile(abs(free.alpha * market.values["sight_0"]), 95), rel=1e-9)


@pytest.mark.parametrize(("edge", "accepted"), [((-0.3, 0.2), False), ((-0.1, 0.2), True), (None, True)])
def test_a_replay_that_loses_more_than_its_error_is_a_refusal(edge, accepted):
    market = planted_market(47, hours=2.0, sights=((0.6, 10.0, 1.0),))
    sample = sample_of(market)
    asked = []
    cost = CostTest(needed_bps=0.0, replay=lambda names: asked.append(names) or edge)
    (verdict,) = select(sample, sample.target_bps, Gates(), cost).verdicts
    assert verdict.accepted == accepted
    assert asked == [("sight_0",)]


def test_what_comes_later_has_no_say_in_a_fold():
    # Kills: the price-only filter of all rows, under which features of flow and trend are judged by what comes later.
    rng = np.random.default_rng(9)
    rows = 2_400
    time_ns = 1_757_000_000_000_000_000 + np.arange(rows, dtype=np.int64) * 500_000_000
    trend = np.sin(np.arange(rows) / 30.0) + rng.standard_normal(rows)
    moves = 0.7 * rng.standard_normal(rows)
    later = moves.copy()
    # The last fold runs away: all rows together have a drift that those before do not.
    later[5 * rows // 6 :] += 1.5
    folds = []
    for move in (moves, later):
        sample = from_columns(time_ns, 100 * np.exp(np.cumsum(move) * 1e-4), {"trend_return_60s": trend})
        (verdict,) = calibrate_sample(sample, Gates(), COST).selection.verdicts
        assert verdict.target == "residual"
        folds.append(verdict.folds)
    assert folds[0][:3] == folds[1][:3]
    assert folds[0][4] != folds[1][4]
