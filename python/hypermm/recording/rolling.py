"""A recording that grows while it is received, in files that can be read at any moment, after a kill too.

Rows gather in memory for a few seconds, then become a piece, a small Parquet file that is there whole or not at all.
When a span is over (an hour, say), its pieces become one file a stream. So a kill loses the rows of the last seconds
and nothing else, and memory does not depend on how long the recording has been going on. See `layout` for the names.
"""

from __future__ import annotations

import fcntl
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import InvalidInputError
from hypermm.recording.layout import folders, parse_name, piece_name, whole_name
from hypermm.recording.whole_file import whole_file
from hypermm.recording.write import arrow_modules, write_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LOG", "RollingRecording", "Rows"]

LOG = "frames"
"""Stream of everything received as it came, of all coins together."""

_NUMBERS = {
    "prices": (
        ("time_ns", "int64"), ("exchange_time_ns", "int64"), ("best_bid_price", "float64"),
        ("best_bid_size", "float64"), ("best_ask_price", "float64"), ("best_ask_size", "float64"),
    ),
    "trades": (
        ("time_ns", "int64"), ("exchange_time_ns", "int64"), ("price", "float64"), ("size", "float64"),
        ("aggressor", "int8"), ("trade_id", "uint64"), ("is_history", "int8"),
    ),
    "context": (
        ("time_ns", "int64"), ("mark_price", "float64"), ("oracle_price", "float64"), ("funding_rate", "float64"),
        ("next_settlement_ns", "int64"), ("open_interest", "float64"), ("mid_price", "float64"),
        ("premium", "float64"),
    ),
}  # fmt: skip
_STREAMS = ("orderbooks", *_NUMBERS)
# Bytes of pieces held in memory while they are joined: some 47,000 books of five levels, or 10,000 frames.
_BYTES_JOINED = 8 * 2**20
_SPAN_NAME = "%Y%m%dT%H%M%SZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rows:
    """What came in since the last piece, by stream and coin. A missing number is None."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)

    def book(self, coin: str, time_ns: int, exchange_time_ns: int, *sides: Sequence[float]) -> None:
        """A book: bid prices, bid sizes, ask prices, ask sizes, best first."""
        self._add("orderbooks", coin, (time_ns, exchange_time_ns, *sides))

    def best(self, coin: str, time_ns: int, exchange_time_ns: int, *bid_and_ask: float | None) -> None:
        """Best bid price and size, best ask price and size."""
        self._add("prices", coin, (time_ns, exchange_time_ns, *bid_and_ask))

    def trade(self, coin: str, time_ns: int, exchange_time_ns: int, *row: float) -> None:
        """A print: price, size, aggressor (+1 bought, −1 sold), id, 1 when it dates from before the subscription."""
        self._add("trades", coin, (time_ns, exchange_time_ns, *row))

    def context(self, coin: str, time_ns: int, *row: float | None) -> None:
        """Mark, oracle, funding rate, next settlement in ns, open interest, mid price, premium."""
        self._add("context", coin, (time_ns, *row))

    def log(self, time_ns: int, kind: str, text: str | bytes) -> None:
        """A frame as it came, or what happened to the connection."""
        self._add(LOG, "", (time_ns, kind, text.decode(errors="replace") if isinstance(text, bytes) else text))

    def _add(self, stream: str, coin: str, row: tuple[Any, ...]) -> None:
        self.rows[stream, coin].append(row)
        self.count += 1


class RollingRecording:
    """Writes `Rows` into a folder, piece after piece and span after span. Spans left in pieces by a kill are mended.

    Args:
        folder: Made when it is not there; a recording that is there goes on.
        coins: Coins recorded: each has all its files from the first piece on, empty ones too.
        span_s: Length of a span, s.

    Raises:
        InvalidInputError: A span is not above 0 s, another process records into the folder, or a recording of one of
            the coins stands there in one piece, which readers would take for all there is.
        MissingDependencyError: pyarrow is not installed.
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path, coins: Sequence[str], span_s: float) -> None:
        if not span_s > 0.0:
            raise InvalidInputError(field="span_s", value=span_s, expected="above 0 s")
        arrow_modules()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        _refuse_whole(folder, coins)
        self._lock = _locked(folder)
        self.rows_written = 0
        self._coins = tuple(coins)
        self._span_ns = round(span_s * 1e9)
        self._span: Path | None = None
        self._begin_ns = 0
        self._piece = 0
        for left in folders(folder)[1:]:
            _seal(left)

    def write(self, rows: Rows, now_ns: int) -> None:
        """Makes a piece of `rows`, and ends the span when its time is over.

        Raises:
            OSError: The folder cannot be written.
        """
        if self._span is not None and now_ns - self._begin_ns >= self._span_ns:
            self._end_span()
        if rows.count == 0:
            return
        if self._span is None:
            self._begin(now_ns)
        for stream, coin in self._missing(rows):
            rows.rows[stream, coin] = []
        self._piece += 1
        span = self._span
        for (stream, coin), part in rows.rows.items():
            if span is not None:
                write_columns(span / piece_name(stream, coin, self._piece), _columns(stream, part))
        self.rows_written += rows.count

    def _begin(self, now_ns: int) -> None:
        # Two spans of one second, after a restart, would share a name.
        begin = _EPOCH + timedelta(seconds=now_ns // 1_000_000_000)
        while (span := self.folder / begin.strftime(_SPAN_NAME)).exists():
            begin += timedelta(seconds=1)
        span.mkdir()
        self._span, self._begin_ns, self._piece = span, now_ns, 0

    def _missing(self, rows: Rows) -> list[tuple[str, str]]:
        if self._piece:
            return []
        wanted = [(stream, coin) for coin in self._coins for stream in _STREAMS]
        return [key for key in wanted if key not in rows.rows]

    def _end_span(self) -> None:
        """Makes whole files of the span's pieces; the next rows begin a new one."""
        if self._span is not None:
            _seal(self._span)
        self._span = None

    def close(self) -> None:
        """Ends the span and lets another process record into the folder."""
        self._end_span()
        self._lock.close()


def _refuse_whole(folder: Path, coins: Sequence[str]) -> None:
    """A file of the folder itself is read instead of all spans, see `layout`."""
    for path in sorted(folder.iterdir()):
        named = parse_name(path.name)
        if named is not None and named.coin in coins:
            raise InvalidInputError(
                field="folder",
                value=str(path),
                expected="a folder without a recording in one piece of the same coin",
                hint="give another folder, or move that recording away: with it there, the new one would not be read",
            )


def _locked(folder: Path) -> IO[bytes]:
    """A lock on the folder, which ends with the process: two recordings would mend each other's pieces away."""
    lock = (folder / ".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise InvalidInputError(
            field="folder",
            value=str(folder),
            expected="a folder that nobody records into",
            hint="stop the other recording, or give another folder",
        ) from error
    return lock


def _seal(span: Path) -> None:
    """One file of all pieces of a stream; a whole file that is there already was made of them."""
    pieces: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in sorted(span.iterdir()):
        if path.suffix == ".part":
            with suppress(FileNotFoundError):
                path.unlink()
            continue
        named = parse_name(path.name)
        if named is not None and named.piece is not None:
            pieces[named.stream, named.coin].append(path)
        elif path.name.startswith(f"{LOG}~"):
            pieces[LOG, ""].append(path)
    for (stream, coin), paths in pieces.items():
        whole = span / whole_name(stream, coin)
        if not whole.exists():
            _join(paths, whole)
        for path in paths:
            path.unlink()


def _join(paths: Sequence[Path], whole: Path) -> None:
    """Piece after piece, so that memory does not depend on how many there are."""
    arrow, parquet = arrow_modules()
    # Books of different depth have different columns; what a piece lacks is empty.
    schema = arrow.unify_schemas([parquet.read_schema(path) for path in paths])
    with whole_file(whole) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        tables, held = [schema.empty_table()], 0
        for path in paths:
            # In this thread: `read_table` starts others, each of which keeps memory of its own for good.
            with parquet.ParquetFile(path, pre_buffer=False) as piece:
                tables.append(piece.read(use_threads=False))
            held += tables[-1].nbytes
            if held >= _BYTES_JOINED or path == paths[-1]:
                writer.write_table(arrow.concat_tables(tables, promote_options="default"))
                tables, held = [schema.empty_table()], 0


def _columns(stream: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, NDArray[Any] | list[str]]:
    if stream == "orderbooks":
        return _book_columns(rows)
    if stream == LOG:
        return {
            "time_ns": np.array([row[0] for row in rows], "int64"),
            "kind": [row[1] for row in rows],
            "text": [row[2] for row in rows],
        }
    return {name: np.array([row[place] for row in rows], dtype) for place, (name, dtype) in enumerate(_NUMBERS[stream])}


def _book_columns(rows: Sequence[tuple[Any, ...]]) -> dict[str, NDArray[Any] | list[str]]:
    columns: dict[str, NDArray[Any] | list[str]] = {
        "time_ns": np.array([row[0] for row in rows], "int64"),
        "exchange_time_ns": np.array([row[1] for row in rows], "int64"),
    }
    # An empty piece still says that there are levels.
    depth = max((len(side) for row in rows for side in row[2:]), default=1)
    for level in range(max(depth, 1)):
        for place, name in enumerate(("bid_price", "bid_size", "ask_price", "ask_size"), start=2):
            column = [row[place][level] if level < len(row[place]) else np.nan for row in rows]
            columns[f"{name}_{level}"] = np.array(column, "float64")
    return columns
