"""From rows of any source to the columns of a recording: files opened, books followed, streams put in order."""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import RecordingError
from hypermm.extras import needs
from hypermm.recording.schema import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from os import PathLike

__all__ = ["BookRows", "LevelBook", "context_columns", "files_below", "lines_of", "made", "number", "trade_columns"]

DEPTH = 20
_NONE = float("-inf")
_COMPRESSION = {".lz4": "lz4", ".gz": "gzip", ".zst": "zstd"}


def files_below(path: str | PathLike[str], wanted: Callable[[Path], bool]) -> list[Path]:
    """The file itself, or the wanted ones below a folder, sorted by name.

    Raises:
        RecordingError: Nothing is there.
    """
    start = Path(path)
    found = [start] if start.is_file() else sorted(item for item in start.rglob("*") if item.is_file() and wanted(item))
    if not found:
        raise RecordingError(
            field="path", value=str(path), expected="a file of the source, or a folder that holds some"
        )
    return found


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines of a plain, gzip, zstd or LZ4-frame file, counted from 1, never all in memory at once.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RecordingError: The file is damaged.
    """
    with needs("cli", "pyarrow to read it"):
        import pyarrow as arrow
    rest, line = b"", 0
    try:
        with arrow.input_stream(str(path), compression=_COMPRESSION.get(path.suffix)) as stream:
            while block := stream.read(1 << 20):
                *whole, rest = (rest + block).split(b"\n")
                for text in whole:
                    line += 1
                    yield line, text
    except (OSError, arrow.ArrowException) as error:
        raise RecordingError(
            field=path.name, value=type(error).__name__, expected="a whole file", hint=f"after line {line}: {error}"
        ) from error
    if rest.strip():
        yield line + 1, rest


def number(path: Path, line: int, name: str, text: object, *, least: float | None = None) -> float:
    """A finite number of a cell, at least `least`.

    Raises:
        RecordingError: It is none; names file, column and line.
    """
    try:
        value = float(text)  # type: ignore[arg-type]  # text of any kind: what is no number is refused
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value) or (least is not None and value < least):
        expected = "a finite number" + ("" if least is None else f" of {least:g} or more")
        raise RecordingError(field=f"{path.name}:{name}", value=text, expected=expected, row=line)
    return value


class BookRows:
    """Books as they come, padded to `DEPTH` levels a side."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, list[float], list[float], list[float], list[float]]] = []

    def add(
        self, time_ns: int, exchange_ns: int, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]
    ) -> None:
        """One book, best levels first."""
        sides: list[list[float]] = []
        for levels in (bids, asks):
            kept = [level for level in levels[:DEPTH] if level[1] > 0]
            missing = [float("nan")] * (DEPTH - len(kept))
            sides += [[price for price, _ in kept] + missing, [size for _, size in kept] + missing]
        self._rows.append((time_ns, exchange_ns, sides[0], sides[1], sides[2], sides[3]))

    def columns(self) -> dict[str, Any]:
        """Columns of the stream in receive order."""
        rows = sorted(self._rows, key=lambda row: row[0])
        names = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
        books = {name: np.array([row[place] for row in rows]) for place, name in enumerate(names, 2)}
        used = max(
            (int(np.flatnonzero(~np.isnan(books[name]).all(axis=0)).max(initial=-1)) + 1 for name in names), default=0
        )
        return _clocks("book", rows) | {name: books[name][:, : max(used, 1)] for name in names}

    def __len__(self) -> int:
        return len(self._rows)


class LevelBook:
    """A book that changes level by level."""

    def __init__(self) -> None:
        # Sizes by price, a side each, the asks with their prices negated: the best level of both is the largest.
        self._sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
        self._best = [_NONE, _NONE]

    def clear(self) -> None:
        """Nothing is known any more."""
        self._sides = ({}, {})
        self._best = [_NONE, _NONE]

    def change(self, *, is_bid: bool, price: float, size: float) -> None:
        """States a level; size 0 removes it. Levels of the other side at or beyond it are gone, though unsaid."""
        own, other = (0, 1) if is_bid else (1, 0)
        key = price if is_bid else -price
        if size == 0:
            self._sides[own].pop(key, None)
            if key == self._best[own]:
                self._best[own] = max(self._sides[own], default=_NONE)
            return
        self._sides[own][key] = size
        self._best[own] = max(self._best[own], key)
        if self._best[other] >= -key:
            for stale in [level for level in self._sides[other] if level >= -key]:
                del self._sides[other][stale]
            self._best[other] = max(self._sides[other], default=_NONE)

    def best(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Bids and asks, best first, at most `DEPTH` of each."""
        bids, asks = (heapq.nlargest(DEPTH, side.items()) for side in self._sides)
        return bids, [(-price, size) for price, size in asks]


def _clocks(stream: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    return {
        f"{stream}_time_ns": np.array([row[0] for row in rows], np.int64),
        f"{stream}_exchange_time_ns": np.array([row[1] for row in rows], np.int64),
    }


def trade_columns(rows: Iterable[tuple[int, int, float, float, int, int]]) -> dict[str, Any]:
    """Columns of prints (receive time, venue time, price, size, aggressor, id), each id once, in receive order."""
    ordered = sorted(rows, key=lambda row: row[0])
    once = list({row[5]: row for row in reversed(ordered)}.values())[::-1]
    once.sort(key=lambda row: row[0])
    return _clocks("trade", once) | {
        "trade_price": np.array([row[2] for row in once], np.float64),
        "trade_size": np.array([row[3] for row in once], np.float64),
        "trade_aggressor": np.array([row[4] for row in once], np.int8),
        "trade_id": np.array([row[5] for row in once], np.uint64),
    }


def context_columns(rows: Iterable[tuple[int, float, float, float, float]], interval_ns: int) -> dict[str, Any]:
    """Columns of contexts (receive time, mark, oracle, funding rate, open interest); NaN is no news.

    Settlements fall on whole multiples of `interval_ns`.
    """
    ordered = sorted(rows)
    time_ns = np.array([row[0] for row in ordered], np.int64)
    names = ("mark_price", "oracle_price", "funding_rate", "open_interest")
    columns: dict[str, Any] = {
        name: np.array([row[place] for row in ordered], np.float64) for place, name in enumerate(names, 1)
    }
    return columns | {"context_time_ns": time_ns, "next_settlement_ns": time_ns - time_ns % interval_ns + interval_ns}


def made(coin: str, path: str | PathLike[str], books: BookRows, *streams: dict[str, Any]) -> Recording:
    """A checked recording of what was read.

    Raises:
        RecordingError: No book was found, or a value is out of range.
    """
    if not len(books):
        raise RecordingError(
            field="coin", value=coin, expected="a coin with books in these files", hint="check the symbol's spelling"
        )
    columns = books.columns()
    for stream in streams:
        columns |= stream
    return Recording.from_columns(coin, columns, path=str(path))
