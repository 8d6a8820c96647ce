"""The Hyperliquid archive: l2Book frames, asset contexts and node fills, as the buckets hold them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hypermm.exceptions import RecordingError
from hypermm.recording.convert.columns import (
    BookRows,
    context_columns,
    files_below,
    lines_of,
    made,
    number,
    trade_columns,
)

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from hypermm.recording.schema import Recording

__all__ = ["read_archive", "read_node_fills"]

_HOUR_NS, _NS_PER_MS = 3_600_000_000_000, 1_000_000
_SUFFIXES = (".lz4", ".zst", ".gz", ".jsonl", ".csv")
_CONTEXT = ("time", "coin", "funding", "open_interest", "oracle_px", "mark_px")


def read_archive(path: str | PathLike[str], coin: str) -> Recording:
    """Reads one coin from files of the archive: `l2Book`, `asset_ctxs`, `node_fills` and `node_fills_by_block`.

    What a file holds is seen by its first line. Of a fill's two legs the one that crossed is the print.

    Args:
        path: One file, or a folder with them anywhere below; `.lz4`, `.zst`, `.gz` or plain.
        coin: Venue symbol.

    Raises:
        RecordingError: A file is damaged or a line is not of the documented shape; names file and line.
    """
    books = BookRows()
    trades: list[Any] = []
    contexts: list[Any] = []
    for file in files_below(path, lambda item: item.suffix in _SUFFIXES):
        lines = lines_of(file)
        first = next(lines, None)
        if first is None:
            continue
        if first[1].startswith(b"time,"):
            names = first[1].decode().strip().split(",")
            _check_header(file, names)
            for line, text in lines:
                row = dict(zip(names, next(csv.reader([text.decode()]), []), strict=False))
                if row.get("coin") == coin:
                    contexts.append(_context(file, line, row))
            continue
        for line, text in (first, *lines):
            _take(file, line, text, coin, books, trades)
    streams = [trade_columns(trades)] if trades else []
    streams += [context_columns(contexts, _HOUR_NS)] if contexts else []
    return made(coin, path, books, *streams)


def read_node_fills(path: str | PathLike[str], coin: str) -> dict[str, Any]:
    """Columns of the prints of one coin in files of node fills, without books."""
    trades: list[Any] = []
    for file in files_below(path, lambda item: item.suffix in _SUFFIXES):
        for line, text in lines_of(file):
            _take(file, line, text, coin, BookRows(), trades)
    return trade_columns(trades)


def _check_header(file: Path, names: list[str]) -> None:
    missing = [name for name in _CONTEXT if name not in names]
    if missing:
        raise RecordingError(
            field=f"{file.name}:{missing[0]}", value="missing column", expected=",".join(_CONTEXT), row=1
        )


def _take(file: Path, line: int, text: bytes, coin: str, books: BookRows, trades: list[Any]) -> None:
    if not text.strip():
        return
    try:
        item = msgspec.json.decode(text)
        if isinstance(item, list):
            _fill(file, line, item, None, coin, trades)
        elif "events" in item:
            received = _iso_ns(item["local_time"])
            for event in item["events"]:
                _fill(file, line, event, received, coin, trades)
        else:
            data = item["raw"]["data"]
            if data["coin"] == coin:
                sides = [[_level(file, line, level) for level in levels] for levels in data["levels"]]
                books.add(_iso_ns(item["time"]), int(data["time"]) * _NS_PER_MS, sides[0], sides[1])
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(
            field=file.name,
            value=text[:60].decode("utf-8", "replace"),
            expected="a line of l2Book, asset_ctxs, node_fills or node_fills_by_block",
            hint=f"{type(error).__name__}: {error}",
            row=line,
        ) from error


def _level(file: Path, line: int, level: dict[str, Any]) -> tuple[float, float]:
    return number(file, line, "px", level["px"], least=1e-12), number(file, line, "sz", level["sz"], least=0.0)


def _fill(file: Path, line: int, event: list[Any], received_ns: int | None, coin: str, trades: list[Any]) -> None:
    fill = event[1]
    if fill["coin"] != coin or not fill["crossed"]:
        return
    exchange_ns = int(fill["time"]) * _NS_PER_MS
    price, size = (number(file, line, name, fill[name], least=1e-12) for name in ("px", "sz"))
    aggressor = {"B": 1, "A": -1}[fill["side"]]
    trades.append((received_ns or exchange_ns, exchange_ns, price, size, aggressor, int(fill["tid"])))


def _context(file: Path, line: int, row: dict[str, str]) -> tuple[int, float, float, float, float]:
    try:
        time_ns = _iso_ns(row["time"])
    except ValueError as error:
        raise RecordingError(field=f"{file.name}:time", value=row["time"], expected="an ISO time", row=line) from error
    values = [
        number(file, line, name, row[name]) if row.get(name) else float("nan")
        for name in ("mark_px", "oracle_px", "funding", "open_interest")
    ]
    return (time_ns, values[0], values[1], values[2], values[3])


def _iso_ns(text: str) -> int:
    """An ISO time without zone or with Z, to the nanosecond, as UTC."""
    whole, _, fraction = text.replace(" ", "T").removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
