"""The quote cycle against the cycle a user would write by hand and compile with numba.

The peer does less: one Kalman update, a ladder, expected PnL and size; no flow, reach, funding, queue, quota, cap or explanation.
Its environment is named by ``PEERS_PYTHON``, its script by ``PEERS_SCRIPTS`` (default: ``../shared/peers`` beside the repository).
Both run in turn, three times, so that a noisy machine disturbs both alike; the ratio is that of the medians.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import statistics
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(os.environ.get("PEERS_SCRIPTS", ROOT.parent / "shared" / "peers")) / "bench_quote.py"
LARGEST_RATIO = 5.0


def rust_nanoseconds(name: str) -> float:
    """Median of one criterion bench, ns."""
    command = ["cargo", "bench", "-q", "-p", "hypermm-simulation", "--bench", "engine", "--", f"^{name}$"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    estimates = json.loads((ROOT / "target/criterion" / name / "new/estimates.json").read_text())
    return float(estimates["median"]["point_estimate"])


def peer_nanoseconds(python: str) -> float:
    """The peer's cycle inside its compiled loop, ns."""
    output = subprocess.run(
        [python, str(SCRIPT), "--n", "100000"], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"kalman\+ladder, inside jit loop\s+([\d.]+) ns", output)
    assert found, output
    return float(found.group(1))


def test_quote_cycle_costs_at_most_five_peer_cycles() -> None:
    python = os.environ.get("PEERS_PYTHON")
    if not python:
        pytest.skip("PEERS_PYTHON does not name an environment with the peers")
    if not SCRIPT.exists():
        pytest.skip(f"the peer's script is not at {SCRIPT}")
    ours, fresh, peer = [], [], []
    for _ in range(3):
        ours.append(rust_nanoseconds("quote_8_levels_a_side"))
        fresh.append(rust_nanoseconds("print_and_quote_8_levels_a_side"))
        peer.append(peer_nanoseconds(python))
    ratio = statistics.median(ours) / statistics.median(peer)
    fresh_ratio = statistics.median(fresh) / statistics.median(peer)
    print(
        f"\nquote, 8 levels a side: {statistics.median(ours):.0f} ns; print and quote: {statistics.median(fresh):.0f} ns; "
        f"peer: {statistics.median(peer):.0f} ns; ratio {ratio:.2f}, with a print before each quote {fresh_ratio:.2f}"
    )
    assert ratio <= LARGEST_RATIO
