"""`hypermm record` against `hypermm exchange`: on disk is what the venue's own log says, sockets dropped or not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from hypermm.recording.check import check_recording
from hypermm.recording.layout import folders
from hypermm.recording.load import load_recording
from loopback_exchange import exchange

CHANNELS = ("trades", "bbo", "l2Book", "activeAssetCtx")


def record(url: str, coins: str, out: Path, *arguments: str) -> subprocess.Popen[str]:
    line = [
        sys.executable,
        "-m",
        "hypermm.cli",
        "record",
        "--coins",
        coins,
        "--out",
        str(out),
        "--base-url",
        url,
        "--json",
    ]
    return subprocess.Popen([*line, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str], within_s: float) -> dict[str, Any]:
    printed, said = process.communicate(timeout=within_s)
    assert process.returncode == 0, said
    summary: dict[str, Any] = json.loads(printed)
    return summary


def published(folder: Path) -> dict[tuple[str, str], list[Any]]:
    """The venue's own log: what it published, by channel and coin, in order. Only 5-level books: those are recorded."""
    rows: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for line in (folder / "log").read_bytes().splitlines():
        row = json.loads(line)
        if row["channel"] in CHANNELS and (row["channel"] != "l2Book" or row["data"].get("fast")):
            rows[row["channel"], row["data"]["coin"]].append(row["data"])
    return rows


def recorded(out: Path) -> list[dict[tuple[str, str], list[Any]]]:
    """Frames by connection, channel and coin, in order; read by pyarrow and json alone."""
    sockets: list[dict[tuple[str, str], list[Any]]] = []
    for span in folders(out)[1:]:
        table = parquet.read_table(span / "frames.parquet").to_pydict()
        for kind, text in zip(table["kind"], table["text"], strict=True):
            if not sockets or (kind == "notice" and text.startswith("Disconnected(")):
                sockets.append(defaultdict(list))
            if kind == "frame":
                frame = json.loads(text)
                if frame["channel"] in CHANNELS:
                    data = frame["data"]
                    coin = data[0]["coin"] if isinstance(data, list) else data["coin"]
                    sockets[-1][frame["channel"], coin].append(data)
    return [socket for socket in sockets if socket]


def compare(folder: Path, out: Path) -> dict[str, int]:
    """Every stream of every connection against the log: after its snapshot an unbroken run of what was published."""
    log, sockets = published(folder), recorded(out)
    figures = {"sockets": len(sockets), "events": 0, "prints": 0, "prints_missing": 0}
    for socket in sockets:
        for (channel, coin), rows in socket.items():
            if channel == "trades":
                continue
            told = log[channel, coin]
            # The first frame is the snapshot; what follows is news, each once and in order.
            news = rows[1:]
            if not news:
                continue
            starts = [place for place, row in enumerate(told) if row == news[0]]
            runs = [told[start : start + len(news)] == news for start in starts]
            assert any(runs), f"{channel} {coin}: {len(news)} frames are no run of the venue's {len(told)}"
            figures["events"] += len(news)
    for coin in {coin for channel, coin in log if channel == "trades"}:
        try:
            loaded = load_recording(out, coin)
        except LookupError:
            continue
        ids = [row["tid"] for row in log["trades", coin]]
        kept = loaded.trade_id.tolist()
        assert len(set(kept)) == len(kept)
        assert loaded.dropped_duplicate_trades == 0
        window = ids[ids.index(kept[0]) : ids.index(kept[-1]) + 1]
        assert kept == [number for number in window if number in set(kept)]
        figures["prints"] += len(kept)
        figures["prints_missing"] += len(window) - len(kept)
    return figures


def test_with_dropped_sockets_the_recording_agrees_with_the_venues_own_log(tmp_path: Path) -> None:
    """Killed by: a frame left out, doubled or out of order; a replayed print recorded anew."""
    faults = "".join(f'[[fault]]\nkind = "drop_socket"\nat_s = {at}\n' for at in (4.0, 5.5))
    with exchange(tmp_path, "--preset", "ETH", "--seed", "3", faults=faults) as venue:
        process = record(venue["url"], ",".join(venue["coins"]), tmp_path / "out", "--duration", "5", "--flush", "1")
        summary = finished(process, 60.0)
    figures = compare(tmp_path, tmp_path / "out")
    print(figures, summary["connections"], "connections")
    assert summary["connections"] == figures["sockets"] >= 2
    assert figures["events"] > 20
    if not summary["tape_gaps"]:
        assert figures["prints_missing"] == 0
    assert summary["refused_frames"] == 0
    assert check_recording(tmp_path / "out") == []


def _resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.verify
def test_ten_minutes_with_dropped_sockets_lose_and_double_nothing_and_memory_stays_flat(tmp_path: Path) -> None:
    """RECORD_MINUTES shortens it. Prints connections, events, prints and memory."""
    minutes = float(os.environ.get("RECORD_MINUTES", "10"))
    faults = "".join(f'[[fault]]\nkind = "drop_socket"\nat_s = {at}\n' for at in range(20, int(minutes * 60), 37))
    sizes: list[float] = []
    with exchange(tmp_path, "--preset", "ETH", "--preset", "HYPE", "--seed", "5", faults=faults) as venue:
        span = ("--rotate", "60", "--flush", "2")
        process = record(
            venue["url"], ",".join(venue["coins"]), tmp_path / "out", "--duration", str(minutes * 60), *span
        )
        while process.poll() is None and len(sizes) < minutes * 60 + 30:
            time.sleep(1.0)
            with contextlib.suppress(OSError, IndexError):
                sizes.append(_resident_mb(process.pid))
        summary = finished(process, 60.0)
    figures = compare(tmp_path, tmp_path / "out")
    quarter = len(sizes) // 4
    settled, peaks = sizes[quarter], [max(sizes[place : place + quarter]) for place in range(0, 4 * quarter, quarter)]
    shown = ", ".join(f"{peak:.1f}" for peak in peaks)
    print(f"{summary} {figures} resident {settled:.1f} MB after a quarter, at most {shown} MB in the four")
    assert figures["sockets"] == summary["connections"] >= minutes * 60 / 37 - 2
    assert figures["prints_missing"] == 0 or summary["tape_gaps"]
    assert peaks[3] <= settled * 1.05 + 4.0
    # What grows with time or with reconnections grows from the second quarter to the last by half of all it grows. The
    # only growth meant, ids of prints seen up to a bound, is 0.1 MB a minute.
    assert peaks[3] <= peaks[1] + 4.0
    assert check_recording(tmp_path / "out") == []


STORM = """
fault = [
    {kind = "drop_socket", probability = 0.004},
    {kind = "duplicate", probability = 0.03},
    {kind = "reorder", probability = 0.03},
    {kind = "delay", probability = 0.005, for_s = 0.4},
    {kind = "silence", at_s = 20.0, for_s = 6.0},
    {kind = "too_many_requests", at_s = 4.0, for_s = 3.0},
    {kind = "restart", at_s = 35.0, for_s = 4.0},
]
"""


@pytest.mark.verify
def test_in_a_storm_of_all_faults_the_recording_stays_whole_and_no_print_comes_twice(tmp_path: Path) -> None:
    """Killed by: a repeated frame's prints recorded again, a frame out of turn that ends it. Prints what was missed."""
    with exchange(tmp_path, "--preset", "ETH", "--seed", "9", faults=STORM) as venue:
        process = record(venue["url"], ",".join(venue["coins"]), tmp_path / "out", "--duration", "50", "--rotate", "15")
        summary = finished(process, 120.0)
    log = published(tmp_path)
    for coin in venue["coins"]:
        kept = load_recording(tmp_path / "out", coin).trade_id.tolist()
        known = [row["tid"] for row in log["trades", coin]]
        assert len(set(kept)) == len(kept) > 0
        assert set(kept) <= set(known)
        first, last = min(map(known.index, kept)), max(map(known.index, kept))
        print(f"{coin}: {len(kept)} prints, {last - first + 1 - len(kept)} missed in silence or gaps told")
    print(summary)
    assert summary["connections"] >= 2
    assert summary["refused_frames"] == 0
    assert check_recording(tmp_path / "out") == []
