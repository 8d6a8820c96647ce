"""`import hypermm` is light: NumPy and msgspec only, and at most 50 ms more than NumPy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hypermm
from hypermm.recording import Recording
from hypermm.recording.write import write_recording

ROUNDS = 9
BUDGET_S = 0.050
CLOCK = "import time; begin = time.perf_counter(); import {module}; print(time.perf_counter() - begin)"
FOREIGN = """
import json, sys
before = set(sys.modules)
import {module}
top = {{name.partition('.')[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(name for name in top if name not in sys.stdlib_module_names and not name.startswith('_'))))
"""


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_costs_at_most_50_ms_more_than_numpy() -> None:
    # The least of many fresh processes: noise only ever adds. Taken in turns, so that both meet the same machine.
    times: dict[str, list[float]] = {"numpy": [], "numpy, hypermm": []}
    for _ in range(ROUNDS):
        for module, taken in times.items():
            taken.append(float(_run(CLOCK.format(module=module))))
    least = {module: min(taken) for module, taken in times.items()}
    more = least["numpy, hypermm"] - least["numpy"]
    print(f"import numpy {least['numpy'] * 1e3:.1f} ms, hypermm {more * 1e3:.1f} ms more")
    assert more <= BUDGET_S


def test_import_needs_numpy_and_msgspec_only() -> None:
    loaded = set(json.loads(_run(FOREIGN.format(module="hypermm"))))
    assert "hypermm" in loaded
    assert loaded <= {"hypermm", "numpy", "msgspec"}


BASE_INSTALL = """
import sys
from pathlib import Path

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top in sys.stdlib_module_names or top in ('numpy', 'msgspec', 'hypermm'):
            return None
        raise ModuleNotFoundError(f'{top} is not in the base install', name=top)

sys.meta_path.insert(0, Refuse())
import hypermm
recording = hypermm.load_recording(sys.argv[1], 'ETH')
instrument = hypermm.Instrument('ETH', 4, 25)
result = hypermm.backtest(recording, instrument, hypermm.EngineConfig(max_position=2.0), seed=1)
print(result.summary()['quote_cycles'])
try:
    hypermm.load_recording(sys.argv[2], 'ETH')
except hypermm.MissingDependencyError as error:
    print(error)
import hypermm.cli
try:
    hypermm.cli.main()
except SystemExit as stopped:
    print(stopped.code)
"""


def test_base_install_reads_csv_runs_a_backtest_and_names_the_extra_it_lacks(tmp_path: Path) -> None:
    recording = Recording.from_columns("ETH", hypermm.synthetic_session(1, 60.0))
    write_recording(recording, tmp_path / "parquet")
    _write_csv(recording, tmp_path / "csv")
    command = [sys.executable, "-c", BASE_INSTALL, str(tmp_path / "csv"), str(tmp_path / "parquet")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    cycles, missing, code = run.stdout.splitlines()
    assert int(cycles) > 100
    assert "hypermm[cli]" in missing
    assert code == "2"
    assert run.stderr.count("\n") == 1
    assert "hypermm[cli]" in run.stderr


def _write_csv(recording: Recording, folder: Path) -> None:
    folder.mkdir()

    def write(stream: str, header: str, rows: list[list[object]]) -> None:
        lines = [header, *(",".join(map(str, row)) for row in rows)]
        (folder / f"{stream}_ETH.csv").write_text("\n".join(lines) + "\n")

    def clocks(stream: str, row: int) -> list[object]:
        return [int(getattr(recording, f"{stream}_{clock}_ns")[row]) for clock in ("time", "exchange_time")]

    levels = [f"{side}_{what}_{level}" for level in range(2) for side in ("bid", "ask") for what in ("price", "size")]
    sides = ((recording.bid_prices, recording.bid_sizes), (recording.ask_prices, recording.ask_sizes))
    books: list[list[object]] = [
        clocks("book", row) + [float(column[row, level]) for level in range(2) for side in sides for column in side]
        for row in range(len(recording.book_time_ns))
    ]
    write("orderbooks", ",".join(["time_ns", "exchange_time_ns", *levels]), books)
    names = ["best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size"]
    best = [
        clocks("best", row) + [float(getattr(recording, name)[row]) for name in names]
        for row in range(len(recording.best_time_ns))
    ]
    write("prices", ",".join(["time_ns", "exchange_time_ns", *names]), best)
    trade = ("trade_price", "trade_size", "trade_aggressor", "trade_id")
    trades = [
        clocks("trade", row) + [getattr(recording, name)[row].item() for name in trade]
        for row in range(len(recording.trade_time_ns))
    ]
    write("trades", "time_ns,exchange_time_ns,price,size,aggressor,trade_id", trades)


def test_exports_are_sorted_and_there() -> None:
    assert hypermm.__all__ == sorted(hypermm.__all__)
    for name in hypermm.__all__:
        assert getattr(hypermm, name) is not None
