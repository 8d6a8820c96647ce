"""What a recording is: four streams of NumPy columns, each row with two clocks.

`*_time_ns` is the collector's clock, when the row was received; `*_exchange_time_ns` is the venue's. A replay lives
on the first, so the engine sees an event when the collector did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypermm.exceptions import RecordingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "FALLING_VENUE_TIME", "ORDERED_AT_THE_VENUE", "STREAMS", "Column", "Recording", "SourceRows"]

STREAMS = ("book", "best", "trade", "context")
ORDERED_AT_THE_VENUE = ("book", "best")
"""Streams whose venue times may not fall: each message shows the contract as of a block."""
FALLING_VENUE_TIME = "a wrong venue time, here or in the row above, hides the market after it: take that row out"


class Column(NamedTuple):
    """One column of a recording.

    Attributes:
        name: Attribute of `Recording`.
        stream: Stream it belongs to; all columns of a stream have one length.
        dtype: NumPy dtype it is stored in.
        two_dimensional: True for (rows, depth) arrays of book levels.
        missing: True where NaN stands for an empty level, an empty side or no news.
        text: What it holds, with its unit.
    """

    name: str
    stream: str
    dtype: str
    two_dimensional: bool
    missing: bool
    text: str


def _column(name: str, dtype: str, text: str, *, missing: bool = False, two_dimensional: bool = False) -> Column:
    stream = {"bid": "book", "ask": "book", "book": "book", "best": "best", "trade": "trade"}
    return Column(name, stream.get(name.split("_", 1)[0], "context"), dtype, two_dimensional, missing, text)


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        _column("book_time_ns", "int64", "receive time of a book, ns"),
        _column("book_exchange_time_ns", "int64", "venue time of a book, ns"),
        _column("bid_prices", "float64", "bid prices, best first", missing=True, two_dimensional=True),
        _column("bid_sizes", "float64", "bid sizes, contracts", missing=True, two_dimensional=True),
        _column("ask_prices", "float64", "ask prices, best first", missing=True, two_dimensional=True),
        _column("ask_sizes", "float64", "ask sizes, contracts", missing=True, two_dimensional=True),
        _column("best_time_ns", "int64", "receive time of a best bid and offer, ns"),
        _column("best_exchange_time_ns", "int64", "venue time of a best bid and offer, ns"),
        _column("best_bid_price", "float64", "best bid", missing=True),
        _column("best_bid_size", "float64", "its size, contracts", missing=True),
        _column("best_ask_price", "float64", "best ask", missing=True),
        _column("best_ask_size", "float64", "its size, contracts", missing=True),
        _column("trade_time_ns", "int64", "receive time of a print, ns"),
        _column("trade_exchange_time_ns", "int64", "venue time of a print, ns"),
        _column("trade_price", "float64", "price"),
        _column("trade_size", "float64", "contracts"),
        _column("trade_aggressor", "int8", "+1 the aggressor bought, -1 sold"),
        _column("trade_id", "uint64", "the venue's name of the print"),
        _column("context_time_ns", "int64", "receive time of a context, ns"),
        _column("mark_price", "float64", "mark price", missing=True),
        _column("oracle_price", "float64", "oracle price", missing=True),
        _column("funding_rate", "float64", "current funding, fraction per interval, + = longs pay", missing=True),
        _column("predicted_funding", "float64", "predicted funding, fraction per interval", missing=True),
        _column("next_settlement_ns", "int64", "time of the next settlement, ns; 0 = no news"),
        _column("open_interest", "float64", "open interest, contracts", missing=True),
    )
}


class SourceRows(NamedTuple):
    """Where the rows of a stream stood in the file they were read from.

    Attributes:
        file: Name of the file.
        unit: "line" of a text file, the header being line 1, or "row" from 0.
        first: First line of each row, shape (rows,).
        last: Last line of each row: a bid and an ask line may be one row.
    """

    file: str
    unit: str
    first: NDArray[np.int64]
    last: NDArray[np.int64]


# Default of a stream that is not there; any empty sequence would do.
_NONE: Any = ()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Recording:
    """One coin's market over a span of time, checked and read-only.

    Arrays are read-only and contiguous. NaN is a missing level, an empty side or no news, and nothing else.
    `COLUMNS` describes each of them.

    Attributes:
        coin: Venue symbol.
        path: Where it was read from; "" for one made in memory.
        dropped_replay_trades: Prints older than the first book: the venue's replay at subscription.
        dropped_duplicate_trades: Prints whose id was seen before.
        sources: File and lines of each stream that was read from a file; empty for one made in memory.

    Raises:
        RecordingError: A column is of the wrong shape or type, not finite, out of range or not in time order; names
            column and row.
    """

    coin: str
    path: str = ""
    book_time_ns: NDArray[np.int64]
    book_exchange_time_ns: NDArray[np.int64]
    bid_prices: NDArray[np.float64]
    bid_sizes: NDArray[np.float64]
    ask_prices: NDArray[np.float64]
    ask_sizes: NDArray[np.float64]
    best_time_ns: NDArray[np.int64] = _NONE
    best_exchange_time_ns: NDArray[np.int64] = _NONE
    best_bid_price: NDArray[np.float64] = _NONE
    best_bid_size: NDArray[np.float64] = _NONE
    best_ask_price: NDArray[np.float64] = _NONE
    best_ask_size: NDArray[np.float64] = _NONE
    trade_time_ns: NDArray[np.int64] = _NONE
    trade_exchange_time_ns: NDArray[np.int64] = _NONE
    trade_price: NDArray[np.float64] = _NONE
    trade_size: NDArray[np.float64] = _NONE
    trade_aggressor: NDArray[np.int8] = _NONE
    trade_id: NDArray[np.uint64] = _NONE
    context_time_ns: NDArray[np.int64] = _NONE
    mark_price: NDArray[np.float64] = _NONE
    oracle_price: NDArray[np.float64] = _NONE
    funding_rate: NDArray[np.float64] = _NONE
    predicted_funding: NDArray[np.float64] = _NONE
    next_settlement_ns: NDArray[np.int64] = _NONE
    open_interest: NDArray[np.float64] = _NONE
    dropped_replay_trades: int = 0
    dropped_duplicate_trades: int = 0
    sources: Mapping[str, SourceRows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every column and makes it read-only."""
        lengths: dict[str, int] = {}
        for column in COLUMNS.values():
            array = _as_column(column, getattr(self, column.name))
            rows = lengths.setdefault(column.stream, len(array))
            if column.stream == "context" and column.name != "context_time_ns" and len(array) == 0 < rows:
                array = _frozen(np.full(rows, np.nan if column.dtype == "float64" else 0, column.dtype))
            if len(array) != rows:
                raise RecordingError(
                    field=column.name,
                    value=f"{len(array)} rows",
                    expected=f"{rows} rows, like {column.stream}_time_ns",
                )
            object.__setattr__(self, column.name, array)
        for stream in STREAMS:
            _check_order(f"{stream}_time_ns", getattr(self, f"{stream}_time_ns"), "sort the recording by receive time")
        for stream in ORDERED_AT_THE_VENUE:
            _check_order(f"{stream}_exchange_time_ns", getattr(self, f"{stream}_exchange_time_ns"), FALLING_VENUE_TIME)
        for column in COLUMNS.values():
            _check_values(column, getattr(self, column.name))
        _check_book(self)

    @classmethod
    def from_columns(cls, coin: str, columns: Mapping[str, Any], *, path: str = "") -> Recording:
        """Makes a recording from a mapping of column name → array.

        Args:
            coin: Venue symbol.
            columns: Arrays by the names of `COLUMNS`; the streams other than the book may be left out.
            path: Where they came from.

        Raises:
            RecordingError: A name is unknown, or the book is missing.
        """
        if not isinstance(columns, Mapping):
            raise RecordingError(field="columns", value=type(columns).__name__, expected="a mapping of name to array")
        for name in columns:
            if name not in COLUMNS:
                raise RecordingError(field=name, value="unknown column", expected="one of " + ", ".join(COLUMNS))
        for name, column in COLUMNS.items():
            if column.stream == "book" and name not in columns:
                raise RecordingError(field=name, value="missing", expected=f"a column of {column.text}")
        return cls(coin=coin, path=path, **columns)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, without copying."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def depth(self) -> int:
        """Levels a side."""
        return int(self.bid_prices.shape[1])

    @property
    def events(self) -> int:
        """Rows of all streams together."""
        return sum(len(getattr(self, f"{stream}_time_ns")) for stream in STREAMS)

    @property
    def start_ns(self) -> int:
        """Receive time of the first row, ns."""
        return min((int(times[0]) for times in self._times()), default=0)

    @property
    def end_ns(self) -> int:
        """Receive time of the last row, ns."""
        return max((int(times[-1]) for times in self._times()), default=0)

    @property
    def span_s(self) -> float:
        """Seconds from the first row to the last."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def longest_gap_s(self) -> float:
        """Longest time without any row, s."""
        times = np.sort(np.concatenate([*self._times(), np.empty(0, "int64")]))
        return float(np.diff(times).max(initial=0)) / 1e9

    @property
    def locked_books(self) -> int:
        """Books whose best bid is the best ask: nothing is quoted on them."""
        if not self.depth or not self.ask_prices.shape[1]:
            return 0
        return int((self.bid_prices[:, 0] == self.ask_prices[:, 0]).sum())

    def source_of(self, stream: str, row: int, name: str = "") -> str:
        """Where a row was read from, such as "trades_ETH.csv.gz line 501".

        Args:
            stream: One of `STREAMS`.
            row: Index into the stream's columns.
            name: Field at fault, to tell the ask line of a best bid and offer from the bid line.

        Returns:
            File and line, or "" for a stream made in memory.
        """
        source = self.sources.get(stream)
        if source is None or not 0 <= row < len(source.first):
            return ""
        line = source.last[row] if name.startswith("ask") else source.first[row]
        return f"{source.file} {source.unit} {int(line)}"

    def _times(self) -> list[NDArray[np.int64]]:
        times = [getattr(self, f"{stream}_time_ns") for stream in STREAMS]
        return [array for array in times if len(array)]

    def __repr__(self) -> str:
        counts = ", ".join(f"{stream} {len(getattr(self, f'{stream}_time_ns')):,}" for stream in STREAMS)
        return f"Recording(coin={self.coin!r}, span_s={self.span_s:.1f}, {counts}, path={self.path!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, _frozen(value) if isinstance(value, np.ndarray) else value)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def _as_column(column: Column, given: Any) -> NDArray[Any]:
    dimensions = 2 if column.two_dimensional else 1
    try:
        array = np.asarray(given)
        if given is not _NONE and column.dtype.startswith(("int", "uint")) and array.dtype.kind not in "iu":
            raise RecordingError(field=column.name, value=str(array.dtype), expected=f"integers ({column.dtype})")
        # A view of its own, so that making it read-only does not reach into the caller's array.
        array = np.ascontiguousarray(array, dtype=column.dtype).view()
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(field=column.name, value=type(given).__name__, expected=column.dtype) from error
    if array.ndim != dimensions:
        raise RecordingError(
            field=column.name, value=f"{array.ndim} dimensions", expected=f"{dimensions}: {column.text}"
        )
    return _frozen(array)


def _check_order(field: str, times: NDArray[np.int64], hint: str) -> None:
    backwards = np.flatnonzero(np.diff(times) < 0)
    if backwards.size:
        row = int(backwards[0]) + 1
        raise RecordingError(
            field=field,
            value=int(times[row]),
            expected=f"not before {int(times[row - 1])}, the row above",
            hint=hint,
            row=row,
        )


def _check_values(column: Column, array: NDArray[Any]) -> None:
    if column.dtype == "int8":
        bad = np.abs(array) != 1
        expected = "+1 (buy) or -1 (sell)"
    elif column.dtype == "float64":
        signed = column.name in ("funding_rate", "predicted_funding")
        # A market that has just opened has no open interest yet; a price or size of nothing is an error.
        may_be_0 = column.name == "open_interest"
        above = array >= 0 if may_be_0 else array > 0
        good = np.isfinite(array) if signed else np.isfinite(array) & above
        if column.missing:
            good |= np.isnan(array)
        bad = ~good
        expected = "a finite number" + ("" if signed else " of 0 or more" if may_be_0 else " above 0")
    else:
        return
    if bad.any():
        where = np.argwhere(bad)[0]
        raise RecordingError(
            field=column.name,
            value=array[tuple(where)].item(),
            expected=expected + ("" if len(where) == 1 else f", at level {int(where[1])}"),
            row=int(where[0]),
        )


def _check_book(recording: Recording) -> None:
    for side, sign in (("bid", -1.0), ("ask", 1.0)):
        prices, sizes = getattr(recording, f"{side}_prices"), getattr(recording, f"{side}_sizes")
        if prices.shape != sizes.shape:
            raise RecordingError(field=f"{side}_sizes", value=str(sizes.shape), expected=f"shape {prices.shape}")
        if (lost := np.argwhere(np.isnan(prices) != np.isnan(sizes))).size:
            raise RecordingError(
                field=f"{side}_prices",
                value="nan",
                expected="price and size both there or both missing",
                row=int(lost[0][0]),
            )
        steps = sign * np.diff(prices, axis=1)
        # A missing level may be followed by missing levels only; NaN steps are those.
        holes = np.isnan(prices[:, :-1]) & ~np.isnan(prices[:, 1:])
        if (wrong := np.argwhere((steps <= 0) | holes)).size:
            row, level = (int(index) for index in wrong[0])
            raise RecordingError(
                field=f"{side}_prices",
                value=float(prices[row, level + 1]),
                expected=f"levels sorted from the best outwards; level {level + 1} is not beyond level {level}",
                row=row,
            )
    if recording.bid_prices.shape[1] and recording.ask_prices.shape[1]:
        crossed = np.flatnonzero(recording.bid_prices[:, 0] > recording.ask_prices[:, 0])
        if crossed.size:
            row = int(crossed[0])
            raise RecordingError(
                field="bid_prices",
                value=float(recording.bid_prices[row, 0]),
                expected=f"a best bid of at most the best ask {float(recording.ask_prices[row, 0])}",
                row=row,
            )
