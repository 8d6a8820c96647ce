"""The command line: the main job on a small session, --json everywhere, one line for wrong input."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

import hypermm
from hypermm.cli.root import run
from hypermm.config import RunConfig
from hypermm.exceptions import InternalError
from hypermm.recording import Recording, load_recording
from hypermm.recording.write import write_recording
from hypermm.research.evaluate import markout_curve, mid_path, profit_split

FIELDS = [
    "fills", "buy_fills", "sell_fills", "volume_usd", "pnl_usd", "fees_usd", "funding_usd", "edge_bps", "markout_bps",
    "max_abs_position", "final_position", "quote_cycles", "two_sided_share", "events", "events_per_s", "wall_s",
]  # fmt: skip
CLOCKS = ("events_per_s", "wall_s")


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten minutes of a synthetic market called ETH."""
    folder = tmp_path_factory.mktemp("session")
    write_recording(Recording.from_columns("ETH", hypermm.synthetic_session(3, 600.0)), folder)
    return folder


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert len(printed.out.splitlines()) == 1
    return json.loads(printed.out)


def _without_clocks(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name not in CLOCKS}


def test_backtest_prints_every_field_and_writes_fills_decisions_and_page(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = _json(capsys, "backtest", "--data", str(session), "--coin", "ETH", "--out", str(tmp_path), "--json")
    assert set(FIELDS) <= set(summary)
    assert {"1s", "5s", "10s", "30s", "60s"} <= set(summary["markout_bps"])
    fills = parquet.read_table(tmp_path / "fills.parquet").to_pydict()
    decisions = parquet.read_table(tmp_path / "decisions.parquet")
    assert len(fills["price"]) == summary["fills"] == summary["buy_fills"] + summary["sell_fills"] > 10
    assert decisions.num_rows == summary["quote_cycles"]
    assert summary["two_sided_share"] > 0.9
    assert set(summary["breakdown"]) == {"all", "side", "level", "age", "regime", "cancel_race"}
    whole = summary["breakdown"]["all"]["all"]["10s"]
    assert (whole["edge_bps"], whole["markout_bps"]) == pytest.approx(
        (summary["edge_bps"], summary["markout_bps"]["10s"])
    )
    assert whole["adverse_share"] == pytest.approx(summary["adverse_share"])
    assert {"level", "age_s", "regime", "is_cancel_race"} <= set(fills)
    volume = float(np.dot(fills["price"], fills["size"]))
    assert volume == pytest.approx(summary["volume_usd"])
    assert sum(fills["fee_usd"]) == pytest.approx(summary["fees_usd"])
    position = float(np.dot(np.asarray(fills["side"], float), fills["size"]))
    assert position == pytest.approx(summary["final_position"], abs=1e-9)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<script src=") == 0
    for chart in ('id="timeline"', 'id="markout"', 'id="sources"'):
        assert chart in page


def test_reported_markouts_edge_and_split_are_those_of_the_fills(session: Path) -> None:
    recording = load_recording(session, "ETH")
    instrument = hypermm.Instrument("ETH", 4, 25)
    result = hypermm.backtest(
        recording,
        instrument,
        hypermm.EngineConfig(max_position=2.0),
        seed=5,
        fill_model="default",
        cycle_ns=250_000_000,
    )
    summary = result.summary()
    path = mid_path(recording)
    curve = markout_curve(result.fills, path, [1.0, 5.0, 10.0, 30.0, 60.0])
    reported = [summary["markout_bps"][f"{horizon:g}s"] for horizon in curve.horizon_s]
    print("markouts, reported and judged:", reported, curve.mean_bps.tolist())
    assert curve.mean_bps == pytest.approx(reported, abs=1e-6)
    fills = result.fills
    side, price, placed = np.asarray(fills["side"], float), fills["price"], fills["mid_at_placement"]
    later = path.at(np.asarray(fills["time_ns"]) + 10_000_000_000)
    edge = side * (later - price) / placed * 1e4 - fills["fee_usd"] / (price * fills["size"]) * 1e4
    inside = np.isfinite(later)
    weight = fills["size"][inside]
    assert summary["edge_bps"] == pytest.approx(float(np.average(edge[inside], weights=weight)), abs=0.02)
    split = profit_split(fills, result.equity, path)
    parts = ("spread_capture", "adverse_selection", "inventory", "fees", "funding")
    assert sum(getattr(split, name)[-1] for name in parts) == pytest.approx(summary["pnl_usd"], abs=1e-6)
    assert split.spread_capture[-1] == pytest.approx(summary["spread_capture_usd"], abs=1e-6)


def test_one_seed_gives_one_result_and_another_seed_another(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def summary(seed: str, folder: str) -> dict[str, Any]:
        arguments = [
            "backtest",
            "--data",
            str(session),
            "--coin",
            "ETH",
            "--seed",
            seed,
            "--out",
            str(tmp_path / folder),
        ]
        return _without_clocks(_json(capsys, *arguments, "--json"))

    assert summary("1", "a") == summary("1", "b")
    assert (tmp_path / "a" / "fills.parquet").read_bytes() == (tmp_path / "b" / "fills.parquet").read_bytes()
    assert summary("2", "c") != summary("1", "d")


def test_settings_reach_the_engine(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[engine]\nmax_position = 0.2\nlevels = 2\n[run]\ncycle_ms = 1000\n")
    base = [
        "backtest",
        "--data",
        str(session),
        "--coin",
        "ETH",
        "--out",
        str(tmp_path),
        "--config",
        str(config),
        "--json",
    ]
    summary = _json(capsys, *base)
    assert 0 < summary["max_abs_position"] <= 0.2
    faster = _json(capsys, *base, "--cycle-ms", "250")
    assert faster["quote_cycles"] > 3 * summary["quote_cycles"]
    more = _json(capsys, *base, "--set", "max_position=0.1", "--fill-model", "default")
    assert 0 < more["max_abs_position"] <= 0.1


# Kills: a session that ignores preset, seed, minutes or settings; fees of another market; a summary without the venue.
def test_a_session_at_the_matching_venue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def summary(folder: str, *more: str) -> dict[str, Any]:
        line = ["backtest", "--venue", "matching", "--minutes", "10", "--out", str(tmp_path / folder), "--json", *more]
        return _without_clocks(_json(capsys, *line))

    first = summary("a")
    assert set(FIELDS) - set(CLOCKS) <= set(first)
    assert first["end_ns"] - first["start_ns"] == 600_000_000_000
    assert first["fees_usd"] / first["volume_usd"] == pytest.approx(1.44e-4, rel=1e-3)
    assert first["watch"]["max_long_with_orders"] >= first["watch"]["max_long"] > 0
    assert [view["view"] for view in first["views"]] == ["pessimistic", "calibrated", "optimistic"]
    assert summary("b", "--preset", "hype", "--seed", "0") == first
    assert (tmp_path / "a" / "fills.parquet").read_bytes() == (tmp_path / "b" / "fills.parquet").read_bytes()
    fills = parquet.read_table(tmp_path / "a" / "fills.parquet").to_pydict()
    position = float(np.dot(np.asarray(fills["side"], float), fills["size"]))
    assert position == pytest.approx(first["final_position"], abs=1e-9)
    page = (tmp_path / "a" / "report.html").read_text("utf-8")
    for part in ('id="timeline"', 'id="markout"', 'id="sources"', "HYPE, matching venue", "watch max long"):
        assert part in page
    assert summary("c", "--seed", "1")["fills"] != first["fills"]
    assert summary("d", "--preset", "eth", "--no-views")["volume_usd"] != first["volume_usd"]
    capped = summary("e", "--set", "max_position=20", "--no-views")
    assert 0 < capped["max_abs_position"] <= capped["watch"]["max_long_with_orders"] <= 20
    assert run(["backtest", "--venue", "matching", "--minutes", "5", "--out", str(tmp_path / "f")]) == 0
    shown = capsys.readouterr().out
    for word in ("HYPE, matching venue: 5.0 min", "PnL, USD", "the venue saw at most", "this run", "risk_averse"):
        assert word in shown


# Kills: rows that are not those of the library, quantiles of other columns, NaN in the JSON, settings not heeded.
def test_a_scenario_prints_rows_and_quantiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.parquet"
    line = ["scenario", "calm", "--seeds", "5", "--first-seed", "7", "--set", "max_position=6", "--out", str(out)]
    printed = _json(capsys, *line, "--json")
    rows = hypermm.run_scenario("calm", seeds=5, first_seed=7, engine={"max_position": 6.0})
    assert printed["per_seed"] == {name: column.tolist() for name, column in rows.items()}
    assert set(printed["quantiles"]) == set(rows) - {"seed"}
    assert printed["quantiles"]["max_long"]["q50"] == pytest.approx(np.median(rows["max_long"]))
    assert printed["quantiles"]["pnl_usd"]["mean"] == pytest.approx(rows["pnl_usd"].mean())
    assert parquet.read_table(out).to_pydict() == printed["per_seed"]
    assert run(line) == 0
    shown = capsys.readouterr().out
    for word in ("calm, engine, 5 seeds", "max long", "reducing share", "rows.parquet"):
        assert word in shown
    quiet = _json(capsys, "scenario", "calm", "--seeds", "2", "--set", "max_position=0.01", "--json")
    assert quiet["per_seed"]["edge_bps"] == [None, None]
    assert quiet["quantiles"]["edge_bps"]["mean"] is None


# Kills: rows written under their name before they are whole; only the file's being there says that a run is done.
@pytest.mark.parametrize(
    ("line", "name"),
    [
        (["scenario", "calm", "--seeds", "2", "--out", "OUT/rows.parquet"], "rows.parquet"),
        (["backtest", "--venue", "matching", "--minutes", "1", "--no-views", "--out", "OUT"], "fills.parquet"),
    ],
)
def test_a_run_killed_while_it_writes_leaves_no_file_of_that_name(line: list[str], name: str, tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pyarrow import parquet\n"
        "def half(table, path, **_):\n"
        "    open(path, 'wb').write(b'PAR1 half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "parquet.write_table = half\n"
        "from hypermm.cli.root import run\n"
        "run(sys.argv[1:])\n"
    )
    arguments = [part.replace("OUT", str(tmp_path)) for part in line]
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / name).exists()
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]


# Kills: a run that hears Ctrl-C only at its end: these would take hours.
@pytest.mark.parametrize(
    "line",
    [["scenario", "calm", "--seeds", "1000000"], ["backtest", "--venue", "matching", "--minutes", "43200"]],
)
def test_a_long_run_is_interrupted_at_once_and_leaves_nothing(line: list[str], tmp_path: Path) -> None:
    program = "import sys; from hypermm.cli.root import run; print('begun', flush=True); sys.exit(run(sys.argv[1:]))"
    out = str(tmp_path / "rows.parquet") if line[0] == "scenario" else str(tmp_path)
    command = [sys.executable, "-c", program, *line, "--out", out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert (process.returncode, told.split()) == (130, ["hypermm:", "interrupted"])
    assert list(tmp_path.iterdir()) == []


def test_demo_needs_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--minutes", "5", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    for word in ("PnL, USD", "spread capture", "adverse selection", "fills", "markout 10 s", "edge after fees"):
        assert word in printed.out
    assert (tmp_path / "synthetic" / "report.html").is_file()
    summary = _json(capsys, "demo", "--minutes", "5", "--out", str(tmp_path), "--json")
    assert summary["synthetic"]["fills"] > 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "fields"],
        ["config", "schema"],
        ["config", "check", "SETTINGS"],
        ["instruments"],
        ["recording", "info", "--data", "SESSION"],
        ["recording", "convert", "--data", "SESSION", "--out", "OUT"],
    ],
)
def test_every_command_prints_one_json_value(
    arguments: list[str], session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[engine]\nlevels = 3\n")
    names = {"SESSION": str(session), "OUT": str(tmp_path / "out"), "SETTINGS": str(settings)}
    given = [names.get(argument, argument) for argument in arguments]
    assert _json(capsys, *given, "--json")
    if arguments != ["config", "schema"]:
        assert run(given) == 0
        assert capsys.readouterr().out.strip()


WRONG = [
    (["backtest"], "--data"),
    (["backtest", "--data", "/nowhere", "--coin", "ETH"], "/nowhere"),
    (["backtest", "--data", "SESSION", "--coin", "eth"], "did you mean ETH?"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--set", "levles=3"], "did you mean levels?"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--set", "levels=99"], "levels = 99"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--set", "book_stale_ms=99"], "did you mean book_stale_s?"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--config", "/nowhere.toml"], "/nowhere.toml"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--instrument", "/nowhere.toml"], "/nowhere.toml"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--seed", "-1"], "--seed"),
    (["backtest", "--data", "BROKEN", "--coin", "ETH"], "row 3"),
    (["backtest", "--data", "OFF_GRID", "--coin", "ETH", "--out", "OUT"], "trades_ETH.csv line 3"),
    (["backtest", "--data", "SESSION"], "--coin is missing"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--preset", "hype"], "use --venue matching"),
    (["backtest", "--data", "SESSION", "--coin", "ETH", "--minutes", "5"], "use --venue matching"),
    (["backtest", "--venue", "matching", "--data", "SESSION"], "--data is for --venue recorded: leave it out"),
    (["backtest", "--venue", "matching", "--coin", "ETH"], "--coin is for --venue recorded: leave it out"),
    (["backtest", "--venue", "matching", "--fill-model", "paper"], "--fill-model is for --venue recorded"),
    (["backtest", "--venue", "matching", "--set", "fill_model=paper"], "leave this out, or use --venue recorded"),
    (["backtest", "--venue", "matching", "--set", "run.to_venue_ms=1"], "leave this out, or use --venue recorded"),
    (["backtest", "--venue", "matching", "--preset", "doge"], "preset = doge: expected one of hype, eth"),
    (["backtest", "--venue", "matching", "--minutes", "0"], "--minutes"),
    (["backtest", "--venue", "paper"], "--venue"),
    (["scenario"], "NAME"),
    (["scenario", "feb20"], "scenario = feb20: expected one of feb19, feb12, calm"),
    (["scenario", "calm", "--seeds", "0"], "--seeds"),
    (["scenario", "calm", "--strategy", "martingale"], "--strategy"),
    (["scenario", "calm", "--set", "levles=3"], "did you mean levels?"),
    (["scenario", "calm", "--set", "seed=3"], "a scenario has its own run settings"),
    (["scenario", "calm", "--seeds", "1", "--out", "/nowhere/rows.parquet"], "/nowhere"),
    (["config", "check", "SETTINGS"], "SETTINGS: engine.levels = 0: expected 1 to 32;"),
    (["recording", "info", "--data", "/nowhere", "--coin", "ETH"], "/nowhere"),
    (["recording", "info", "--data", "/nowhere"], "/nowhere"),
    (["recording", "info", "--data", "EMPTY"], "EMPTY"),
    (["recording", "convert", "--data", "EMPTY", "--out", "OUT"], "EMPTY"),
    (["instruments", "--frames", "/nowhere"], "/nowhere"),
    (["instruments", "--frames", "NO_JSON"], "frame.json"),
    (["bogus"], "bogus"),
]


@pytest.mark.parametrize(("arguments", "word"), WRONG)
def test_wrong_input_is_exit_code_2_and_one_line(
    arguments: list[str], word: str, session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(session, broken)
    (broken / "trades_ETH.parquet").unlink()
    header = "timestamp,price,size,side,trade_id,exchange_timestamp"
    rows = ["1757015216.5,4270.0,1.0,buy,1,1757015216000", "1757015216.6,x,1.0,buy,2,1757015216100"]
    (broken / "trades_ETH.csv").write_text("\n".join([header, *rows]) + "\n")
    off_grid = tmp_path / "off_grid"
    shutil.copytree(broken, off_grid)
    trade = load_recording(session, "ETH").trade_exchange_time_ns[0] // 1_000_000
    rows = [f"{(trade + row) / 1e3},{price},1.0,buy,{row},{trade}" for row, price in enumerate((4270.0, 4270.05))]
    (off_grid / "trades_ETH.csv").write_text("\n".join([header, *rows]) + "\n")
    settings = tmp_path / "settings.toml"
    settings.write_text("[engine]\nlevels = 0\n")
    empty, no_json = tmp_path / "empty", tmp_path / "no_json"
    empty.mkdir()
    no_json.mkdir()
    (no_json / "frame.json").write_text("{")
    names = {"SESSION": str(session), "BROKEN": str(broken), "EMPTY": str(empty), "NO_JSON": str(no_json)}
    names |= {"OUT": str(tmp_path / "out"), "OFF_GRID": str(off_grid), "SETTINGS": str(settings)}
    word = word.replace("SETTINGS", str(settings))
    assert run([names.get(argument, argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("hypermm: ")
    assert names.get(word, word) in printed.err


def test_an_unforeseen_exception_is_exit_code_1_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("hypermm.cli.config.load_settings", break_down)
    monkeypatch.delenv("HYPERMM_DEBUG", raising=False)
    line = ["config", "check", "settings.toml"]
    assert run(line) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("hypermm: internal error: RuntimeError: two lines; please report it, --debug")
    for arguments in (["--debug", *line], [*line, "--debug"]):
        assert run(arguments) == 1
        assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("HYPERMM_DEBUG", "1")
    assert run(line) == 1
    assert "Traceback" in capsys.readouterr().err
    assert "--debug" in _help(capsys)


def _help(capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["--help"]) == 0
    return capsys.readouterr().out


def test_every_command_draws_from_the_same_seed_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    defaults = set()
    for command in ("demo", "backtest"):
        assert run([command, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        match = re.search(r"Seed of every draw\. \[default: (\d+)", text)
        assert match, text
        defaults.add(int(match[1]))
    assert defaults == {RunConfig().seed}


def test_locked_books_are_counted(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = load_recording(session, "ETH")
    bids = recording.bid_prices.copy()
    bids[5, 0] = recording.ask_prices[5, 0]
    write_recording(Recording.from_columns("ETH", recording.columns() | {"bid_prices": bids}), tmp_path)
    assert [row["locked"] for row in _json(capsys, "recording", "info", "--data", str(tmp_path), "--json")] == [1]
    assert [row["locked"] for row in _json(capsys, "recording", "info", "--data", str(session), "--json")] == [0]


def test_brackets_in_a_table_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "fields"]) == 0
    assert "where [engine] sets no" in " ".join(capsys.readouterr().out.split())
    path = tmp_path / "mine.toml"
    path.write_text('[[instrument]]\ncoin = "ETH"\nsize_decimals = 4\nmax_leverage = 25\nsource = "[/odd] [red]me"\n')
    assert run(["instruments", "--file", str(path)]) == 0
    assert "[/odd] [red]me" in capsys.readouterr().out


def test_a_schema_is_readable_and_the_same_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) > 100
    assert json.loads(shown) == _json(capsys, "config", "schema", "--json")


def test_a_run_that_could_place_nothing_says_so(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backtest", "--data", str(session), "--coin", "ETH", "--out", str(tmp_path), "--json"]
    assert run([*arguments, "--set", "max_position_usd=1"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["fills"] == 0
    assert "no order was placed" in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "WLFI"])
def test_the_main_job_on_the_real_recording(
    coin: str, real_recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backtest", "--data", str(real_recordings), "--coin", coin, "--out", str(tmp_path), "--json"]
    # WLFI trades too seldom for the default, and the command says so.
    summary = _json(capsys, *arguments, *(["--set", "risk_aversion=0.02"] if coin == "WLFI" else []))
    print(coin, {name: summary[name] for name in FIELDS})
    assert summary["fills"] > 0
    assert summary["buy_fills"] > 0
    assert summary["sell_fills"] > 0
    assert summary["quote_cycles"] > 5_000
    assert summary["two_sided_share"] > 0.9
    cap = 10_000.0 / load_recording(real_recordings, coin).bid_prices[0, 0]
    assert summary["max_abs_position"] <= cap


# Kills: books that do not add up told as a field among others, a result of theirs written, an exit code of 0 or of
# wrong input. `make demo` is this command, so it fails too.
@pytest.mark.parametrize("command", ["backtest", "demo"])
def test_books_that_do_not_add_up_end_the_command(
    command: str, session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise InternalError(field="conservation of cash", value=-3, expected="4", hint="a bug of hypermm")

    for name in ("backtest", "matching_session"):
        monkeypatch.setattr(hypermm, name, broken)
    out = tmp_path / "out"
    data = ["--data", str(session), "--coin", "ETH"] if command == "backtest" else ["--minutes", "1"]
    assert run([command, *data, "--out", str(out), "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "conservation of cash = -3: expected 4" in printed.err
    assert not out.exists()
