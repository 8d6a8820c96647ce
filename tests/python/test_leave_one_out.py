"""The rule of leaving features out, on profits that are planted; and the fit of the model that one is left out of."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypermm
from hypermm.cli import root
from hypermm.config.calibration import FeatureVerdict
from hypermm.exceptions import InvalidInputError
from hypermm.recording import Recording
from hypermm.research.blocks import RunBlocks, paired, sharpe_of_a_day
from hypermm.research.calibration.calibrate import Source, calibrate, samples_of
from hypermm.research.calibration.score import validation
from hypermm.research.evaluate import mid_path
from hypermm.research.leave_one_out import LEAST_GAIN, candidates, judge_left_out, leave_one_out, refitted, settle
from hypermm.research.preset_markets import calibrate_preset, preset_market

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS_A_DAY = 144


def verdict(name: str, *, accepted: bool = False) -> FeatureVerdict:
    return FeatureVerdict(name=name, accepted=accepted, reason="as planted", target="return", share_known=1.0)


@pytest.mark.parametrize(
    ("passed", "gain", "expected", "needed"),
    [
        (True, (-1.0, -2.0, -0.5), "in", None),
        (False, (0.0, 0.0, 0.0), "out", None),
        (False, (0.02, -0.05, 0.0999), "out", None),
        (False, (0.02, -0.05, 0.1), "not settled", 30.0),
        (False, (-0.1, -0.5, 0.3), "not settled", 30.0 * (0.4 / 0.2) ** 2),
        (False, (0.3, -0.1, 0.5), "not settled", 30.0 * (0.4 / 0.2) ** 2),
        (False, (0.5, 0.2, 0.8), "not settled", None),
        (False, (0.1, -0.2, 0.4), "not settled", None),
        (False, (math.nan, math.nan, math.nan), "not settled", None),
    ],
)
def test_the_rule_and_the_days_it_needs(
    passed: bool, gain: tuple[float, float, float], expected: str, needed: float | None
) -> None:
    """Kills: a bound taken for the gain, the lower end for the upper, "out" on the threshold, an interval that narrows
    as the days."""
    state, reason, days = settle(gain, 30.0, passed=passed)
    assert state == expected
    assert days == (None if needed is None else pytest.approx(needed))
    assert ("fails" in reason) != passed


def test_the_sharpe_ratio_is_that_of_a_day() -> None:
    """Kills: another unit of time, the variance of a sample. Independent blocks' days have it, up to their error."""
    profit = np.random.default_rng(1).normal(0.1, 1.0, 2000 * BLOCKS_A_DAY)
    assert float(sharpe_of_a_day(profit[:50], 600.0)) == pytest.approx(
        statistics.fmean(profit[:50]) / statistics.pstdev(profit[:50]) * 12.0
    )
    days = profit.reshape(-1, BLOCKS_A_DAY).sum(axis=1)
    assert float(sharpe_of_a_day(profit, 600.0)) == pytest.approx(days.mean() / days.std(), abs=0.06)
    assert math.isnan(float(sharpe_of_a_day(np.zeros(20), 600.0)))


def test_identical_runs_gain_nothing_for_certain() -> None:
    """Kills: blocks drawn apart for the two runs."""
    profit = np.random.default_rng(2).normal(0.0, 1.0, 5 * BLOCKS_A_DAY)
    (row,) = judge_left_out([verdict("twin")], {"twin": (profit, profit.copy())})
    assert row.gain == (0.0, 0.0, 0.0)
    assert (row.verdict, row.days) == ("out", 5.0)


def test_thirty_days_put_out_a_decoy_and_keep_what_gains() -> None:
    """A decoy that changes what a tenth of the blocks make is out after thirty days but not after one; a feature that
    gains 0.5 of a day's Sharpe ratio is not out. Kills: the error of one run taken for that of the difference."""
    random = np.random.default_rng(3)
    blocks = 30 * BLOCKS_A_DAY
    without = random.normal(0.0, 1.0, blocks)
    decoy = np.where(random.random(blocks) < 0.1, random.normal(0.0, 1.0, blocks), without)
    useful = without + 0.5 / math.sqrt(BLOCKS_A_DAY) + random.normal(0.0, 0.05, blocks)
    names = [verdict("decoy"), verdict("useful"), verdict("passed", accepted=True)]
    runs = {"decoy": (decoy, without), "useful": (useful, without), "passed": (decoy, without)}
    rows = {row.feature: row for row in judge_left_out(names, runs)}
    assert [*rows] == ["passed", "useful", "decoy"]
    assert rows["passed"].verdict == "in"
    assert rows["useful"].verdict == "not settled"
    assert rows["useful"].gain[1] > 0.3 > LEAST_GAIN
    # Profits as unlike as these differ by √0.2 of their deviation: ±0.16 after thirty days.
    half = (rows["decoy"].gain[2] - rows["decoy"].gain[1]) / 2
    assert half == pytest.approx(1.96 * math.sqrt(0.2 / 30), rel=0.15)
    one_day = judge_left_out(names, {"decoy": (decoy[:BLOCKS_A_DAY], without[:BLOCKS_A_DAY])})[0]
    assert one_day.verdict == "not settled"
    faint = np.where(random.random(blocks) < 0.01, 0.0, without)
    (row,) = judge_left_out([verdict("faint")], {"faint": (faint, without)})
    assert row.verdict == "out"


def test_intervals_hold_what_was_planted_in_nine_of_ten() -> None:
    """95 % of the block bootstrap, over 200 planted markets of three days."""
    random = np.random.default_rng(4)
    held = 0
    for seed in range(200):
        without = random.normal(0.0, 1.0, 3 * BLOCKS_A_DAY)
        with_it = without + 0.5 / math.sqrt(BLOCKS_A_DAY) + random.normal(0.0, 0.3, len(without))
        true = 0.5 / math.sqrt(1.09)
        (row,) = judge_left_out([verdict("f")], {"f": (with_it, without)}, draws=200, seed=seed)
        held += row.gain[1] <= true <= row.gain[2]
    assert held >= 180


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="9 blocks of ten minutes"):
        judge_left_out([verdict("f")], {"f": (np.ones(9), np.ones(9))})


def test_blocks_of_a_run_are_of_its_length_and_keep_its_profit() -> None:
    """Kills: a block of its own for the last sample, runs joined out of step."""
    eth = hypermm.Instrument("ETH", 4, 25)
    recording = Recording.from_columns("ETH", hypermm.synthetic_session(2, 1200.0))
    result = hypermm.backtest(recording, eth, hypermm.EngineConfig(max_position=2.0))
    blocks = RunBlocks.of(result, block_s=600.0)
    profit = result.equity["profit_usd"]
    assert len(blocks) == 2
    assert blocks.profit.sum() == pytest.approx(profit[-1] - profit[0], abs=1e-9)
    joined = paired({"long": [blocks, blocks], "short": [blocks.first(1), blocks]})
    assert [len(run) for run in joined.values()] == [3, 3]
    assert joined["long"].profit.tolist() == joined["short"].profit.tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--leave-one-out", "--data", "x", "--coin", "ETH"], "--preset"),
        (["--leave-one-out", "--preset", "eth", "--from", "0.5"], "--from"),
        (["--preset", "eth", "--joint"], "--leave-one-out"),
        (["--preset", "eth", "--leave-one-out", "--minutes", "12"], "10 blocks"),
        (["--preset", "eth", "--leave-one-out", "--page", "nowhere/left_out.html"], "nowhere"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: an option that is heard and not heeded."""
    assert root.run(["ablation", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.verify
def test_a_model_fitted_anew_with_what_passed_is_the_calibration() -> None:
    """Kills: coefficients, folds or targets that go to another feature."""
    calibrated = calibrate_preset(hypermm.MarketPreset("btc"), minutes=60.0)
    accepted = [feature.name for feature in calibrated.artifact.accepted]
    assert accepted
    assert refitted(calibrated, accepted) == calibrated.artifact
    assert refitted(calibrated, []).accepted == ()
    with pytest.raises(InvalidInputError, match="feature"):
        leave_one_out([], hypermm.MarketPreset("btc").instrument, hypermm.EngineConfig(), calibrated, features=["x"])


@pytest.mark.verify
def test_all_candidates_at_once_forecast_worse_than_what_passed(capsys: pytest.CaptureFixture[str]) -> None:
    """Why a feature is not left out of the model of all: were this no longer so, `joint` should be the default."""
    preset = hypermm.MarketPreset("eth")
    calibrated = calibrate_preset(preset, minutes=120.0)
    artifact = calibrated.artifact
    source = Source("others", preset_market(preset, 5, 240.0))
    others = samples_of([source], preset.instrument, artifact.pipeline, 500_000_000)
    r2 = {
        what: validation(refitted(calibrated, names), others)["forecast_r2"]
        for what, names in (
            ("passed", [feature.name for feature in artifact.accepted]),
            ("all", candidates(artifact)),
            ("none", []),
        )
    }
    with capsys.disabled():
        print(f"\nforecast R² on another market of eth: {r2}, {len(candidates(artifact))} candidates")
    assert r2["passed"] > max(r2["all"], r2["none"])


@pytest.mark.verify
def test_a_market_that_leads_gains_and_one_that_does_not_is_not_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """A leader is planted in a market of strong drift: its own price of eight seconds later; the feature is cold, read
    every five cycles or later, and a leader of five seconds would have half passed. A decoy is another market's price.

    Kills: gains of the wrong sign, references that do not reach the runs, a model that is left as it was.
    """
    eth = hypermm.Instrument("ETH", 4, 25)

    def market(seed: int, hours: float) -> Recording:
        columns = hypermm.synthetic_session(seed, 3600.0 * hours, drift_deviation_bps_per_s=0.6)
        return Recording.from_columns("ETH", columns)

    def leader(recording: Recording, ahead_ns: int) -> Recording:
        times = {name: getattr(recording, name) - ahead_ns for name in ("book_time_ns", "best_time_ns")}
        return replace(recording, coin="LEAD", sources={}, **times)

    train, judged, others = market(51, 1.0), market(52, 8.0), (market(53, 1.0), market(54, 8.0))
    ahead_ns = 8_000_000_000
    gains = {}
    for what, fitted_on, played in (
        ("leader", leader(train, ahead_ns), leader(judged, ahead_ns)),
        ("decoy", leader(others[0], 0), leader(others[1], 0)),
    ):
        source = Source(what, train, lead=fitted_on)
        calibrated = calibrate([source], eth, created_ns=train.end_ns + 1, with_replay=False)
        path = mid_path(played)
        (row,) = leave_one_out(
            [judged],
            eth,
            hypermm.EngineConfig(max_position=2.0),
            calibrated,
            features=["lead"],
            references={"LEAD": (path.time_ns, path.mid_price)},
        )
        gains[what] = row
        with capsys.disabled():
            print(
                f"\n{what}: gain of a day's Sharpe ratio {row.gain[0]:.2f} ({row.gain[1]:.2f} to {row.gain[2]:.2f}) of "
                f"{row.sharpe:.1f} in {row.days:.2f} days: {row.verdict}, {row.reason}; gate: {row.gate}"
            )
    assert gains["leader"].passed
    assert gains["leader"].gain[1] > 0.0
    assert not gains["decoy"].passed
    assert gains["decoy"].gain[1] < LEAST_GAIN
    assert gains["decoy"].gain[0] < gains["leader"].gain[0]


@pytest.mark.verify
def test_the_ablation_of_a_preset_is_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: markets calibrated on that are judged on, a step or a view left out."""
    assert root.run(["ablation", "--preset", "eth", "--minutes", "60", "--seeds", "2", "--draws", "200", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["train_seed"] not in said["judged_seeds"]
    assert said["accepted"]
    rows = said["rows"]
    assert len(rows) == 15
    assert {row["view"] for row in rows} == {"true queue", "pessimistic", "calibrated"}
    with capsys.disabled():
        for row in rows:
            print(row["view"], row["step"], row["fills"], row["figures"]["pnl_usd"], row["figures"]["sharpe"])
    for view in ("true queue", "pessimistic", "calibrated"):
        steps = [row["figures"] for row in rows if row["view"] == view]
        gains = [row["gain_usd"][0] for row in rows if row["view"] == view]
        assert steps[-1]["pnl_usd"][0] - steps[0]["pnl_usd"][0] == pytest.approx(sum(gains[1:]), abs=1e-6)


@pytest.mark.verify
def test_leaving_out_is_one_command_with_a_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Kills: a verdict the page leaves out, a run that is not the same again."""
    page = tmp_path / "left_out.html"
    options = ["--minutes", "60", "--seeds", "2", "--train-minutes", "60", "--feature", "hawkes_buy", "--json"]
    said = []
    for more in (["--page", str(page)], []):
        assert root.run(["ablation", "--preset", "eth", "--leave-one-out", *options, *more]) == 0
        said.append(json.loads(capsys.readouterr().out))
    (row,) = said[0]["rows"]
    assert said[1]["rows"] == said[0]["rows"]
    assert row["days"] == pytest.approx(2 / 24)
    assert row["gain"][1] <= row["gain"][0] <= row["gain"][2]
    text = page.read_text("utf-8")
    assert row["reason"] in text
    assert f"{row['gain'][0]:+.3f}" in text
