"""Everything that is wrong with the files of a recording: where it stands, and how to mend it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypermm.exceptions import HypermmError, RecordingError, UnknownCoinError
from hypermm.recording.instruments import facts_beside, instrument_facts
from hypermm.recording.layout import SUFFIXES, folders, parse_name
from hypermm.recording.load import load_recording
from hypermm.recording.rolling import LOG
from hypermm.recording.schema import FALLING_VENUE_TIME
from hypermm.recording.table import Table, read_table

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

__all__ = ["Finding", "check_recording"]

_CLOCKS = ("timestamp", "time_ns", "exchange_timestamp", "exchange_time_ns", "sequence")
_KNOWN = {
    "orderbooks": _CLOCKS,
    "prices": (*_CLOCKS, "price", "size", "side", "best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size"),
    "trades": (*_CLOCKS, "price", "size", "side", "aggressor", "trade_id", "is_history"),
    "context": (
        *_CLOCKS, "mark_price", "oracle_price", "funding_rate", "predicted_funding", "next_settlement_ns",
        "open_interest", "mid_price", "premium",
    ),
}  # fmt: skip
_LEVEL = re.compile(r"(bid|ask)_(price|size)_(\d{1,4})")
_SIGNIFICANT, _DECIMALS = 5, 6


class Finding(NamedTuple):
    """One thing that is wrong, however many rows share it.

    Attributes:
        file: Name of the file.
        row: First row at fault: line of a text file, the header being 1, or row of a Parquet file from 0; None for
            the whole file.
        rows: How many rows are at fault.
        column: Column at fault.
        value: What stands there.
        problem: What is wrong.
        mend: How to mend it.
    """

    file: str
    row: int | None
    rows: int
    column: str
    value: str
    problem: str
    mend: str


def check_recording(path: str | PathLike[str], instrument_file: str | PathLike[str] | None = None) -> list[Finding]:
    """Checks a file of a recording, or all those of a folder.

    Prices are held against the grid of coins whose instrument is known.

    Args:
        path: File or folder.
        instrument_file: Instruments file of the user's own; the folder's when left out and it has one.

    Raises:
        RecordingError: Nothing of a recording is there.
    """
    start = Path(path)
    files = [start] if start.is_file() else _files(start)
    if not files:
        expected = "a file of a recording, or a folder that holds some"
        raise RecordingError(field="path", value=str(path), expected=expected, hint="check the spelling")
    findings = []
    instrument_file = instrument_file or facts_beside(start)
    for file in files:
        findings += _check_file(file, instrument_file)
    if findings and not all(file.exists() for file in files):
        # A recorder has joined pieces meanwhile: what is there now counts.
        files = _files(start)
        findings = [finding for file in files for finding in _check_file(file, instrument_file)]
    named = [(file.name, parsed) for file in files if (parsed := parse_name(file.name))]
    books = {parsed.coin: name for name, parsed in reversed(named) if parsed.stream == "orderbooks"}
    if start.is_dir() and not findings:
        # What stands between files: streams that are not there, or that no replay can take together.
        for coin, name in sorted(books.items()):
            try:
                load_recording(start, coin)
            except HypermmError as error:
                findings.append(_whole(name, error))
    return findings


def _files(start: Path) -> list[Path]:
    """Files of a recording, those of its spans too; what was logged beside them is of no replay."""
    if not start.is_dir():
        return []
    items = [file for place in folders(start) for file in sorted(place.glob("*")) if file.name.endswith(SUFFIXES)]
    return [file for file in items if not re.fullmatch(rf"{LOG}(~\d+)?\.parquet", file.name)]


def _whole(name: str, error: HypermmError) -> Finding:
    hint = error.hint or f"expected {error.expected}"
    row = getattr(error, "row", None)
    return Finding(name, row, 1, error.field.partition(":")[2], str(error.value), str(error), hint)


def _check_file(file: Path, instrument_file: str | PathLike[str] | None) -> list[Finding]:
    named = parse_name(file.name)
    if named is None:
        mend = "rename it, or `hypermm data convert` files of another program"
        problem = "not orderbooks_COIN, prices_COIN, trades_COIN or context_COIN with " + ", ".join(SUFFIXES)
        return [Finding(file.name, None, 0, "", file.name, problem, mend)]
    try:
        table = read_table(file)
    except HypermmError as error:
        return [_whole(file.name, error)]
    try:
        decimals: int | None = instrument_facts(named.coin, instrument_file).size_decimals
    except UnknownCoinError:
        decimals = None
    check = _Check(table, decimals)
    check.names(_KNOWN[named.stream], levels=named.stream == "orderbooks")
    check.clocks(shows_the_book=named.stream in ("orderbooks", "prices"))
    check.numbers()
    if named.stream == "orderbooks":
        check.book()
    return check.findings


class _Check:
    def __init__(self, table: Table, size_decimals: int | None) -> None:
        self.table = table
        self.size_decimals = size_decimals
        self.findings: list[Finding] = []

    def note(self, column: str, bad: NDArray[np.bool_], problem: str, mend: str) -> None:
        """Notes the first of the rows at fault, if there is one."""
        rows = np.flatnonzero(bad)
        if rows.size:
            row = int(rows[0])
            place = int(self.table.source(rows[:1]).first[0])
            value = str(self.table.columns[column][row])
            self.findings.append(Finding(self.table.path.name, place, int(rows.size), column, value, problem, mend))

    def names(self, known: tuple[str, ...], *, levels: bool) -> None:
        """Columns that nothing reads."""
        for name in self.table.columns:
            if name not in known and not (levels and _LEVEL.fullmatch(name)):
                file, problem = self.table.path.name, "unknown column: nothing reads it"
                mend = "take it out, or name it as one of " + ", ".join(known)
                self.findings.append(Finding(file, None, self.table.rows, name, name, problem, mend))

    def clocks(self, *, shows_the_book: bool) -> None:
        """Receive times that go backwards, and of books and best prices venue times that do."""
        name = next((name for name in ("time_ns", "timestamp") if name in self.table.columns), None)
        if name is None:
            file, problem = self.table.path.name, "no receive time"
            self.findings.append(
                Finding(file, None, 0, "time_ns", "missing column", problem, "add time_ns, integer ns")
            )
            return
        self.forwards(name, "sort the file by receive time")
        if shows_the_book:
            for column in ("exchange_time_ns", "exchange_timestamp"):
                if column in self.table.columns:
                    self.forwards(column, FALLING_VENUE_TIME)

    def forwards(self, name: str, mend: str) -> None:
        """A clock that goes backwards."""
        late = np.zeros(self.table.rows, bool)
        late[1:] = np.diff(self.table.columns[name]) < 0
        self.note(name, late, "earlier than the row above", mend)

    def numbers(self) -> None:
        """Prices and sizes that no market has."""
        for name, values in self.table.columns.items():
            is_price, is_size = "price" in name, "size" in name
            if not (is_price or is_size) or values.dtype.kind not in "fiu":
                continue
            may_miss = bool(_LEVEL.fullmatch(name)) or name.startswith(("best_", "mark", "oracle", "mid"))
            numbers = values.astype(np.float64)
            wrong = ~np.isfinite(numbers) & ~(np.isnan(numbers) & may_miss)
            self.note(
                name, wrong, "not a finite number", "take the row out, or leave the cell of a missing level empty"
            )
            word = "price" if is_price else "size"
            self.note(name, numbers < 0, f"a negative {word}", "sizes carry no sign: the side is its own column")
            if not may_miss:
                self.note(name, numbers == 0, f"a {word} of nothing", "take the row out")
            if is_price and self.size_decimals is not None and not name.startswith(("mark", "oracle", "mid")):
                off = _off_grid(numbers, self.size_decimals)
                self.note(
                    name, off, "off the venue's price grid", "is it the right coin, in USD, not rounded or averaged?"
                )

    def book(self) -> None:
        """Levels out of order, and a best bid above the best ask."""
        columns = self.table.columns
        for side, sign in (("bid", -1.0), ("ask", 1.0)):
            level = 1
            while (name := f"{side}_price_{level}") in columns and f"{side}_price_{level - 1}" in columns:
                step = sign * (columns[name] - columns[f"{side}_price_{level - 1}"])
                present = (columns[name] > 0) & (columns[f"{side}_price_{level - 1}"] > 0)
                mend = f"sort the {side} levels, best first, and join equal prices"
                self.note(name, present & (step <= 0), f"not beyond level {level - 1}", mend)
                level += 1
        if "bid_price_0" in columns and "ask_price_0" in columns:
            crossed = columns["bid_price_0"] > columns["ask_price_0"]
            mend = "are bids and asks swapped? else take the row out"
            self.note("bid_price_0", crossed & (columns["ask_price_0"] > 0), "a crossed book", mend)


def _off_grid(prices: NDArray[np.float64], size_decimals: int) -> NDArray[np.bool_]:
    """Prices of more than five significant digits or more decimals than the coin has; whole numbers are valid."""
    valid = np.isfinite(prices) & (prices > 0)
    magnitude = np.floor(np.log10(np.where(valid, prices, 1.0)) + 1e-12)
    decimals = np.clip(_SIGNIFICANT - 1 - magnitude, 0, _DECIMALS - size_decimals)
    scaled = np.where(valid, prices, 0.0) * 10.0**decimals
    off: NDArray[np.bool_] = valid & (np.abs(scaled - np.rint(scaled)) > 1e-9 * np.maximum(scaled, 1.0) + 1e-7)
    return off
