"""`import hypermm` is light: NumPy and msgspec only, and at most 50 ms more than NumPy."""

from __future__ import annotations

import json
import subprocess
import sys

import hypermm

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


def test_exports_are_sorted_and_there() -> None:
    assert hypermm.__all__ == sorted(hypermm.__all__)
    for name in hypermm.__all__:
        assert getattr(hypermm, name) is not None
