"""`hypermm exchange` as a process or a thread of its own, for tests of what speaks to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hypermm.exchange import loopback


@contextlib.contextmanager
def exchange(folder: Path, *arguments: str, faults: str = "") -> Iterator[dict[str, Any]]:
    """A running exchange on a free port, its log in `folder`; gives what it says of itself."""
    folder.mkdir(parents=True, exist_ok=True)
    fault_file = folder / "faults.toml"
    fault_file.write_text(faults)
    line = [sys.executable, "-m", "hypermm.cli", "exchange", "--port", "0", "--json", "--latency-ms", "0"]
    line += ["--log", str(folder / "log"), "--faults", str(fault_file), *arguments]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    try:
        if not first:
            _, said = process.communicate(timeout=10)
            pytest.fail(f"the exchange did not start: {said}")
        yield json.loads(first)
        assert process.poll() is None, "the exchange ended by itself"
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said, said


@contextlib.contextmanager
def exchange_thread(
    folder: Path, settings: loopback.ExchangeSettings, faults: list[loopback.Fault], preset: str = "ETH"
) -> Iterator[str]:
    """The same in a thread of this process, with limits of the test's own; gives its address."""
    up, stop = threading.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        listing, coins = loopback.listed([preset])
        clock = loopback.VenueClock()
        world = loopback.World(listing, coins, settings, clock.now_ns())
        with (folder / "log").open("wb") as log:
            venue = loopback.LoopbackExchange(world, loopback.FaultPlan(faults, 0), loopback.EventLog(log))
            async with loopback.Server(venue, clock) as server:
                urls.append(server.url)
                up.set()
                while not stop.is_set():
                    await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert up.wait(30.0)
    try:
        yield urls[0]
    finally:
        stop.set()
        thread.join(20.0)
