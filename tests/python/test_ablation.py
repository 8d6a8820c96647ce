"""A view means one thing: ablation's calibrated rows are the backtest's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

import hypermm
from hypermm.cli import root
from hypermm.cli.ablation import _shown
from hypermm.recording import Recording
from hypermm.research.ablation import STEPS, AblationRow, FlatUntil, ablate, judge, judged_from, step_configs
from hypermm.research.blocks import RunBlocks, drawn_blocks, interval
from hypermm.research.views import fill_views, view_models

INSTRUMENT = hypermm.Instrument("ETH", 4, 25)


def test_the_whole_model_under_each_view_is_the_backtests() -> None:
    """Kills: a calibrated view with another latency than the one it was fitted with."""
    recording = Recording.from_columns("ETH", hypermm.synthetic_session(3, 900.0))
    config = hypermm.EngineConfig(max_position=2.0)
    latencies = {"risk_averse": 1_000_000, "calibrated": "venue"}
    models = {view: model for view, model in view_models().items() if model in latencies}
    rows = ablate([recording], INSTRUMENT, config, None, models=models, draws=10, latency=1_000_000)
    ours = [(row.fills, round(row.figures["pnl_usd"][0], 9)) for row in rows if row.step == STEPS[-1]]
    views = fill_views(recording, INSTRUMENT, config, latency=1_000_000)[:2]
    theirs = []
    for model, latency in latencies.items():
        summary = hypermm.backtest(recording, INSTRUMENT, config, fill_model=model, latency=latency).summary()
        theirs.append((summary["fills"], round(summary["pnl_usd"], 9)))
    assert ours == theirs == [(view.fills, round(view.pnl_usd, 9)) for view in views]
    assert min(fills for fills, _ in ours) > 0


def recorded(seconds: float = 900.0, seed: int = 3) -> Recording:
    return Recording.from_columns("ETH", hypermm.synthetic_session(seed, seconds))


def test_what_is_judged_from_a_time_on_starts_flat_and_warm() -> None:
    """Kills: a position opened before the judged span, whose profit, size and half-life are then judged too."""
    recording, config = recorded(), hypermm.EngineConfig(max_position=2.0)
    begin, end = int(recording.book_time_ns[0]), int(recording.book_time_ns[-1])
    from_ns = (begin + end) // 2
    whole = hypermm.backtest(recording, INSTRUMENT, config, fill_model="risk_averse")
    carried = np.interp(from_ns, whole.equity["time_ns"], whole.equity["position"])
    assert abs(carried) > 0.05
    strategy = judged_from(INSTRUMENT, config, from_ns)
    later = hypermm.backtest(recording, INSTRUMENT, config, fill_model="risk_averse", **strategy)
    assert later.fills["time_ns"].min() >= from_ns
    before = later.equity["time_ns"] < from_ns
    assert (later.equity["position"][before] == 0.0).all()
    assert (later.equity["profit_usd"][before] == 0.0).all()
    rows = ablate([recording], INSTRUMENT, config, None, models={"view": "risk_averse"}, from_ns=from_ns, draws=10)
    assert rows[-1].figures["pnl_usd"][0] == pytest.approx(later.equity["profit_usd"][-1], abs=1e-9)
    assert rows[-1].figures["largest_position"][0] == np.abs(later.equity["position"]).max()
    # The engine is the one of the whole run: from the first event on, nothing differs but who hands it over.
    first = hypermm.backtest(
        recording, INSTRUMENT, config, strategy=FlatUntil(hypermm.QuoteEngine(INSTRUMENT, config), 1)
    )
    alone = hypermm.backtest(recording, INSTRUMENT, config)
    assert first.equity["profit_usd"].tolist() == alone.equity["profit_usd"].tolist()


def test_the_step_of_the_features_plays_the_calibrated_filter() -> None:
    """Kills: a number of the filter, or of what feeds it, that the step without volatility leaves out."""
    feature = hypermm.CalibratedFeature("book_imbalance_5bps", 0.3, 0.1, noise_memory_s=20.0)
    calibration = hypermm.Calibration(
        0.03,
        0.01,
        [feature],
        [[0.09]],
        coin="ETH",
        size_decimals=4,
        cycle_s=0.7,
        fresh_noise_share=[0.6],
        own_fill=(0.1, 0.2),
        volatility_ratio_exponent=0.5,
        informed_volatility=0.4,
        tail_factor=0.3,
        adverse_selection_ratio=0.4,
        basis_market="SPOT",
        lead_market="BTC",
    )
    of_volatility = {"volatility_ratio_exponent", "informed_volatility", "tail_factor"}
    played = step_configs(hypermm.EngineConfig(max_position=2.0), calibration)[STEPS[3]].calibration
    assert played is not None
    names = [name for name in dir(calibration) if not name.startswith("_")]
    differ = {name for name in names if repr(getattr(played, name)) != repr(getattr(calibration, name))}
    assert "fresh_noise_share" in names
    assert differ == of_volatility


def blocks_of(position: np.ndarray, profit: np.ndarray) -> RunBlocks:
    """A run of one position and one profit a second, 60 of them a block."""
    count = len(position) // 60
    of_block = np.repeat(np.arange(count), 60)
    squares, products = np.append(position[:-1] ** 2, 0.0), np.append(position[:-1] * position[1:], 0.0)
    ones = np.ones(count)
    return RunBlocks(
        block_s=60.0,
        profit=np.bincount(of_block, profit),
        squares=np.bincount(of_block, squares),
        products=np.bincount(of_block, products),
        largest=np.abs(position.reshape(count, 60)).max(axis=1),
        size=ones,
        edge=ones,
        adverse=ones,
        fills=ones,
    )


def reverting(random: np.random.Generator, minutes: int, half_life_s: float) -> np.ndarray:
    keep = 0.5 ** (1.0 / half_life_s)
    warm = 5 * round(half_life_s)
    path: np.ndarray = lfilter([1.0], [1.0, -keep], random.standard_normal(60 * minutes + warm))[warm:]
    return path


def test_half_lives_of_lasting_inventory_have_honest_intervals_or_none() -> None:
    """Kills: minutes of one position drawn as though they were independent; markets cut up; a maximum with an interval.

    Of 60 trials the middle 95 % hold the half-life that was planted in 51 or more, by the binomial at 93 %.
    """
    random, held = np.random.default_rng(1), {"one market": 0, "markets": 0}
    for _ in range(60):
        long = reverting(random, 600, 120.0)
        (one,) = judge("view", {"a": [blocks_of(long, long)]}, draws=100)
        several = [reverting(random, 60, 120.0) for _ in range(12)]
        (many,) = judge("view", {"a": [blocks_of(path, path) for path in several]}, draws=100)
        for name, row in (("one market", one), ("markets", many)):
            _, low, high = row.figures["half_life_s"]
            held[name] += low <= 120.0 <= high
            for maximum in ("largest_position", "drawdown_usd"):
                assert np.isnan(row.figures[maximum][1:]).all()
            assert np.isfinite(row.figures["pnl_usd"]).all()
    print(f"planted half-life held in {held} of 60")
    assert min(held.values()) >= 51
    short = reverting(random, 30, 120.0)
    (row,) = judge("view", {"a": [blocks_of(short, short)]}, draws=50)
    assert np.isnan(row.figures["half_life_s"][1:]).all()
    assert np.isfinite(row.figures["pnl_usd"]).all()
    (few,) = judge("view", {"a": [blocks_of(short, short)] * 4}, draws=50)
    assert np.isnan(few.figures["pnl_usd"][1:]).all()
    # Fills of four minutes: each is in a draw or not, which is no spread of their edge.
    seldom = replace(blocks_of(short, short), size=np.append(np.ones(4), np.zeros(26)))
    (row,) = judge("view", {"a": [seldom]}, draws=50)
    assert np.isnan(row.figures["edge_bps"][1:]).all()
    assert np.isfinite(row.figures["pnl_usd"]).all()


def test_intervals_of_a_few_markets_are_wide_enough() -> None:
    """Kills: the middle 95 % of the draws of eight, which hold the mean that was planted in 88 % of the trials."""
    random, trials = np.random.default_rng(3), 600
    held = 0
    for _ in range(trials):
        profit = random.standard_normal(8)
        low, high = interval(profit[drawn_blocks(8, 1000, 0)].mean(axis=1), 8)
        held += low <= 0.0 <= high
    print(f"held in {held / trials:.1%}")
    # 95 % within three binomial errors.
    assert held >= trials * (0.95 - 3 * np.sqrt(0.95 * 0.05 / trials))


def test_intervals_are_printed_as_they_are() -> None:
    """Kills: half their width, of which a skewed one is none of the ends; nan where there is none."""
    figures = {"half_life_s": (270.0, 90.0, 4_900.0), "largest_position": (2.0, math.nan, math.nan)}
    row = AblationRow("view", STEPS[0], 3, figures, (math.nan, math.nan, math.nan))
    assert _shown(row) == {
        "view": "view",
        "step": "plain GLFT",
        "fills": 3,
        "half life": "270 (90 to 4.9e+03)",
        "largest": "2",
        "gain": "",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "eth", "--coin", "ETH"], "leave out --data, --coin"),
        (["--preset", "eth", "--set", "calibration=eth.json"], "leave out [run] calibration"),
        (["--data", "x", "--coin", "ETH", "--calibration", "a.json", "--set", "calibration=b.json"], "leave one out"),
        (["--preset", "eth", "--leave-one-out", "--seeds", "8", "--minutes", "14"], "10 blocks"),
    ],
)
def test_nothing_that_is_asked_for_is_ignored(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(["ablation", *arguments]) == 2
    assert said in capsys.readouterr().err
