"""`hypermm record`: a live market as Parquet that the backtest replays."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.live import Live
from rich.text import Text

from hypermm.cli.output import json_option, print_json, print_table, stderr
from hypermm.cli.parameters import FiniteRange, OutFolder
from hypermm.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypermm.runtime.record import Recorder, Status

__all__ = ["comma_separated", "record", "stopped_by_signals"]

_REFRESH_S = 0.5


def comma_separated(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    """Reads names from an option."""
    del context, option
    return tuple(name for part in text.split(",") if (name := part.strip()))


@click.command()
@click.option("--coins", required=True, callback=comma_separated, help="Coins, such as BTC,ETH,xyz:GOLD.")
@click.option("--references", default="", callback=comma_separated, help="Coins watched beside, spot pairs too.")
@click.option("--out", required=True, type=OutFolder(), help="Folder; a recording in it goes on.")
@click.option("--base-url", default="mainnet", show_default=True, help="mainnet, testnet or an address.")
@click.option("--duration", type=FiniteRange(0, min_open=True), help="Seconds to record.  [default: until Ctrl-C]")
@click.option("--rotate", type=FiniteRange(0, min_open=True), default=3600.0, show_default=True, help="Seconds a span.")
@click.option("--flush", type=FiniteRange(0.1), default=5.0, show_default=True, help="Seconds that a kill may cost.")
@click.option("--frames/--no-frames", default=True, show_default=True, help="Keep every frame as it came, too.")
@json_option
def record(
    coins: tuple[str, ...],
    references: tuple[str, ...],
    out: str,
    base_url: str,
    duration: float | None,
    rotate: float,
    flush: float,
    frames: bool,
    as_json: bool,
) -> None:
    """Record books, best bids and offers, trades and contexts of live coins, until Ctrl-C.

    What is on disk can be read at any moment, by `hypermm backtest --data DIR` too, and after a kill.
    """
    # Read when Arrow is loaded, which is later. Its own allocator keeps what was freed, up to 20 MB that come and go.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with needs("cli,live", "aiohttp and websockets"):
        from hypermm.exchange.hyperliquid.endpoint import endpoint
        from hypermm.runtime.record import Recorder, RecorderSettings
    settings = RecorderSettings(
        venue=endpoint(base_url),
        coins=coins,
        references=references,
        folder=Path(out),
        span_s=rotate,
        piece_s=flush,
        keep_frames=frames,
        duration_s=duration,
        # Machines that lost the venue together should not all come back together.
        seed=secrets.randbits(32),
    )

    status = asyncio.run(_record(Recorder(settings)))
    summary = _summary(status, out)
    if as_json:
        print_json(summary)
    else:
        print_table(out, [{name: value for name, value in summary.items() if not isinstance(value, dict)}])
        print_table("Rows", [dict(summary["rows"])])
        if status.refused_by:
            rows = [{"refused frames": count, "why": why} for why, count in status.refused_by.items()]
            print_table("Refused: nothing of them was applied", rows)


async def _record(recorder: Recorder) -> Status:
    shown = asyncio.create_task(_show(recorder))
    try:
        with stopped_by_signals(recorder.stop):
            return await recorder.run()
    finally:
        shown.cancel()


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within it SIGINT and SIGTERM call `stop`; a second one ends the process as ever."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        stop()

    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _show(recorder: Recorder) -> None:
    """One line on a terminal, renewed twice a second; nothing where there is none."""
    if not stderr.is_terminal:
        return
    with Live(console=stderr, transient=True, auto_refresh=False) as live:
        while True:
            live.update(Text(_line(recorder.status())), refresh=True)
            await asyncio.sleep(_REFRESH_S)


def _line(status: Status) -> str:
    late = [f"{age.channel} {age.coin} {age.age_s or 0.0:.0f} s" for age in status.ages if age.status.value == "late"]
    mids = "  ".join(f"{coin} {mid:g}" for coin, mid in status.mids.items() if mid is not None)
    parts = [
        f"{status.phase} {status.seconds:,.0f} s",
        mids,
        f"{status.counts.frames:,} frames",
        f"{status.rows_written:,} rows on disk",
        f"{status.counts.refused} refused",
        f"{max(0, status.counts.connections - 1)} reconnections",
        "late: " + ", ".join(late) if late else "",
    ]
    return "  ".join(part for part in parts if part)


def _summary(status: Status, out: str) -> dict[str, Any]:
    counts = status.counts
    return {
        "folder": out,
        "seconds": round(status.seconds, 1),
        "frames": counts.frames,
        "refused_frames": counts.refused,
        "connections": counts.connections,
        "tape_gaps": status.tape_gaps,
        "stalls": counts.stalls,
        "rows_on_disk": status.rows_written,
        "rows": {stream: status.rows.get(stream, 0) for stream in ("book", "best", "trade", "context", "history")},
        "refused_by": status.refused_by,
    }
