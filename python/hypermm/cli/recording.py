"""`hypermm recording`: what a recording holds, and its conversion to Parquet."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from hypermm.cli.output import json_option, print_json, print_table
from hypermm.cli.parameters import OutFolder
from hypermm.recording import load_recording
from hypermm.recording.convert import convert_recording
from hypermm.recording.load import held_coins

__all__ = ["recording"]


@click.group()
def recording() -> None:
    """Look at recordings and convert them."""


@recording.command()
@click.option("--data", required=True, type=click.Path(), help="Folder of the recording.")
@click.option("--coin", "coins", multiple=True, help="Only this coin; may be repeated.")
@json_option
def info(data: str, coins: tuple[str, ...], as_json: bool) -> None:
    """Show spans, counts, latency and gaps."""
    rows = [_row(data, coin) for coin in (coins or held_coins(data))]
    if as_json:
        print_json(rows)
    else:
        print_table(data, rows)


def _row(data: str, coin: str) -> dict[str, Any]:
    loaded = load_recording(data, coin)
    latency = np.median(loaded.book_time_ns - loaded.book_exchange_time_ns) / 1e9
    return {
        "coin": coin,
        "span_s": round(loaded.span_s, 1),
        "books": len(loaded.book_time_ns),
        "depth": loaded.depth,
        "locked": loaded.locked_books,
        "best": len(loaded.best_time_ns),
        "trades": len(loaded.trade_time_ns),
        "replayed_dropped": loaded.dropped_replay_trades,
        "repeated_dropped": loaded.dropped_duplicate_trades,
        "latency_s": round(float(latency), 3),
        "longest_gap_s": round(loaded.longest_gap_s, 1),
    }


@recording.command()
@click.option("--data", required=True, type=click.Path(), help="Folder of the recording.")
@click.option("--out", required=True, type=OutFolder(), help="Folder to write into.")
@click.option("--coin", "coins", multiple=True, help="Only this coin; may be repeated.")
@json_option
def convert(data: str, out: str, coins: tuple[str, ...], as_json: bool) -> None:
    """Write a recording as Parquet."""
    written = convert_recording(data, out, list(coins) or None)
    if as_json:
        print_json({coin: [str(path) for path in paths] for coin, paths in written.items()})
    else:
        for path in (path for paths in written.values() for path in paths):
            click.echo(path)
