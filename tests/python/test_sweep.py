"""A sweep is its runs alone, to the bit, wherever it is played and however often it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

import hypermm
from hypermm import EngineConfig, Instrument
from hypermm.cli.root import run
from hypermm.exceptions import HypermmError, InvalidConfigError, InvalidInputError
from hypermm.recording import Recording
from hypermm.recording.write import write_recording
from hypermm.research.grid import load_grid
from hypermm.research.views import view_models

if TYPE_CHECKING:
    import pyarrow as arrow

INSTRUMENT = Instrument("ETH", 4, 25)
BASE = EngineConfig(max_position=2.0)
GRID: dict[str, list[Any]] = {"risk_aversion": [0.01, 0.04], "levels": [2, 3, 9], "clip": [None, 0.05]}
CONFIGS = [
    BASE.replace(risk_aversion=gamma, levels=levels, clip=clip)
    for gamma in GRID["risk_aversion"]
    for levels in GRID["levels"]
    for clip in GRID["clip"]
]
SETTINGS: dict[str, Any] = {"seed": 3, "cycle_ns": 100_000_000, "latency": (20_000_000, 40_000_000)}


def market(seed: int = 7, duration_s: float = 240.0) -> Recording:
    return Recording.from_columns("ETH", hypermm.synthetic_session(seed, duration_s))


@pytest.fixture(scope="module")
def recording() -> Recording:
    return market()


@pytest.fixture(scope="module")
def alone(recording: Recording) -> arrow.Table:
    return hypermm.sweep(recording, INSTRUMENT, CONFIGS, **SETTINGS)


# Kills: a run that hears of another, a view that is mixed up or of another latency than the backtest's, a row in the
# wrong place, a setting not passed on.
def test_every_row_is_what_the_backtest_says_of_that_run_to_the_bit(recording: Recording, alone: arrow.Table) -> None:
    rows = alone.to_pylist()
    assert len(rows) == len(CONFIGS) * 3
    runs = [(config, view, model) for config in CONFIGS for view, model in view_models().items()]
    fills = 0
    for row, (config, view, model) in zip(rows, runs, strict=True):
        timing = {"latency": "venue"} if view == "calibrated" else {}
        result = hypermm.backtest(recording, INSTRUMENT, config, fill_model=model, **(SETTINGS | timing))
        summary = result.summary()
        assert row["view"] == view
        assert CONFIGS[row["point"]] == config
        assert {name: row[name] for name in config.to_dict()} == config.to_dict()
        for name, value in row.items():
            if name in summary:
                assert value == summary[name], name
        for horizon, markout in summary["markout_bps"].items():
            assert row[f"markout_bps_{horizon}"] == markout
        profit = np.append(0.0, result.equity["profit_usd"])
        assert row["max_drawdown_usd"] == (np.maximum.accumulate(profit) - profit).max()
        fills += row["fills"]
    assert fills > 100
    assert len({row["pnl_usd"] for row in rows}) > len(CONFIGS)


def test_a_grid_is_every_combination_with_the_last_field_fastest(recording: Recording) -> None:
    rows = hypermm.sweep(recording, INSTRUMENT, {"levels": [2, 3], "risk_aversion": [0.01, 0.02]}, **SETTINGS)
    optimistic = [row for row in rows.to_pylist() if row["view"] == "optimistic"]
    assert [(row["levels"], row["risk_aversion"]) for row in optimistic] == [(2, 0.01), (2, 0.02), (3, 0.01), (3, 0.02)]


# Kills: rows that depend on how runs are cut into chunks and threads.
def test_rows_do_not_depend_on_chunks_and_threads(recording: Recording, alone: arrow.Table) -> None:
    for chunk, threads in ((1, 1), (5, 2), (100, 3)):
        assert hypermm.sweep(recording, INSTRUMENT, CONFIGS, chunk=chunk, threads=threads, **SETTINGS).equals(alone)


def test_processes_find_the_same_with_columns_and_with_a_folder(
    recording: Recording, alone: arrow.Table, tmp_path: Path
) -> None:
    write_recording(recording, tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert hypermm.sweep(recording, INSTRUMENT, CONFIGS, pool, chunk=4, **SETTINGS).equals(alone)
        assert hypermm.sweep((tmp_path, "ETH"), INSTRUMENT, CONFIGS, pool, chunk=4, **SETTINGS).equals(alone)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_two_workers_of_dask_find_the_same(recording: Recording, alone: arrow.Table, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            local_directory=str(tmp_path),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        told: list[tuple[int, int]] = []
        executor = client.get_executor()
        rows = hypermm.sweep(
            recording, INSTRUMENT, CONFIGS, executor, chunk=2, progress=lambda *done: told.append(done), **SETTINGS
        )
        assert rows.equals(alone)
        assert told == [(done, 6) for done in range(1, 7)]
        busy = {worker for workers in client.who_has().values() for worker in workers}
        assert len(client.scheduler_info()["workers"]) == 2, busy


KILLED = """
import sys, hypermm
sys.path.insert(0, sys.argv[1])
from test_sweep import CONFIGS, INSTRUMENT, SETTINGS, market
hypermm.sweep(market(duration_s=1200.0), INSTRUMENT, CONFIGS, out=sys.argv[2], chunk=1, threads=1, **SETTINGS)
"""


# Kills: a part that counts before it is whole, a plan that is forgotten, rows that a second life finds differently.
def test_a_sweep_killed_in_the_middle_ends_with_the_same_files(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(Path(__file__).parent), str(killed)])
    while len(list(killed.glob("part-*.parquet"))) < 3 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = {path.name: path.stat().st_mtime_ns for path in killed.glob("part-*.parquet")}
    assert 3 <= len(kept) < len(CONFIGS)
    assert not (killed / "results.parquet").exists()

    long = market(duration_s=1200.0)
    told: list[tuple[int, int]] = []
    arguments: dict[str, Any] = {"chunk": 1, **SETTINGS}
    rows = hypermm.sweep(long, INSTRUMENT, CONFIGS, out=killed, progress=lambda *done: told.append(done), **arguments)
    assert told[-1] == (long.events * 3 * (len(CONFIGS) - len(kept)),) * 2, "what was done was played again"
    assert rows.equals(hypermm.sweep(long, INSTRUMENT, CONFIGS, out=whole, **arguments))
    for name in ("results.parquet", "sweep.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert sorted(path.name for path in whole.iterdir()) == ["results.parquet", "sweep.json"]
    assert parquet.ParquetFile(whole / "results.parquet").num_row_groups == len(CONFIGS)
    print(f"killed after {len(kept)} of {len(CONFIGS)} parts; the files of the second life are those of one")

    # A sweep that is done is read, not played.
    told.clear()
    hypermm.sweep(long, INSTRUMENT, CONFIGS, out=killed, progress=lambda *done: told.append(done), **arguments)
    assert told == []


@pytest.mark.parametrize("what", ["recording", "grid", "seed", "cycle_ns", "latency", "views", "chunk", "instrument"])
def test_a_folder_of_another_sweep_is_refused_by_what_differs(what: str, recording: Recording, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"views": {"optimistic": "paper"}, "chunk": 2, **SETTINGS}
    hypermm.sweep(recording, INSTRUMENT, CONFIGS[:2], out=tmp_path, **arguments)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other: dict[str, Any] = {"recording": recording, "instrument": INSTRUMENT, "configs": CONFIGS[:2], **arguments}
    other |= {
        "recording": {"recording": market(8)},
        "grid": {"configs": [CONFIGS[0], CONFIGS[2]]},
        "seed": {"seed": 4},
        "cycle_ns": {"cycle_ns": 1},
        "latency": {"latency": 1},
        "views": {"views": {"optimistic": "default"}},
        "chunk": {"chunk": 1},
        "instrument": {"instrument": Instrument("ETH", 3, 25)},
    }[what]
    with pytest.raises(InvalidInputError, match=f"out: {what}"):
        hypermm.sweep(out=tmp_path, **other)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# Kills: a folder that goes on under code that fills, or computes, otherwise than the rows it holds.
@pytest.mark.parametrize("what", ["version", "views"])
def test_a_sweep_does_not_go_on_under_other_code(
    what: str, recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {"views": {"calibrated": "calibrated"}, "out": tmp_path, **SETTINGS}
    hypermm.sweep(recording, INSTRUMENT, CONFIGS[:1], **arguments)
    if what == "version":
        monkeypatch.setattr("hypermm.research.sweep.version", lambda _name: "0.0.0")
    else:
        monkeypatch.setattr(hypermm, "fill_calibration", lambda _coin: (3.0, 0.5, 0.25))
    with pytest.raises(InvalidInputError, match=f"out: {what}"):
        hypermm.sweep(recording, INSTRUMENT, CONFIGS[:1], **arguments)


# Kills: a worker that goes on with the recording a folder held before, or plays one that was written after the start.
def test_workers_play_the_recording_that_is_swept(recording: Recording, tmp_path: Path) -> None:
    other = market(8)
    arguments: dict[str, Any] = {"instrument": INSTRUMENT, "configs": CONFIGS[:1], **SETTINGS}

    class Late(ThreadPoolExecutor):
        def submit(self, *task: Any) -> Any:  # type: ignore[override]
            write_recording(other, tmp_path)
            return super().submit(*task)

    with ThreadPoolExecutor(1) as pool:
        for held in (recording, other, recording):
            write_recording(held, tmp_path)
            there = hypermm.sweep((tmp_path, "ETH"), executor=pool, **arguments)
            assert there.equals(hypermm.sweep(held, **arguments))
    write_recording(market(9), tmp_path)
    with Late(1) as pool, pytest.raises(InvalidInputError, match="hash"):
        hypermm.sweep((tmp_path, "ETH"), executor=pool, **arguments)


def test_wrong_arguments_are_refused_by_name(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "foreign.parquet").write_bytes(b"mine")
    for wrong, field in (
        ({"configs": []}, "configs"),
        ({"configs": [BASE, 3]}, "configs[1]"),
        ({"executor": "dask"}, "executor"),
        ({"chunk": 0}, "chunk"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"views": {"mine": "nobody"}}, "fill_model"),
        ({"latency": "vanue"}, "latency"),
        ({"out": tmp_path}, "out"),
        ({"configs": {"levels": [2, 99]}}, "levels"),
        ({"configs": {"levels": []}}, "levels"),
        ({"configs": {"levels": 3}}, "levels"),
        ({"configs": {"level": [3]}}, "level"),
        ({"configs": {name: list(range(1, 33)) for name in ("levels", "clip", "depth_decay", "max_position")}}, "grid"),
    ):
        arguments: dict[str, Any] = {"recording": recording, "instrument": INSTRUMENT, "configs": CONFIGS[:1], **wrong}
        with pytest.raises(HypermmError) as refused:
            hypermm.sweep(**arguments)
        assert refused.value.field == field


# Kills: a calibration that is left out of the runs, or of what tells one grid from another.
def test_calibrations_are_swept_and_told_apart(recording: Recording, tmp_path: Path) -> None:
    calibrated = [BASE.replace(calibration=hypermm.Calibration(kappa, 0.01)) for kappa in (0.01, 0.2)]
    views = {"optimistic": "paper"}
    rows = hypermm.sweep(recording, INSTRUMENT, [BASE, *calibrated], views=views, out=tmp_path, **SETTINGS).to_pylist()
    for row, config in zip(rows, (BASE, *calibrated), strict=True):
        assert row["pnl_usd"] == hypermm.backtest(recording, INSTRUMENT, config, **SETTINGS).summary()["pnl_usd"]
    assert len({row["pnl_usd"] for row in rows}) == 3
    with pytest.raises(InvalidInputError, match="out: grid"):
        hypermm.sweep(recording, INSTRUMENT, [BASE, *calibrated[::-1]], views=views, out=tmp_path, **SETTINGS)


# Kills: prices of other markets that a run does not hear of, here or in a worker, or that a folder does not know.
def test_prices_of_other_markets_reach_every_run(recording: Recording, tmp_path: Path) -> None:
    lead = hypermm.CalibratedFeature("lead", 0.3, 0.1)
    config = BASE.replace(calibration=hypermm.Calibration(0.03, 0.01, [lead], [[0.09]], lead_market="BTC"))
    times_ns = recording.best_time_ns[::20] + 1
    prices = 1e5 * np.exp(1e-4 * np.cumsum(np.random.default_rng(0).standard_normal(len(times_ns))))
    references = {"BTC": (times_ns, prices)}
    arguments: dict[str, Any] = {"views": {"optimistic": "paper"}, **SETTINGS}
    (row,) = hypermm.sweep(
        recording, INSTRUMENT, [config], references=references, out=tmp_path, **arguments
    ).to_pylist()
    alone = hypermm.backtest(recording, INSTRUMENT, config, references=references, **SETTINGS).summary()
    assert (row["pnl_usd"], row["fills"]) == (alone["pnl_usd"], alone["fills"])
    assert row["pnl_usd"] != hypermm.backtest(recording, INSTRUMENT, config, **SETTINGS).summary()["pnl_usd"]
    with ThreadPoolExecutor(1) as pool:
        there = hypermm.sweep(recording, INSTRUMENT, [config], pool, references=references, **arguments).to_pylist()
    assert there == [row]
    with pytest.raises(InvalidInputError, match="out: references"):
        hypermm.sweep(recording, INSTRUMENT, [config], out=tmp_path, **arguments)


# Kills: a refused row whose place in the user's file is not said, here or by a worker.
def test_a_price_off_the_grid_is_refused_with_file_and_row(recording: Recording, tmp_path: Path) -> None:
    prices = recording.trade_price.copy()
    prices[40] += 0.000_123
    wrong = Recording.from_columns("ETH", recording.columns() | {"trade_price": prices})
    write_recording(wrong, tmp_path)
    arguments: dict[str, Any] = {"instrument": INSTRUMENT, "configs": CONFIGS[:1], **SETTINGS}
    with ThreadPoolExecutor(1) as pool:
        for executor in (None, pool):
            with pytest.raises(InvalidInputError, match=r"trades_ETH\.parquet row 40"):
                hypermm.sweep((tmp_path, "ETH"), executor=executor, **arguments)
    with pytest.raises(InvalidInputError, match="trade row 40"):
        hypermm.sweep(wrong, **arguments)


def test_what_progress_raises_ends_the_sweep(recording: Recording) -> None:
    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        hypermm.sweep(recording, INSTRUMENT, CONFIGS, progress=stop, **SETTINGS)


@pytest.mark.parametrize(
    ("text", "line", "field", "hint"),
    [
        ("[grid]\nlevels = [2, 3]\nrisk_aversio = [0.1]\n", 3, "risk_aversio", "did you mean risk_aversion?"),
        ("[grid]\nlevels = [2, 3]\n\nrisk_aversion = [0.1, -1]\n", 4, "risk_aversion", "too low"),
        ("[grid]\nlevels = 3\n", 2, "levels", "write levels = [3]"),
        ("[grid]\nlevels = []\n", 2, "levels", ""),
        ("[grid]\nlevels = [2.5]\n", 2, "levels", ""),
        ("levels = [2]\n", 1, "levels", "below [grid]"),
        ("[gird]\nlevels = [2]\n", 1, "gird", "did you mean grid?"),
        ("[[points]]\nlevels = 2\n[[points]]\nclip = 0.1\nlevels = 99\n", 5, "levels", "too high"),
        ("[[points]]\nlevels = 2\n[[points]]\nlevel = 3\n", 4, "level", "did you mean levels?"),
    ],
)
def test_a_wrong_grid_file_is_refused_with_line_key_and_mend(
    text: str, line: int, field: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfigError) as refused:
        load_grid(path)
    assert f"{path} line {line}" in str(refused.value)
    assert field in str(refused.value)
    assert hint in refused.value.hint


def test_a_grid_file_lists_points_or_combinations(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text("[grid]\nhorizon_min_s = [700.0, 800]\nhorizon_max_s = [900]\n")
    assert [config.horizon_min_s for config in load_grid(path, BASE)] == [700.0, 800.0]
    path.write_text("[[points]]\nlevels = 2\n[[points]]\nclip = 0.5\n")
    assert load_grid(path, BASE) == [BASE.replace(levels=2), BASE.replace(clip=0.5)]
    for text in ("", "[grid]\n", "[[points]]\n[grid]\n", "grid = [", "points = 3\n"):
        path.write_text(text)
        with pytest.raises(InvalidConfigError, match=r"grid\.toml"):
            load_grid(path)


def test_the_command_writes_what_the_function_finds(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(recording, tmp_path / "data")
    (tmp_path / "grid.toml").write_text("[grid]\nrisk_aversion = [0.01, 0.02]\nlevels = [2, 3]\n")
    line = ["sweep", "--data", str(tmp_path / "data"), "--coin", "ETH"]
    line += ["--grid", str(tmp_path / "grid.toml"), "--set", "max_position=2.0"]
    tables = []
    for name, more in (("here", []), ("there", ["--workers", "2", "--chunk", "2"]), ("one", ["--view", "calibrated"])):
        code = run([*line, "--out", str(tmp_path / name), "--json", *more])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        answer = json.loads(printed.out)
        assert answer["configurations"] == 4
        tables.append(parquet.read_table(answer["results"]))
    assert tables[0].equals(tables[1])
    assert tables[2].to_pylist() == [row for row in tables[0].to_pylist() if row["view"] == "calibrated"]
    best = answer["best"]["calibrated"]
    assert best[0]["edge_bps"] == max(row["edge_bps"] for row in tables[2].to_pylist())
    assert run([*line, "--out", str(tmp_path / "table")]) == 0
    shown = capsys.readouterr().out
    assert "ETH, pessimistic: the best by edge of 4 configurations" in shown
    assert "risk aversion" in shown
    assert run([*line, "--out", str(tmp_path / "here"), "--set", "seed=9"]) == 2
    assert "out: seed = 9" in capsys.readouterr().err
