"""Tardis CSV: trades, book_snapshot_5 and _25, incremental_book_L2, derivative_ticker. The header says which it is."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from hypermm.exceptions import RecordingError
from hypermm.recording.convert.columns import (
    BookRows,
    LevelBook,
    context_columns,
    files_below,
    lines_of,
    made,
    number,
    trade_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path

    from hypermm.recording.schema import Recording

__all__ = ["read_tardis"]

_NS_PER_US = 1_000
# Hyperliquid's interval; a venue with another one states its own times, which the schema has no use for.
_HOUR_NS = 3_600_000_000_000
_CLOCKS = ("symbol", "timestamp", "local_timestamp")
_TRADES = ("id", "side", "price", "amount")
_CHANGES = ("is_snapshot", "side", "price", "amount")
_TICKER = ("funding_rate", "open_interest", "index_price", "mark_price")
_SNAPSHOT = ("asks[0].price", "asks[0].amount", "bids[0].price", "bids[0].amount")


def read_tardis(path: str | PathLike[str], symbol: str) -> Recording:
    """Reads one symbol from Tardis files.

    Args:
        path: One `.csv` or `.csv.gz`, or a folder with them anywhere below.
        symbol: As Tardis writes it; other symbols' rows are passed over.

    Raises:
        RecordingError: A file is damaged, of no known header, or a cell is not what its column holds.
    """
    books = BookRows()
    trades: list[Any] = []
    contexts: list[Any] = []
    book_kind: tuple[str, ...] | None = None
    for file in files_below(path, lambda item: item.name.endswith((".csv", ".csv.gz"))):
        kind, rows = _rows(file, symbol)
        if kind in (_CHANGES, _SNAPSHOT):
            if book_kind not in (None, kind):
                raise RecordingError(
                    field=file.name,
                    value="a second kind of book",
                    expected="snapshots or changes, not both",
                    hint="convert one of them in a folder of its own",
                )
            book_kind = kind
        if kind is _TRADES:
            trades += [_trade(file, line, row) for line, row in rows]
        elif kind is _CHANGES:
            _follow(file, rows, books)
        elif kind is _SNAPSHOT:
            for line, row in rows:
                books.add(*_times(file, line, row), *_levels(file, line, row))
        else:
            contexts += [_context(file, line, row) for line, row in rows]
    streams = [trade_columns(trades)] if trades else []
    streams += [context_columns(contexts, _HOUR_NS)] if contexts else []
    return made(symbol, path, books, *streams)


def _rows(file: Path, symbol: str) -> tuple[tuple[str, ...], Iterator[tuple[int, dict[str, str]]]]:
    lines = lines_of(file)
    names = next(lines, (1, b""))[1].decode("utf-8", "replace").strip().split(",")
    kinds = (_TRADES, _CHANGES, _SNAPSHOT, _TICKER)
    kind = next((kind for kind in kinds if set(kind) | set(_CLOCKS) <= set(names)), None)
    if kind is None:
        raise RecordingError(
            field=file.name,
            value=",".join(names)[:80],
            expected="the header of trades, book_snapshot_N, incremental_book_L2 or derivative_ticker",
            hint="leave other files out of the folder",
            row=1,
        )

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for line, text in lines:
            cells = next(csv.reader([text.decode("utf-8", "replace").strip()]), [])
            if not cells:
                continue
            if len(cells) != len(names):
                raise RecordingError(
                    field=file.name, value=f"{len(cells)} cells", expected=f"{len(names)}, as the header", row=line
                )
            row = dict(zip(names, cells, strict=True))
            if row["symbol"] == symbol:
                yield line, row

    return kind, rows()


def _times(file: Path, line: int, row: dict[str, str]) -> tuple[int, int]:
    """Receive and venue time, ns."""
    found = []
    for name in ("local_timestamp", "timestamp"):
        text = row[name]
        if not text.isdecimal() or not 10**14 <= int(text) <= 10**17:
            raise RecordingError(field=f"{file.name}:{name}", value=text, expected="µs since 1970", row=line)
        found.append(int(text) * _NS_PER_US)
    return found[0], found[1]


def _trade(file: Path, line: int, row: dict[str, str]) -> tuple[int, int, float, float, int, int]:
    if row["side"] not in ("buy", "sell"):
        hint = "a print of no side cannot be used: leave it out"
        raise RecordingError(field=f"{file.name}:side", value=row["side"], expected="buy or sell", hint=hint, row=line)
    if not row["id"].isdecimal():
        raise RecordingError(field=f"{file.name}:id", value=row["id"], expected="an integer", row=line)
    price, size = (number(file, line, name, row[name], least=1e-12) for name in ("price", "amount"))
    return (*_times(file, line, row), price, size, 1 if row["side"] == "buy" else -1, int(row["id"]))


def _levels(file: Path, line: int, row: dict[str, str]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    sides: list[list[tuple[float, float]]] = []
    for side in ("bids", "asks"):
        levels: list[tuple[float, float]] = []
        while row.get(name := f"{side}[{len(levels)}].price"):
            amount = f"{side}[{len(levels)}].amount"
            price = number(file, line, name, row[name], least=1e-12)
            levels.append((price, number(file, line, amount, row.get(amount), least=0.0)))
        sides.append(levels)
    return sides[0], sides[1]


def _follow(file: Path, rows: Iterator[tuple[int, dict[str, str]]], books: BookRows) -> None:
    """Book by book: rows of one receive time are one change; what comes before the first snapshot is no book."""
    book, known, in_snapshot = LevelBook(), False, False
    last: tuple[int, int] | None = None
    for line, row in rows:
        times = _times(file, line, row)
        if last is not None and times[0] != last[0] and known:
            books.add(*last, *book.best())
        if row["side"] not in ("bid", "ask"):
            raise RecordingError(field=f"{file.name}:side", value=row["side"], expected="bid or ask", row=line)
        begins = row["is_snapshot"] == "true" and (not in_snapshot or last is None or times[0] != last[0])
        if begins:
            book.clear()
        in_snapshot = row["is_snapshot"] == "true"
        known |= in_snapshot
        price = number(file, line, "price", row["price"], least=1e-12)
        size = number(file, line, "amount", row["amount"], least=0.0)
        book.change(is_bid=row["side"] == "bid", price=price, size=size)
        last = times
    if known and last is not None:
        books.add(*last, *book.best())


def _context(file: Path, line: int, row: dict[str, str]) -> tuple[int, float, float, float, float]:
    values = [
        number(file, line, name, row[name]) if row[name] else float("nan")
        for name in ("mark_price", "index_price", "funding_rate", "open_interest")
    ]
    return (_times(file, line, row)[0], values[0], values[1], values[2], values[3])
