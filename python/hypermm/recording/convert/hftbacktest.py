"""hftbacktest's npz: rows of depth, snapshot, clear and trade events, as its exchange and its trader saw them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import RecordingError
from hypermm.recording.convert.columns import BookRows, LevelBook, files_below, made, trade_columns

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from numpy.typing import NDArray

    from hypermm.recording.schema import Recording

__all__ = ["read_hftbacktest"]

_DEPTH, _TRADE, _CLEAR, _SNAPSHOT = 1, 2, 3, 4
_LOCAL, _BUY, _SELL = 1 << 30, 1 << 29, 1 << 28
_FIELDS = ("ev", "exch_ts", "local_ts", "px", "qty")


def read_hftbacktest(path: str | PathLike[str], coin: str) -> Recording:
    """Reads npz files of one instrument. Rows the trader saw are taken, so each event counts once.

    Args:
        path: One `.npz`, or a folder with them anywhere below, in order of their names.
        coin: Symbol of the instrument, which the files do not name.

    Raises:
        RecordingError: A file is damaged, not of hftbacktest's columns, or holds a number that is not valid; names
            file and row.
    """
    books, book = BookRows(), LevelBook()
    trades: list[Any] = []
    for file in files_below(path, lambda item: item.suffix == ".npz"):
        rows = _rows(file)
        kind = rows["ev"] & 0xFF
        seen = np.flatnonzero((rows["ev"] & _LOCAL) != 0)
        _check(file, rows, seen)
        is_book = np.isin(kind, (_DEPTH, _CLEAR, _SNAPSHOT))
        changes = seen[is_book[seen]]
        ends = np.ones(len(changes), bool)
        ends[:-1] = rows["local_ts"][changes][1:] != rows["local_ts"][changes][:-1]
        for row, end in zip(changes.tolist(), ends.tolist(), strict=True):
            event = int(rows["ev"][row])
            if event & 0xFF == _CLEAR:
                book.clear()
            else:
                book.change(is_bid=bool(event & _BUY), price=float(rows["px"][row]), size=float(rows["qty"][row]))
            if end:
                books.add(int(rows["local_ts"][row]), int(rows["exch_ts"][row]), *book.best())
        for row in seen[kind[seen] == _TRADE].tolist():
            sign = 1 if int(rows["ev"][row]) & _BUY else -1
            clocks = (int(rows["local_ts"][row]), int(rows["exch_ts"][row]))
            trades.append((*clocks, float(rows["px"][row]), float(rows["qty"][row]), sign, len(trades) + 1))
    return made(coin, path, books, *([trade_columns(trades)] if trades else []))


def _rows(file: Path) -> NDArray[Any]:
    try:
        rows: NDArray[Any] = np.load(file)["data"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RecordingError(
            field=file.name, value=type(error).__name__, expected='an npz with an array "data"', hint=str(error)
        ) from error
    names = rows.dtype.names or ()
    if missing := [name for name in _FIELDS if name not in names]:
        raise RecordingError(field=f"{file.name}:{missing[0]}", value="missing", expected=", ".join(_FIELDS))
    return rows


def _check(file: Path, rows: NDArray[Any], seen: NDArray[np.intp]) -> None:
    """Refuses the first row that no market can have sent."""
    kind = rows["ev"][seen] & 0xFF
    price, size = rows["px"][seen], rows["qty"][seen]
    sided = (rows["ev"][seen] & (_BUY | _SELL)) != 0
    times = rows["local_ts"][seen]
    used = np.isin(kind, (_DEPTH, _TRADE, _SNAPSHOT))
    backwards = np.zeros(len(seen), bool)
    backwards[1:] = np.diff(times) < 0
    for name, bad, expected in (
        ("local_ts", backwards, "not before the row above"),
        ("px", used & ~(np.isfinite(price) & (price > 0)), "a finite number above 0"),
        ("qty", used & ~(np.isfinite(size) & (size >= (kind == _TRADE) * 1e-12)), "a finite size; a print's above 0"),
        ("ev", used & ~sided, "a row of the buy or the sell side"),
    ):
        if bad.any():
            row = int(seen[np.flatnonzero(bad)[0]])
            raise RecordingError(field=f"{file.name}:{name}", value=rows[name][row].item(), expected=expected, row=row)
