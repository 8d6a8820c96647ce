"""The quote cycle against the cycle a user would write by hand and compile with numba.

The peer does less: one Kalman update, a ladder, expected PnL and size; no flow, reach, funding, queue, quota, cap or
explanation. Its environment is named by ``PEERS_PYTHON``, its script by ``PEERS_SCRIPTS`` (default: ``../shared/peers``
beside the repository). Both run in turn, five times; the ratio is that of the fastest runs, the ones least disturbed
by whatever else the machine does.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(os.environ.get("PEERS_SCRIPTS", ROOT.parent / "shared" / "peers")) / "bench_quote.py"
LARGEST_RATIO = 5.0
TURNS = 5


def rust_nanoseconds(name: str) -> float:
    """Median of one criterion bench, ns."""
    command = ["cargo", "bench", "-q", "-p", "hypermm-simulation", "--bench", "engine", "--", f"^{name}$"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603  # our own bench
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    estimates = json.loads((target / "criterion" / name / "new/estimates.json").read_text())
    return float(estimates["median"]["point_estimate"])


def peer_nanoseconds(python: str) -> float:
    """The peer's cycle inside its compiled loop, ns."""
    command = [python, str(SCRIPT), "--n", "100000"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # named by the user
    found = re.search(r"kalman\+ladder, inside jit loop\s+([\d.]+) ns", run.stdout)
    assert found, run.stdout
    return float(found.group(1))


def test_quote_cycle_costs_at_most_five_peer_cycles() -> None:
    python = os.environ.get("PEERS_PYTHON")
    if not python:
        pytest.skip("PEERS_PYTHON does not name an environment with the peers")
    if not SCRIPT.exists():
        pytest.skip(f"the peer's script is not at {SCRIPT}")
    ours, after_print, peer = [], [], []
    for _ in range(TURNS):
        ours.append(rust_nanoseconds("quote_8_levels_a_side"))
        after_print.append(rust_nanoseconds("print_and_quote_8_levels_a_side"))
        peer.append(peer_nanoseconds(python))
    ratio, print_ratio = min(ours) / min(peer), min(after_print) / min(peer)
    print(
        f"\nquote, 8 levels a side: {min(ours):.0f} ns; print and quote: {min(after_print):.0f} ns; "
        f"peer: {min(peer):.0f} ns;\nratio {ratio:.2f}, with a print handled before each quote {print_ratio:.2f}"
    )
    assert ratio <= LARGEST_RATIO
