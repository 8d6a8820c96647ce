"""Paper against live: nothing between equal arms, errors by seeds, a fit that finds what was put in, and the bars."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import hypermm
from hypermm.cli.root import run
from hypermm.exceptions import InvalidInputError
from hypermm.research import gap, gap_fit

CONFIG = hypermm.EngineConfig(max_position=100.0, maker_fee_bps=1.44)
SHORT: dict[str, Any] = {"seeds": 2, "duration_s": 600.0}
NUMBERS = gap.FillNumbers(1.0, 0.2, 0.4)


def test_equal_arms_have_no_gap_between_them_and_two_runs_are_one() -> None:
    """Kills: a row that goes to another arm, an error that does not know its pairs, a run that is not repeated."""
    arm = gap.Arm("one", "ours_left_out", NUMBERS.model)
    arms = [arm, arm._replace(name="two"), arm._replace(fill_model="risk_averse")]
    columns = gap.play("HYPE", CONFIG, arms, **SHORT)
    again = gap.play(hypermm.MarketPreset("hype"), CONFIG, arms, **SHORT)
    assert all(columns[name].tobytes() == again[name].tobytes() for name in columns)
    assert columns["seed"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert columns["arm"].tolist() == [0, 1, 2, 3] * 2
    (_, step, error), (_, other, _) = gap.steps(columns, arms)
    assert step == error == 0.0 != other
    views = gap.compare(columns, arms)
    assert views[0][5:] == (0.0, 0.0, 0.0, 0.0)
    assert views[1][1:] == views[2][1:]
    assert views[0].fills == columns["fills"][columns["arm"] == 0].sum() > 0


def test_means_and_errors_are_those_of_the_bootstrap_over_seeds() -> None:
    """Oracle: resampled seeds. Kills: errors over fills, unpaired errors, means of means."""
    random = np.random.default_rng(5)
    seeds = 60
    market = random.normal(0.0, 3.0, seeds)
    columns = _columns(random.poisson(40, (2, seeds)) + 1, market + np.array([[-1.0], [-0.4]]), random)
    view = gap.compare(columns, [gap.Arm("paper", "", "")])[1]
    live, paper = (columns["arm"] == number for number in range(2))

    def difference(rows: Any) -> float:
        means = [
            columns["edge_sum_bps"][arm][rows].sum() / columns["resolved"][arm][rows].sum() for arm in (live, paper)
        ]
        return means[1] - means[0]

    resampled = [difference(random.integers(0, seeds, seeds)) for _ in range(4_000)]
    print(f"{view.difference_bps:+.3f} ± {view.error_bps:.4f}, bootstrap {np.std(resampled):.4f}")
    assert view.difference_bps == pytest.approx(difference(slice(None)), abs=1e-12)
    assert view.error_bps == pytest.approx(np.std(resampled), rel=0.1)


def test_the_fit_finds_the_numbers_that_leave_nothing() -> None:
    """Kills: terms out of order, a moment of one feed read for the other, a pull that decides where data do."""
    random = np.random.default_rng(11)
    # Edges and fills tell two numbers apart: the third is where the pull wants it.
    true = gap.FillNumbers(1.0, 0.3, 0.55)
    arms, seeds = gap_fit.design(), 40
    bias = [
        1.1 * (arm.fill_model[2] - true.touch_probability)
        + 1.7 * (arm.fill_model[3] - true.alone_probability)
        - 0.4 * (arm.fill_model[3] ** 2 - true.alone_probability**2)
        + 0.5 * np.log(arm.fill_model[1] / true.cancel_exponent)
        for arm in arms
    ]
    more = [
        0.2 * (arm.fill_model[2] - true.touch_probability)
        + 0.9 * (arm.fill_model[3] - true.alone_probability)
        - 0.6 * np.log(arm.fill_model[1] / true.cancel_exponent)
        for arm in arms
    ]
    fills = np.round(20_000 * np.exp([0.0, *more]))[:, None] * np.ones(seeds)
    edges = random.normal(-2.0, 0.3, seeds) + np.array([0.0, *bias])[:, None]
    found = gap_fit.fit([gap_fit.response(_columns(fills, edges, random), arms, "made")])
    print(found.numbers)
    assert found.numbers.cancel_exponent == pytest.approx(1.0, abs=0.1)
    assert found.numbers[1:] == pytest.approx(true[1:], abs=0.06)
    assert all(abs(left) < 0.05 for left in found.left.values())


def _columns(fills: Any, edges: Any, random: Any) -> dict[str, Any]:
    """Columns of arms by seeds, with some scatter of fills in every seed; sizes say the same as counts."""
    fills = np.asarray(fills, np.float64)
    arms, seeds = fills.shape
    sums = fills * edges + random.normal(0.0, 0.05, fills.shape) * np.sqrt(fills)
    flat = {"resolved": fills, "fills": fills, "volume_usd": 100.0 * fills, "edge_volume": 100.0 * sums}
    columns = {name: values.T.ravel() for name, values in flat.items()}
    columns |= {"edge_sum_bps": sums.T.ravel(), "markout_sum_bps": sums.T.ravel()}
    return columns | {"arm": np.tile(np.arange(arms), seeds), "seed": np.repeat(np.arange(seeds), arms)}


def test_the_command_prints_live_and_every_cause(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["gap", "--preset", "HYPE", "--seeds", "2", "--fit-seeds", "0", "--minutes", "5"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    hype = found["presets"]["hype"]
    assert found["pooled"] is None
    assert hype["fit"] is None
    assert hype["calibration"] == hype["shipped"] == gap.FillNumbers(*hypermm.fill_calibration("HYPE"))._asdict()
    assert [view["arm"] for view in hype["views"]] == ["live", *(arm.name for arm in gap.ARMS(NUMBERS))]
    assert len(hype["steps"]) == len(hype["views"]) - 2
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert "old paper setting" in shown
    assert "alone probability" in shown


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--preset", "doge"], "preset"),
        (["--preset", "hype", "--seeds", "1"], "seeds"),
        (["--preset", "hype", "--fit-seeds", "1"], "fit-seeds"),
        (["--preset", "hype", "--minutes", "0"], "minutes"),
        (["--preset", "hype", "--set", "run.fill_model=log"], "fill_model"),
        (["--preset", "hype", "--set", "levels=0", "--seeds", "2", "--fit-seeds", "0"], "levels"),
        ([], "preset"),
    ],
)
def test_a_wrong_line_is_refused_by_name(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gap", *line]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("arms", "field"),
    [
        ("paper", "arms"),
        ([("ours_left_out", "paper")], "arms"),
        ([("elsewhere", "paper", None)], "feed"),
        ([("published", "luck", None)], "fill_model"),
        ([("published", ("calibrated", 1.0, 0.5), None)], "fill_model"),
        ([("published", ("calibrated", 1.0, 0.5, "1"), None)], "alone_probability"),
        ([("published", ("calibrated", 1.0, 2.0, 0.5), None)], "touch_probability"),
        ([("published", "paper", -1)], "latency"),
    ],
)
def test_a_wrong_arm_is_refused_by_name(arms: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        hypermm.paper_gap("hype", CONFIG, arms, seeds=2, duration_s=60.0)
    assert caught.value.field == field


# Bars of the issue: the edge a fill of the calibrated view is live's within 0.3 bps, known to max(0.1, 0.02·σ·√10) bps.
BAR_BPS = 0.3
HOURS = {"sol": 64}


# Kills: shipped numbers that are those of another coin, a model that fits one market, an error that hides a bias.
@pytest.mark.verify
@pytest.mark.parametrize("name", hypermm.MarketPreset.names())
def test_calibrated_paper_has_no_bias_on_seeds_it_was_not_fitted_on(name: str) -> None:
    """With the numbers shipped, which were fitted on seeds from 1,000,000; these are from 0."""
    market = hypermm.MarketPreset(name)
    numbers = gap.FillNumbers(*hypermm.fill_calibration(market.instrument.coin))
    arms = gap.ARMS(numbers)
    cap = market.instrument.round_size(10_000.0 / market.start_price)
    config = hypermm.EngineConfig(max_position=cap, maker_fee_bps=market.maker_fee_bps)
    columns = gap.play(name, config, arms, seeds=HOURS.get(name, 32))
    print(f"\n{name}: {numbers}")
    by_arm = {view.arm: view for view in gap.compare(columns, arms)}
    for view in by_arm.values():
        print(
            f"{view.arm:36} {view.fills:6} fills {view.fills_over_live:5.2f}  edge {view.edge_bps:+.3f}"
            f"  - live {view.difference_bps:+.3f} ± {view.error_bps:.3f}"
            f"  by size {view.weighted_difference_bps:+.3f} ± {view.weighted_error_bps:.3f}"
        )
    old, calibrated = by_arm["old paper setting"], by_arm["calibrated: + left alone"]
    assert old.fills_over_live < 0.8  # what it missed before
    assert calibrated.error_bps <= max(0.1, 0.02 * market.parameters["volatility_bps"] * 10**0.5)
    assert abs(calibrated.difference_bps) <= BAR_BPS
