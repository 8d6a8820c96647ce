"""Tuning: trials that follow from the seed, folds that are runs of their own, a last fold no trial was chosen by."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hypermm
from hypermm import EngineConfig, Instrument
from hypermm.cli.root import run
from hypermm.exceptions import HypermmError, InvalidConfigError, InvalidInputError
from hypermm.recording import Recording
from hypermm.recording.write import write_recording
from hypermm.research.folds import folds_of
from hypermm.research.ranges import FieldRange, default_ranges, load_ranges
from hypermm.research.tune import TuneResult, tune

INSTRUMENT = Instrument("ETH", 4, 25)
BASE = EngineConfig(max_position=2.0)
RANGES = {"risk_aversion": FieldRange("float", 0.005, 0.1), "levels": FieldRange("integer", 1, 4)}
TRIALS = 20


def market(seed: int = 7, duration_s: float = 600.0) -> Recording:
    return Recording.from_columns("ETH", hypermm.synthetic_session(seed, duration_s))


def search(recording: Recording, **changes: Any) -> TuneResult:
    arguments: dict[str, Any] = {"trials": TRIALS, "ranges": RANGES, "folds": 3, "seed": 5, **changes}
    return tune(recording, INSTRUMENT, BASE, **arguments)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return market()


@pytest.fixture(scope="module")
def result(recording: Recording) -> TuneResult:
    return search(recording)


def _alone(fold: Recording, fields: dict[str, Any]) -> dict[str, Any]:
    config = BASE.replace(**fields)
    return hypermm.backtest(fold, INSTRUMENT, config, seed=5, fill_model=("power", 1.0)).summary()


# Kills: a fold that hears of another, values of the wrong fold, a mean that is not weighted, a drawdown that is summed.
def test_values_are_those_of_backtests_of_each_fold(recording: Recording, result: TuneResult) -> None:
    first, second, last = folds_of(recording, 3)
    assert sum(fold.events for fold in (first, second, last)) == recording.events
    assert first.end_ns < second.start_ns <= second.end_ns < last.start_ns
    for point in (result.points[0], result.points[7], result.front[0]):
        before = [_alone(fold, point.fields) for fold in (first, second)]
        assert point.by_fold == tuple((run["edge_bps"], run["max_drawdown_usd"]) for run in before)
        volumes = [run["volume_usd"] for run in before]
        edge = sum(run["edge_bps"] * volume for run, volume in zip(before, volumes, strict=True)) / sum(volumes)
        assert point.values[0] == pytest.approx(edge, rel=1e-12)
        assert point.values[1] == max(run["max_drawdown_usd"] for run in before)
    held_out = _alone(last, result.front[0].fields)
    assert result.front[0].held_out == (held_out["edge_bps"], held_out["max_drawdown_usd"])
    base = _alone(last, {})
    assert result.base.held_out == (base["edge_bps"], base["max_drawdown_usd"])


# Kills: a front that is the best only, one with a dominated point, a direction the wrong way round.
def test_the_front_is_what_no_other_trial_is_better_than_in_both(result: TuneResult) -> None:
    values = np.array([(point.values[0], -point.values[1]) for point in result.points])
    beaten = [bool(np.any(np.all(values >= mine, axis=1) & np.any(values > mine, axis=1))) for mine in values]
    front = {point.trial for point, is_beaten in zip(result.points, beaten, strict=True) if not is_beaten}
    assert {point.trial for point in result.front} == front
    assert 0 < len(front) < len(result.points) == TRIALS
    edges = [point.values[0] for point in result.front]
    assert edges == sorted(edges, reverse=True)
    assert {point.trial for point in result.points if point.held_out} == front
    assert result.points[0].fields == {"risk_aversion": BASE.risk_aversion, "levels": BASE.levels}


# Kills: a step that sees the fold it is judged in.
def test_each_step_takes_the_best_of_the_folds_before(result: TuneResult) -> None:
    assert [step.fold for step in result.walk] == [1, 2]
    assert [step.candidates for step in result.walk] == [16, TRIALS]
    first = max(result.points[:16], key=lambda point: point.by_fold[0][0] or -np.inf)
    assert result.walk[0].trial == first.trial
    assert result.walk[0].after == first.by_fold[1]
    assert result.walk[1].trial == result.front[0].trial
    assert result.walk[1].after == result.front[0].held_out
    assert result.walk[1].base == result.base.held_out


# Kills: a step that chooses among trials the sampler proposed after it had seen the fold the step is judged in.
def test_a_step_chooses_among_trials_no_fold_had_a_say_in(recording: Recording) -> None:
    arguments: dict[str, Any] = {"trials": 48, "folds": 4, "objectives": ["pnl_usd"]}
    result, other = search(recording, **arguments), search(market(10), **arguments)
    blind = result.walk[0].candidates
    fields = [[point.fields for point in found.points] for found in (result, other)]
    assert fields[0][:blind] == fields[1][:blind]
    assert fields[0][blind] != fields[1][blind]
    assert [step.candidates for step in result.walk] == [16, 16, 48]
    assert all(step.trial < blind for found in (result, other) for step in found.walk[:-1])
    best = [max(found.points, key=lambda point: point.by_fold[0][0] or -np.inf) for found in (result, other)]
    assert any(point.trial >= blind for point in best), "choosing among all would have been the same"


# Kills: a search that goes on with trials that other code has played.
@pytest.mark.parametrize("what", ["version", "fill_model"])
def test_a_search_does_not_go_on_under_other_code(
    what: str, recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"trials": 1, "fill_model": "calibrated", "out": tmp_path}
    search(recording, **arguments)
    if what == "version":
        monkeypatch.setattr("hypermm.research.tune.version", lambda _name: "0.0.0")
    else:
        monkeypatch.setattr(hypermm, "fill_calibration", lambda _coin: (3.0, 0.5, 0.25))
    with pytest.raises(InvalidInputError, match=f"out: {what}"):
        search(recording, **arguments)


# Kills: a sampler without a seed, trials that depend on which thread came first.
def test_the_seed_alone_decides_the_trials(recording: Recording, result: TuneResult) -> None:
    assert search(recording, threads=1) == result
    other = search(recording, seed=6)
    assert [point.fields for point in other.points[1:]] != [point.fields for point in result.points[1:]]


def test_trials_stay_in_their_ranges_and_use_them(result: TuneResult) -> None:
    for name, place in RANGES.items():
        tried = [point.fields[name] for point in result.points]
        assert place.low <= min(tried) < max(tried) <= place.high
    assert {type(point.fields["levels"]) for point in result.points} == {int}


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from test_tune import market, search
search(market(), out=sys.argv[2], threads=1, trials=2000)
"""


# Kills: a second life that repeats its draws, forgets trials, or counts those that never came to a value.
def test_a_search_killed_in_the_middle_comes_to_the_same(
    recording: Recording, result: TuneResult, tmp_path: Path
) -> None:
    kept = tmp_path / "trials.json"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)])
    while process.poll() is None and not kept.exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = json.loads(kept.read_text("utf-8"))["trials"]
    assert len(before) % 8 == 0
    # As if it had been killed within its second batch, however far it came.
    kept.write_text(json.dumps(json.loads(kept.read_text("utf-8")) | {"trials": before[:8]}), "utf-8")
    told: list[tuple[int, int]] = []
    again = search(recording, out=tmp_path, progress=lambda *done: told.append(done))
    assert again == result
    assert told[0] == (16, TRIALS), "trials of the first life were tried again"
    with pytest.raises(InvalidInputError, match="out: seed"):
        search(recording, out=tmp_path, seed=6)
    with pytest.raises(InvalidInputError, match="out: recording"):
        search(market(8), out=tmp_path)


def test_combinations_the_configuration_refuses_are_left_out(recording: Recording) -> None:
    ranges = {"horizon_min_s": FieldRange("float", 1.0, 20.0), "horizon_max_s": FieldRange("float", 2.0, 30.0)}
    found = search(recording, ranges=ranges, objectives=["pnl_usd"])
    assert 0 < len(found.points) < TRIALS
    assert all(point.fields["horizon_min_s"] <= point.fields["horizon_max_s"] for point in found.points)
    assert len(found.front) == 1
    assert found.front[0].values[0] == max(point.values[0] for point in found.points)


def test_default_ranges_are_a_decade_to_either_side_within_what_is_legal() -> None:
    ranges = default_ranges(BASE, ["risk_aversion", "levels", "max_gain", "informed_volatility", "terminal_penalty"])
    assert ranges["risk_aversion"] == FieldRange("float", 0.0015, 0.15)
    assert ranges["levels"] == FieldRange("integer", 1.0, 30.0)
    assert ranges["max_gain"] == FieldRange("float", pytest.approx(0.09), 0.999)
    assert ranges["informed_volatility"] == FieldRange("float", 0.0, 10.0)
    assert ranges["terminal_penalty"].kind == "bool"
    assert ranges["risk_aversion"].is_log
    assert not ranges["informed_volatility"].is_log
    with pytest.raises(InvalidConfigError, match="a range"):
        default_ranges(BASE, ["clip"])


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("[ranges]\nlevel = [1, 2]\n", 2, "did you mean levels?"),
        ("[ranges]\nlevels = [1, 99]\n", 2, "too high"),
        ("[ranges]\nlevels = [3, 2]\n", 2, ""),
        ("[ranges]\nlevels = 3\n", 2, ""),
        ("[range]\nlevels = [1, 2]\n", 1, "did you mean ranges?"),
    ],
)
def test_a_wrong_file_of_ranges_is_refused_with_line_and_mend(text: str, line: int, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "ranges.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfigError) as refused:
        load_ranges(path)
    assert f"{path} line {line}" in str(refused.value)
    assert hint in refused.value.hint


def test_wrong_arguments_are_refused_by_name(recording: Recording) -> None:
    for wrong, field in (
        ({"objectives": ["sharpe"]}, "objectives"),
        ({"objectives": []}, "objectives"),
        ({"trials": 0}, "trials"),
        ({"folds": 2}, "folds"),
        ({"folds": 101}, "folds"),
    ):
        with pytest.raises(HypermmError) as refused:
            search(recording, **wrong)
        assert refused.value.field == field
    quiet = recording.columns() | {
        name: column[:1]
        for name, column in recording.columns().items()
        if "book" in name or "bid_" in name[:4] or "ask_" in name[:4]
    }
    with pytest.raises(InvalidInputError, match="folds"):
        search(Recording.from_columns("ETH", quiet))


def test_the_command_writes_a_page_and_says_what_holds(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(recording, tmp_path / "data")
    line = ["tune", "--data", str(tmp_path / "data"), "--coin", "ETH", "--trials", "4", "--folds", "3"]
    line += ["--fields", "risk_aversion,levels", "--out", str(tmp_path / "out"), "--set", "max_position=2.0"]
    assert run([*line, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["objectives"] == ["edge_bps", "max_drawdown"]
    assert answer["trials"] == 4
    assert answer["front"][0]["held_out"][0] is not None
    page = Path(answer["page"]).read_text("utf-8")
    for text in (
        "held out",
        "Walking forward",
        "at random",
        "all 4, held out",
        "risk_aversion",
        "largest drawdown, USD",
        "plotly",
    ):
        assert text in page
    assert 'src="http' not in page
    assert run(line) == 0
    shown = capsys.readouterr().out
    assert "held out edge bps" in shown
    assert "Walking forward" in shown
    assert "drawn at random" in " ".join(shown.split())
    (tmp_path / "ranges.toml").write_text("[ranges]\nlevels = [1, 99]\n")
    assert run([*line[:-4], "--ranges", str(tmp_path / "ranges.toml")]) == 2
    assert run(["tune", "--data", str(tmp_path / "data"), "--coin", "ETH", "--objective", "sharpe"]) == 2
    assert "sharpe" in capsys.readouterr().err
