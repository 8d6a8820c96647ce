"""`hypermm sweep`, `tune` and `gap` heed the settings that `hypermm backtest` heeds, or refuse them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow.parquet as parquet
import pytest

import hypermm
from hypermm.cli.root import run
from hypermm.config.calibration_file import encode_calibration
from hypermm.recording import Recording, load_recording
from hypermm.recording.write import write_recording
from hypermm.research.evaluate import mid_path
from hypermm.research.folds import folds_of
from hypermm.research.tune import tune
from test_calibration_file import artifact

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of two markets, a calibration of one whose second feature is the other, and settings that name it."""
    place = tmp_path_factory.mktemp("markets")
    for seed, (coin, price) in enumerate({"ETH": 4269.0, "BTC": 4300.0}.items()):
        write_recording(Recording.from_columns(coin, hypermm.synthetic_session(seed, 600.0, start_price=price)), place)
    fitted = artifact()
    accepted = (fitted.accepted[0], msgspec.structs.replace(fitted.accepted[1], name="lead"))
    verdicts = (fitted.features[0], msgspec.structs.replace(fitted.features[1], name="lead"))
    (place / "calibration.json").write_bytes(
        encode_calibration(msgspec.structs.replace(fitted, accepted=accepted, features=verdicts))
    )
    path = json.dumps(str(place / "calibration.json"))
    (place / "settings.toml").write_text(f"[run]\ncalibration = {path}\nmax_position_usd = 9000\n")
    (place / "grid.toml").write_text("[grid]\nlevels = [2]\n")
    return place


def answer_of(capsys: pytest.CaptureFixture[str], *line: str) -> Any:
    code = run([*line, "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


# Kills: a calibration of the settings that the engine never gets, a leading market that no run hears of.
def test_a_row_of_the_sweep_is_the_backtest_with_the_calibration_of_the_settings(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--data", str(folder), "--coin", "ETH", "--config", str(folder / "settings.toml"), "--set", "levels=2"]
    found = answer_of(
        capsys, "sweep", *line, "--grid", str(folder / "grid.toml"), "--view", "optimistic", "--out", str(tmp_path)
    )
    (row,) = parquet.read_table(found["results"]).to_pylist()
    alone = answer_of(capsys, "backtest", *line, "--no-views", "--out", str(tmp_path / "alone"))
    assert (row["pnl_usd"], row["fills"], row["edge_bps"]) == (alone["pnl_usd"], alone["fills"], alone["edge_bps"])
    plain = answer_of(
        capsys, "backtest", *line, "--set", "run.calibration=''", "--no-views", "--out", str(tmp_path / "plain")
    )
    assert plain["pnl_usd"] != row["pnl_usd"]


# Kills: the same for tune, where each fold is a run of its own and hears the leading market of its own span.
def test_tune_plays_the_calibration_of_the_settings_in_every_fold(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--data", str(folder), "--coin", "ETH", "--config", str(folder / "settings.toml")]
    line += ["--trials", "1", "--folds", "3", "--view", "optimistic", "--objective", "pnl_usd"]
    found = answer_of(capsys, "tune", *line, "--out", str(tmp_path / "on"))
    plain = answer_of(capsys, "tune", *line, "--set", "run.calibration=''", "--out", str(tmp_path / "off"))
    assert found["base"]["by_fold"] != plain["base"]["by_fold"]

    lead = hypermm.CalibratedFeature("lead", 0.3, 0.1)
    config = hypermm.EngineConfig(
        max_position=2.0, calibration=hypermm.Calibration(0.03, 0.01, [lead], [[0.09]], lead_market="BTC")
    )
    recording, instrument = load_recording(folder, "ETH"), hypermm.Instrument("ETH", 4, 25)
    other = mid_path(load_recording(folder, "BTC"))
    references = {"BTC": (other.time_ns, other.mid_price)}
    tuned = tune(
        recording,
        instrument,
        config,
        objectives=["pnl_usd"],
        trials=1,
        folds=3,
        fill_model="paper",
        references=references,
    )
    values = []
    for fold in folds_of(recording, 3):
        inside = (other.time_ns >= fold.start_ns) & (other.time_ns <= fold.end_ns)
        assert 10 < np.count_nonzero(inside) < len(inside)
        heard: dict[str, Any] = {"BTC": (other.time_ns[inside], other.mid_price[inside])}
        values.append((hypermm.backtest(fold, instrument, config, references=heard).summary()["pnl_usd"],))
        assert values[-1][0] != hypermm.backtest(fold, instrument, config).summary()["pnl_usd"]
    assert (*tuned.base.by_fold, tuned.base.held_out) == tuple(values)


# Kills: a view named calibrated that has another latency, or other numbers, than that of the backtest.
def test_the_calibrated_view_is_one_in_backtest_sweep_and_tune(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["--data", str(folder), "--coin", "ETH", "--set", "levels=2", "--set", "run.to_venue_ms=5"]
    views = answer_of(capsys, "backtest", *line, "--out", str(tmp_path / "alone"))["views"]
    found = answer_of(capsys, "sweep", *line, "--grid", str(folder / "grid.toml"), "--out", str(tmp_path / "swept"))
    rows = {row["view"]: row for row in parquet.read_table(found["results"]).to_pylist()}
    for view in views:
        row = rows[view["view"]]
        ours = (row["fills"], row["volume_usd"], row["pnl_usd"], row["edge_bps"], row["markout_bps_10s"])
        names = ("fills", "volume_usd", "pnl_usd", "edge_bps", "markout_bps")
        assert ours == tuple(view[name] for name in names), view["view"]
    line += ["--trials", "1", "--folds", "3", "--objective", "pnl_usd", "--fields", "levels"]
    tuned = answer_of(capsys, "tune", *line, "--out", str(tmp_path / "tuned"))
    recording, instrument = load_recording(folder, "ETH"), hypermm.Instrument("ETH", 4, 25)
    cap = instrument.round_size(10_000 / float(mid_path(recording).mid_price[0]))
    config = hypermm.EngineConfig(levels=2, max_position=cap)
    last = hypermm.backtest(
        folds_of(recording, 3)[-1], instrument, config, fill_model="calibrated", latency="venue"
    ).summary()
    assert tuned["base"]["held_out"] == [last["pnl_usd"]]


# Kills: a synthetic market played without the calibration that the settings name, and no word of it.
def test_gap_refuses_a_calibration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["gap", "--preset", "hype", "--seeds", "2", "--fit-seeds", "0", "--minutes", "1"]
    assert run([*line, "--config", str(folder / "settings.toml")]) == 2
    assert "run.calibration" in capsys.readouterr().err


# Kills: facts that a recording brings with it and that only the backtest reads.
@pytest.mark.parametrize("command", ["sweep", "tune"])
def test_facts_beside_the_recording_are_read(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recording(Recording.from_columns("MINE", hypermm.synthetic_session(1, 180.0)), tmp_path)
    (tmp_path / "instruments.toml").write_text('[[instrument]]\ncoin = "MINE"\nsize_decimals = 4\nmax_leverage = 5\n')
    (tmp_path / "grid.toml").write_text("[grid]\nlevels = [2]\n")
    more = {"sweep": ["--grid", str(tmp_path / "grid.toml")], "tune": ["--trials", "1", "--folds", "3"]}[command]
    assert answer_of(capsys, command, "--data", str(tmp_path), "--coin", "MINE", *more, "--out", str(tmp_path / "out"))
