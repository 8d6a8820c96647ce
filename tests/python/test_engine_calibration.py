"""A calibration file on its way into engine and backtest, and what the ablation makes of runs."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import msgspec
import numpy as np
import pytest

import hypermm
from hypermm.cli import root
from hypermm.config import load_settings
from hypermm.config.calibration import AdverseSelectionFit, OwnFill, VolatilityUse
from hypermm.config.calibration_file import encode_calibration
from hypermm.config.engine_calibration import engine_calibration, recorded_use
from hypermm.exceptions import InvalidConfigError
from hypermm.recording import Recording
from hypermm.recording.write import write_recording
from hypermm.research.ablation import STEPS, judge, step_configs
from hypermm.research.blocks import RunBlocks
from test_calibration_file import CREATED, DATA_END, DAY_NS, ETH, artifact, judged


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of two markets, and a calibration of one that names the other."""
    place = tmp_path_factory.mktemp("markets")
    for seed, (coin, price) in enumerate({"ETH": 4269.0, "BTC": 4300.0}.items()):
        columns = hypermm.synthetic_session(seed, 600.0, start_price=price)
        write_recording(Recording.from_columns(coin, columns), place)
    (place / "calibration.json").write_bytes(encode_calibration(artifact()))
    return place


def test_every_number_of_the_file_reaches_the_engine() -> None:
    """Kills: slope and gain exchanged, evidence of a feature that has none, a market's name lost."""
    file = artifact(
        volatility=VolatilityUse(ratio_exponent=0.7, informed_volatility=0.2, log_score_gain=0.1, log_score_error=0.1),
        adverse_selection=AdverseSelectionFit(
            events=400, ratio=judged(0.9, 2.0, 0.9), tail_factor=judged(0.3, 2.5, 0.3)
        ),
    )
    made = engine_calibration(file, ETH, CREATED)
    assert (made.coin, made.size_decimals) == ("ETH", 4)
    assert made.mean_reversion_per_s == 0.05
    assert made.stationary_variance == 0.04
    for ours, theirs in zip(made.features, file.accepted, strict=True):
        assert (ours.name, ours.slope, ours.gain) == (theirs.name, theirs.slope, theirs.gain)
        assert (ours.noise_memory_s, ours.mean_evidence) == (3.0, 12.0)
    assert made.covariance.tolist() == [[0.04, 0.01], [0.01, 0.04]]
    assert (made.volatility_ratio_exponent, made.informed_volatility, made.tail_factor) == (0.7, 0.2, 0.3)
    assert made.adverse_selection_ratio == 0.9
    assert engine_calibration(artifact(), ETH, CREATED).adverse_selection_ratio is None
    assert (made.lead_market, made.basis_market, made.cycle_s) == ("BTC", None, 0.5)
    assert made.pipeline == {
        "volatility": 1.5,
        "sweep_s": 2.0,
        "hawkes_decay_per_s": 0.5,
        "hawkes_branching_ratio": 0.5,
    }
    assert pickle.loads(pickle.dumps(made)) == made
    assert hypermm.EngineConfig(calibration=made).replace(levels=2).calibration == made


@pytest.mark.parametrize(
    ("state", "expected"), [("accepted", (0.2, 0.1)), ("rejected", (0.0, 0.0)), ("not_measured", None)]
)
def test_fills_are_as_the_file_says(state: str, expected: tuple[float, float] | None) -> None:
    """Kills: a rejected fill that goes on by the config, one not measured that is silenced."""
    fill = OwnFill(state=state, reason="", fills=500, slope=0.2, gain=0.1)  # type: ignore[arg-type]
    assert engine_calibration(artifact(own_fill=fill), ETH, CREATED).own_fill == expected


def test_a_settings_file_names_it_and_another_instrument_is_refused(folder: Path) -> None:
    """Kills: a key that is not read, a file that is not held against the instrument."""
    path = str(folder / "calibration.json")
    (folder / "settings.toml").write_text(f"[run]\ncalibration = {json.dumps(path)}\n")
    settings = load_settings(folder / "settings.toml")
    assert recorded_use(settings.run.calibration, ETH, CREATED) is not None
    assert recorded_use("", ETH, CREATED) is None
    with pytest.raises(InvalidConfigError):
        recorded_use(path, hypermm.Instrument("BTC", 5, 40), CREATED)


def test_a_live_engine_takes_no_other_coins_and_no_old_calibration() -> None:
    """Kills: a coin, its units or the age of the data not looked at on the way that README shows."""
    made = engine_calibration(artifact(), ETH, CREATED)
    for other in (hypermm.Instrument("BTC", 4, 25), hypermm.Instrument("ETH", 3, 25)):
        with pytest.raises(InvalidConfigError, match="instrument it was made on"):
            engine_calibration(artifact(), other, CREATED)
        # And by the engine itself, whoever made the numbers.
        with pytest.raises(InvalidConfigError, match=r"calibration\.(coin|size_decimals)"):
            hypermm.QuoteEngine(other, hypermm.EngineConfig(calibration=made))
    running = hypermm.QuoteEngine(hypermm.Instrument("BTC", 4, 25), hypermm.EngineConfig())
    with pytest.raises(InvalidConfigError, match=r"calibration\.coin"):
        running.update_config(hypermm.EngineConfig(calibration=made))
    assert pickle.loads(pickle.dumps(made)).coin == "ETH"
    with pytest.raises(InvalidConfigError, match="days before their use"):
        engine_calibration(artifact(), ETH, DATA_END + 8 * DAY_NS)
    with pytest.warns(UserWarning, match=r"end 4\.0 days before its use; it is refused after 7"):
        engine_calibration(artifact(), ETH, DATA_END + 4 * DAY_NS)
    with pytest.raises(hypermm.InvalidInputError, match="or neither"):
        hypermm.Calibration(0.05, 0.04, coin="ETH")


def test_a_recording_is_the_time_of_use_and_what_was_seen_is_in_sample(folder: Path) -> None:
    """Kills: an age against today's clock, a judged span that overlaps the data, data of the future unmarked."""
    path = str(folder / "calibration.json")

    def used(at_ns: int | None) -> tuple[bool, int]:
        found = recorded_use(path, ETH, at_ns)
        assert found is not None
        return found.in_sample, len(found.notes)

    assert used(DATA_END + 10 * 10**9 + 1) == (False, 0)
    assert used(DATA_END + 10 * 10**9) == (True, 1)
    assert used(DATA_END - 30 * DAY_NS) == (True, 1)
    assert used(DATA_END + 4 * DAY_NS) == (False, 1)
    assert used(None) == (False, 0)
    with pytest.raises(InvalidConfigError, match="days before their use"):
        recorded_use(path, ETH, DATA_END + 7 * DAY_NS + 1)


def test_backtest_and_ablation_say_in_sample(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: a step judged on rows the calibration was fitted to without a word, a span that is not left out."""
    columns = hypermm.load_recording(folder, "ETH").book_time_ns
    first, last = int(columns[0]), int(columns[-1])
    market = ["--data", str(folder), "--coin", "ETH", "--json"]
    ablation = ["ablation", *market, "--draws", "10", "--calibration"]
    backtest = ["backtest", *market, "--no-views", "--out", str(folder / "out"), "--calibration"]
    for name, end, in_sample in (("seen", last, True), ("half", (first + last) // 2 - 20 * 10**9, False)):
        made = artifact(data_from_ns=first, data_to_ns=end, created_ns=last)
        (folder / f"{name}.json").write_bytes(encode_calibration(made))
        assert root.run([*ablation, str(folder / f"{name}.json")]) == 0
        said = capsys.readouterr()
        judged = json.loads(said.out)
        assert judged["in_sample"] == in_sample
        assert ("in-sample" in judged["title"], "in-sample" in said.err) == (in_sample, in_sample)
        assert judged["judged_from_ns"] == first if in_sample else judged["judged_from_ns"] > end + 10 * 10**9
        # Kills: a calibration that the settings name and nobody heeds.
        assert root.run([*ablation[:-1], "--set", f"calibration={folder / name}.json"]) == 0
        assert json.loads(capsys.readouterr().out) == judged
        # A backtest judges all of the recording.
        assert root.run([*backtest, str(folder / f"{name}.json")]) == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["in_sample"] is True
        assert "in-sample" in said.err


def test_backtest_takes_a_calibration_and_the_markets_it_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a calibration that changes nothing, a leading market that is never heard."""
    call = ["backtest", "--data", str(folder), "--coin", "ETH", "--no-views", "--json", "--out", str(folder / "out")]
    edges = []
    for more in ([], ["--calibration", str(folder / "calibration.json")]):
        assert root.run([*call, *more]) == 0
        edges.append(json.loads(capsys.readouterr().out)["pnl_usd"])
    assert edges[0] != edges[1]
    alone = msgspec.structs.replace(artifact(), coin="BTC", size_decimals=5)
    (folder / "other.json").write_bytes(encode_calibration(alone))
    assert root.run([*call, "--calibration", str(folder / "other.json")]) != 0


def test_references_reach_the_strategy_between_the_events_of_the_recording() -> None:
    """Kills: a price heard before its time, or not at all."""
    columns = hypermm.synthetic_session(1, 120.0)
    recording = Recording.from_columns("ETH", columns)
    times = recording.book_time_ns[10:200:10] + 1
    prices = np.linspace(4000.0, 4100.0, times.size)
    heard: list[tuple[int, int, str, float]] = []

    class Listener:
        last_ns = 0

        def on_event(self, event: hypermm.Event) -> None:
            if event.kind == "reference":
                heard.append((self.last_ns, event.time_ns, event.name, event.price))
            self.last_ns = event.time_ns

        def quote(self, time_ns: int) -> None:
            return None

    config = hypermm.EngineConfig()
    hypermm.backtest(recording, ETH, config, strategy=Listener(), references={"BTC": (times, prices)})
    assert [time_ns for _, time_ns, _, _ in heard] == times.tolist()
    assert [price for *_, price in heard] == prices.tolist()
    assert all(before <= time_ns and name == "BTC" for before, time_ns, name, _ in heard)


def test_steps_of_the_ablation_add_one_part_each() -> None:
    """Kills: a step that is the one before, a whole model that is not the config's."""
    config = hypermm.EngineConfig(max_position=2.0)
    charge = AdverseSelectionFit(events=400, ratio=judged(0.9, 2.0, 0.9), tail_factor=judged(0.3, 2.5, 0.3))
    calibration = engine_calibration(artifact(adverse_selection=charge), ETH, CREATED)
    steps = step_configs(config, calibration)
    assert tuple(steps) == STEPS
    assert len(set(steps.values())) == len(STEPS)
    assert steps[STEPS[-1]] == config.replace(calibration=calibration)
    assert steps[STEPS[0]].inventory_curvature == 0.0
    assert [step for step in STEPS if steps[step].calibration is None] == list(STEPS[:3])
    # Kills: a part of the calibration other than volatility's lost in its step.
    fitted = steps[STEPS[3]].calibration
    assert fitted.fresh_noise_share.tolist() == [0.25, 0.25]
    assert (fitted.adverse_selection_ratio, fitted.tail_factor) == (0.9, 0.0)
    assert STEPS[3] not in step_configs(config, None)


def test_the_judge_is_plain_arithmetic_over_minutes() -> None:
    """Kills: profit of another span, size left out of a mean, blocks drawn apart for each step."""
    columns = hypermm.synthetic_session(2, 900.0)
    recording = Recording.from_columns("ETH", columns)
    configs = {"one": hypermm.EngineConfig(max_position=2.0), "two": hypermm.EngineConfig(max_position=1.0)}
    runs = {name: hypermm.backtest(recording, ETH, config) for name, config in configs.items()}
    rows = {
        row.step: row for row in judge("view", {name: [RunBlocks.of(run)] for name, run in runs.items()}, draws=200)
    }
    for name, result in runs.items():
        profit, fills = result.equity["profit_usd"], result.fills
        assert rows[name].figures["pnl_usd"][0] == pytest.approx(profit[-1] - profit[0], abs=1e-9)
        edge, size = fills["edge_bps"][:, 3], fills["size"]
        known = np.isfinite(edge) & np.isfinite(fills["markout_bps"][:, 3])
        mean = float((edge * size)[known].sum() / size[known].sum())
        assert rows[name].figures["edge_bps"][0] == pytest.approx(mean, abs=1e-9)
        assert rows[name].figures["largest_position"][0] == np.abs(result.equity["position"]).max()
        assert rows[name].fills == len(size)
    difference = rows["two"].figures["pnl_usd"][0] - rows["one"].figures["pnl_usd"][0]
    assert rows["two"].gain_usd[0] == pytest.approx(difference, abs=1e-9)
    assert math.isnan(rows["one"].gain_usd[0])
    one = [RunBlocks.of(runs["one"])]
    same = judge("view", {"a": one, "b": one}, draws=50)
    assert same[1].gain_usd == (0.0, 0.0, 0.0)
