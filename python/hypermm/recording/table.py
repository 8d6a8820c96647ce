"""One file of a recording as named columns of text or numbers, with errors that say where."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import RecordingError
from hypermm.recording.schema import SourceRows
from hypermm.recording.write import arrow_modules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Table", "read_table", "read_tables"]

# Columns that hold words or integers beyond 2^53; all others are floats.
_TEXT = ("side",)
_INTEGER = (
    "trade_id",
    "sequence",
    "exchange_timestamp",
    "time_ns",
    "exchange_time_ns",
    "aggressor",
    "next_settlement_ns",
)
_MOST_NAMED = 8
_NS_PER_MS = 1_000_000
_TENTH_MICROSECONDS = 1e7


class Table:
    """Columns of one file. `row` counts from 0 below; messages give the line of the file, the header being line 1."""

    def __init__(self, path: Path, columns: dict[str, NDArray[Any]]) -> None:
        self.path = path
        self.columns = columns
        self.rows = len(next(iter(columns.values()))) if columns else 0

    def error(
        self, column: str, value: object, expected: str, row: int | None = None, hint: str = ""
    ) -> RecordingError:
        """An error that names file, column and, when given, the row."""
        line = None if row is None else row + self._header
        return RecordingError(field=f"{self.path.name}:{column}", value=value, expected=expected, row=line, hint=hint)

    def source(self, first: NDArray[np.intp], last: NDArray[np.intp] | None = None) -> SourceRows:
        """File and lines of rows that were kept, given the first and the last table row of each."""
        unit = "row" if self._header == 0 else "line"
        ends = [_frozen(rows.astype(np.int64) + self._header) for rows in (first, first if last is None else last)]
        return SourceRows(self.path.name, unit, ends[0], ends[1])

    @property
    def _header(self) -> int:
        """What is added to a row counted from 0 to name it: a text file's first row stands on line 2."""
        return 0 if self.path.suffix == ".parquet" else 2

    def first_of(self, *names: str) -> str:
        """The first of `names` that is a column; raises `RecordingError` when none is."""
        for name in names:
            if name in self.columns:
                return name
        found = ", ".join(list(self.columns)[:_MOST_NAMED]) + (", ..." if len(self.columns) > _MOST_NAMED else "")
        raise self.error(names[-1], "missing column", f"a column {' or '.join(names)}; the file has {found}")

    def numbers(self, name: str, *, missing: bool = False) -> NDArray[np.float64]:
        """A column of finite floats; NaN only where it may be missing."""
        values = self.columns[self.first_of(name)]
        if values.dtype.kind not in "fiu":
            raise self.error(name, str(values.dtype), "numbers")
        array: NDArray[np.float64] = values.astype(np.float64)
        good = np.isfinite(array) | (np.isnan(array) if missing else False)
        if (bad := np.flatnonzero(~good)).size:
            raise self.error(name, float(array[bad[0]]), "a finite number", int(bad[0]))
        return array

    def positive(self, name: str, *, missing: bool = False) -> NDArray[np.float64]:
        """A column of finite floats above 0; with `missing`, an empty cell or a 0 becomes NaN."""
        array = self.numbers(name, missing=missing)
        if missing:
            array[array == 0.0] = np.nan
        if (bad := np.flatnonzero(array < 0 if missing else array <= 0)).size:
            raise self.error(name, float(array[bad[0]]), "a finite number above 0", int(bad[0]))
        return array

    def times(self, exact: str, scaled: str, scale: float) -> NDArray[np.int64]:
        """Times in ns: `exact` holds ns already, `scaled` holds s (scale 1e9) or ms (scale 1e3)."""
        name = self.first_of(exact, scaled)
        values = self.columns[name]
        if name == exact:
            if values.dtype.kind not in "iu":
                raise self.error(name, str(values.dtype), "integer ns")
            return values.astype(np.int64)
        unit = "s" if scale == 1e9 else "ms"
        earliest, latest = (1e8, 1e11) if unit == "s" else (1e11, 1e14)
        numbers = self.numbers(name)
        if (bad := np.flatnonzero((numbers < earliest) | (numbers > latest))).size:
            raise self.error(name, float(numbers[bad[0]]), f"{unit} since 1970", int(bad[0]))
        if unit == "ms":
            return np.rint(numbers).astype(np.int64) * _NS_PER_MS
        # A double near 1.7e9 s resolves 0.24 µs: seven decimals are what it was printed with, so they are exact.
        whole = np.floor(numbers)
        fraction = np.rint((numbers - whole) * _TENTH_MICROSECONDS).astype(np.int64)
        return whole.astype(np.int64) * 1_000_000_000 + fraction * 100

    def choice(self, name: str, words: tuple[str, str]) -> NDArray[np.int8]:
        """A column of one of two words, as 0 or 1."""
        values = self.columns[self.first_of(name)]
        second = values == words[1]
        if (bad := np.flatnonzero(~second & (values != words[0]))).size:
            raise self.error(name, str(values[bad[0]]), f"{words[0]} or {words[1]}", int(bad[0]))
        indices: NDArray[np.int8] = second.astype(np.int8)
        return indices

    def identifiers(self, name: str) -> NDArray[np.uint64]:
        """A column of unsigned integers."""
        values = self.columns[self.first_of(name)]
        if values.dtype.kind not in "iu":
            raise self.error(name, str(values.dtype), "integers")
        if values.dtype.kind == "i" and (bad := np.flatnonzero(values < 0)).size:
            raise self.error(name, int(values[bad[0]]), "an integer of 0 or more", int(bad[0]))
        return values.astype(np.uint64)


def _frozen(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    rows.setflags(write=False)
    return rows


def read_table(path: Path) -> Table:
    """Reads a `.csv.gz`, `.csv` or `.parquet` file.

    Raises:
        RecordingError: The file is damaged, or a cell is not what its column holds.
        MissingDependencyError: A Parquet file, and pyarrow is not installed.
    """
    return _read_parquet([path]) if path.suffix == ".parquet" else _read_csv(path)


def read_tables(paths: Sequence[Path]) -> Table:
    """Reads the files of one stream as one table, in the order given. Rows are counted through all of them.

    Raises:
        RecordingError: A file is damaged, or one of several is not Parquet.
        MissingDependencyError: A Parquet file, and pyarrow is not installed.
    """
    if len(paths) == 1:
        return read_table(paths[0])
    for path in paths:
        if path.suffix != ".parquet":
            raise RecordingError(field=path.name, value=f"one of {len(paths)} files", expected="Parquet in every span")
    return _read_parquet(paths)


def _read_csv(path: Path) -> Table:
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RecordingError(
            field=path.name, value=type(error).__name__, expected="a whole gzip file of UTF-8 text", hint=str(error)
        ) from error
    header, _, body = text.partition("\n")
    names = [name.strip() for name in header.split(",")]
    if len(set(names)) != len(names) or "" in names or len(names) < 2:
        raise RecordingError(field=path.name, value=header[:80], expected="a header line of distinct column names")
    if ",," in body or ",\n" in body:
        body = body.replace(",,", ",nan,").replace(",,", ",nan,").replace(",\n", ",nan\n")
    kinds = [("U8" if name in _TEXT else "i8" if name in _INTEGER else "f8") for name in names]
    if not body.strip():
        return Table(path, {name: np.empty(0, kind) for name, kind in zip(names, kinds, strict=True)})
    try:
        if len(set(kinds)) == 1:
            block = np.loadtxt(io.StringIO(body), delimiter=",", dtype=kinds[0], ndmin=2, comments=None)
            if block.shape[1] != len(names):
                raise _diagnose(path, names, kinds, body)
            return Table(path, {name: block[:, index] for index, name in enumerate(names)})
        records = np.loadtxt(
            io.StringIO(body), delimiter=",", dtype=list(zip(names, kinds, strict=True)), ndmin=1, comments=None
        )
    except (ValueError, OverflowError) as error:
        if isinstance(error, RecordingError):
            raise
        raise _diagnose(path, names, kinds, body) from error
    return Table(path, {name: np.ascontiguousarray(records[name]) for name in names})


def _diagnose(path: Path, names: list[str], kinds: list[str], body: str) -> RecordingError:
    """Finds the first cell that could not be read."""
    for line, cells in enumerate(csv.reader(io.StringIO(body)), start=2):
        if cells and len(cells) != len(names):
            where, found = names[min(len(cells), len(names) - 1)], f"{len(cells)} cells"
            return RecordingError(field=f"{path.name}:{where}", value=found, expected=f"{len(names)} cells", row=line)
        for name, kind, cell in zip(names, kinds, cells, strict=False):
            if kind != "U8" and not _reads_as(cell, kind):
                wanted = "an integer" if kind == "i8" else "a number"
                return RecordingError(field=f"{path.name}:{name}", value=cell, expected=wanted, row=line)
    return RecordingError(field=path.name, value="unreadable", expected="comma-separated rows")


def _reads_as(cell: str, kind: str) -> bool:
    try:
        number = int(cell) if kind == "i8" else float(cell)
    except ValueError:
        return False
    return kind == "f8" or -(2**63) <= number < 2**63


def _read_parquet(paths: Sequence[Path]) -> Table:
    arrow, parquet = arrow_modules()
    tables = []
    for path in paths:
        try:
            tables.append(parquet.read_table(path))
        except (OSError, arrow.ArrowException) as error:
            raise RecordingError(
                field=path.name, value=type(error).__name__, expected="a Parquet file", hint=str(error)
            ) from error
    path = paths[0] if len(paths) == 1 else paths[0].parent.parent / paths[0].name
    try:
        table = arrow.concat_tables(tables, promote_options="default")
    except arrow.ArrowException as error:
        raise RecordingError(
            field=path.name, value=f"{len(paths)} files", expected="columns of one type in all", hint=str(error)
        ) from error
    columns = {}
    for name in table.column_names:
        kind = table.schema.field(name).type
        if arrow.types.is_nested(kind):
            raise RecordingError(field=f"{path.name}:{name}", value=str(kind), expected="one number or word a row")
        values = table.column(name).to_numpy()
        columns[name] = values.astype("U8") if values.dtype.kind == "O" else values
    return Table(path, columns)
