"""Reads a recording from a folder.

The files are `orderbooks_COIN`, `prices_COIN`, `trades_COIN` and, where there is one, `context_COIN`, each as
`.csv.gz`, `.csv` or `.parquet`; a recording made by `hypermm record` has them in spans (`layout`), which are read as
one. CSV is read with NumPy alone, so the base install can do it. Errors name file, column and line, the header being
line 1.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.exceptions import RecordingError, UnknownCoinError
from hypermm.recording.layout import SUFFIXES, folders, parse_name, stream_files
from hypermm.recording.schema import FALLING_VENUE_TIME, ORDERED_AT_THE_VENUE, Recording, SourceRows
from hypermm.recording.table import Table, read_tables

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

__all__ = ["available_coins", "held_coins", "load_recording", "require_coin"]

_A_FOLDER = "a folder with orderbooks_COIN.csv.gz or .parquet"
_LEVEL = re.compile(r"(?:bid|ask)_(?:price|size)_([0-9]{1,4})")
_BOOK, _BEST, _TRADES, _CONTEXT = "orderbooks", "prices", "trades", "context"


def available_coins(path: str | PathLike[str]) -> list[str]:
    """Coins that the folder holds a book of, sorted.

    Raises:
        RecordingError: `path` is no folder.
    """
    folder = _folder(path)
    # A piece may be gone by now: its whole file is then there, and the coin too.
    items = (item for place in folders(folder) for item in place.glob(f"{_BOOK}_*") if not item.is_dir())
    return sorted({named.coin for item in items if (named := parse_name(item.name)) is not None})


def held_coins(path: str | PathLike[str]) -> list[str]:
    """Coins that the folder holds a book of, at least one.

    Raises:
        RecordingError: `path` is no folder, or holds no recording.
    """
    coins = available_coins(path)
    if not coins:
        raise RecordingError(field="path", value=str(path), expected=_A_FOLDER, hint="it holds none; check --data")
    return coins


def require_coin(path: str | PathLike[str], coin: str) -> None:
    """Refuses a coin that the folder holds no book of.

    Raises:
        UnknownCoinError: The folder holds no such coin; lists those it holds.
        RecordingError: `path` is no folder.
    """
    if not isinstance(coin, str):
        raise UnknownCoinError(field="coin", value=coin, expected="a venue symbol as text, such as ETH")
    coins = available_coins(path)
    if coin not in coins:
        near = difflib.get_close_matches(coin.upper(), coins, n=1)
        raise UnknownCoinError(
            field="coin",
            value=coin,
            expected=f"one of {', '.join(coins)}" if coins else f"a file {_BOOK}_{coin}.csv.gz in {path}",
            hint=f"did you mean {near[0]}?" if near else "",
        )


def load_recording(path: str | PathLike[str], coin: str) -> Recording:
    """Reads one coin's recording from a folder.

    The venue sends its last prints again when one subscribes: prints with an exchange time before the first book's,
    or marked so by the recorder, are dropped, and so are prints whose id was seen before. Both are counted on the
    result.

    Args:
        path: Folder that holds the files.
        coin: Venue symbol, such as "ETH".

    Returns:
        The recording, checked and read-only.

    Raises:
        UnknownCoinError: The folder holds no such coin; lists those it holds.
        RecordingError: A file or column is missing or corrupt, a value is not finite or out of range, or time goes
            backwards; names file, column and row.
    """
    folder = _folder(path)
    require_coin(folder, coin)
    columns: dict[str, Any] = {}
    sources: dict[str, SourceRows] = {}
    book = _table(folder, _BOOK, coin)
    columns |= _book(book)
    sources["book"] = book.source(np.arange(book.rows))
    best, sources["best"] = _best(_table(folder, _BEST, coin))
    columns |= best
    table = _table(folder, _TRADES, coin)
    trades, replayed, duplicate = _trades(table, columns["book_exchange_time_ns"])
    columns |= trades
    sources["trade"] = table.source(np.flatnonzero(~(replayed | duplicate)))
    context = _present(folder, _CONTEXT, coin)
    if context is not None:
        columns |= _context(context)
        sources["context"] = context.source(np.arange(context.rows))
    return Recording(
        coin=coin,
        path=str(folder),
        dropped_replay_trades=int(replayed.sum()),
        dropped_duplicate_trades=int(duplicate.sum()),
        sources=sources,
        **columns,
    )


def _folder(path: str | PathLike[str]) -> Path:
    try:
        folder = Path(path)
        found = folder.is_dir()
    except (TypeError, ValueError) as error:
        raise RecordingError(field="path", value=path, expected=_A_FOLDER) from error
    if not found:
        raise RecordingError(field="path", value=str(folder), expected=_A_FOLDER, hint="check --data")
    return folder


def _present(folder: Path, stream: str, coin: str) -> Table | None:
    """A stream of a coin, None where there is none; once more when a recorder has joined its pieces meanwhile."""
    if not (files := stream_files(folder, stream, coin)):
        return None
    try:
        return read_tables(files)
    except RecordingError:
        if all(path.exists() for path in files):
            raise
    return read_tables(stream_files(folder, stream, coin))


def _table(folder: Path, stream: str, coin: str) -> Table:
    table = _present(folder, stream, coin)
    if table is None:
        raise RecordingError(
            field=f"{stream}_{coin}",
            value="missing file",
            expected=f"{stream}_{coin}{SUFFIXES[0]}, {SUFFIXES[1]} or {SUFFIXES[2]} in {folder}",
        )
    return table


def _clocks(table: Table, stream: str) -> dict[str, NDArray[np.int64]]:
    """Both clocks in ns, checked to go forwards: the venue's of books and bests only, since prints may be told late."""
    received = table.times("time_ns", "timestamp", 1e9)
    _check_forwards(table, table.first_of("time_ns", "timestamp"), received, "sort the file by receive time")
    exchange = table.times("exchange_time_ns", "exchange_timestamp", 1e3)
    if stream in ORDERED_AT_THE_VENUE:
        _check_forwards(table, table.first_of("exchange_time_ns", "exchange_timestamp"), exchange, FALLING_VENUE_TIME)
    return {f"{stream}_time_ns": received, f"{stream}_exchange_time_ns": exchange}


def _check_forwards(table: Table, column: str, times: NDArray[np.int64], hint: str) -> None:
    backwards = np.flatnonzero(np.diff(times) < 0)
    if backwards.size:
        row = int(backwards[0]) + 1
        raise table.error(column, int(times[row]), f"not before {int(times[row - 1])} ns, the row above", row, hint)


def _book(table: Table) -> dict[str, NDArray[Any]]:
    # The deepest level of any of the four: a column missing in between is an error, not a shallower book.
    matches = (_LEVEL.fullmatch(name) for name in table.columns)
    depth = max((int(match[1]) + 1 for match in matches if match), default=0)
    if depth == 0:
        raise table.error("bid_price_0", "missing column", "bid_price_0, bid_size_0, ask_price_0, ask_size_0, ...")
    if not table.rows:
        raise table.error("bid_price_0", "no rows", "at least one book")
    columns: dict[str, NDArray[Any]] = dict(_clocks(table, "book"))
    for side in ("bid", "ask"):
        for what in ("price", "size"):
            levels = [table.positive(f"{side}_{what}_{level}", missing=True) for level in range(depth)]
            columns[f"{side}_{what}s"] = np.stack(levels, axis=1)
        # A level of no size is no level.
        absent = np.isnan(columns[f"{side}_prices"]) | np.isnan(columns[f"{side}_sizes"])
        columns[f"{side}_prices"][absent] = np.nan
        columns[f"{side}_sizes"][absent] = np.nan
        _check_sorted(table, side, columns[f"{side}_prices"])
    crossed = np.flatnonzero(columns["bid_prices"][:, 0] > columns["ask_prices"][:, 0])
    if crossed.size:
        row = int(crossed[0])
        ask = float(columns["ask_prices"][row, 0])
        raise table.error(
            "bid_price_0", float(columns["bid_prices"][row, 0]), f"a best bid of at most the best ask {ask}", row
        )
    return columns


def _check_sorted(table: Table, side: str, prices: NDArray[np.float64]) -> None:
    steps = np.diff(prices, axis=1) * (-1.0 if side == "bid" else 1.0)
    wrong = np.argwhere((steps <= 0) | (np.isnan(prices[:, :-1]) & ~np.isnan(prices[:, 1:])))
    if wrong.size:
        row, level = (int(index) for index in wrong[0])
        beyond = f"beyond level {level}, which is {float(prices[row, level])}"
        raise table.error(f"{side}_price_{level + 1}", float(prices[row, level + 1]), beyond, row)


def _best(table: Table) -> tuple[dict[str, NDArray[Any]], SourceRows]:
    columns: dict[str, NDArray[Any]] = dict(_clocks(table, "best"))
    if "best_bid_price" in table.columns:
        for name in ("best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size"):
            columns[name] = table.positive(name, missing=True)
        return columns, table.source(np.arange(table.rows))
    # One row a side: a bid row and the ask row below it with the same clocks are one event. A row alone means that
    # the other side is empty.
    is_bid = table.choice("side", ("bid", "ask")) == 0
    price, size = table.positive("price"), table.positive("size")
    received, exchange = columns["best_time_ns"], columns["best_exchange_time_ns"]
    joins = is_bid[:-1] & ~is_bid[1:] & (received[:-1] == received[1:]) & (exchange[:-1] == exchange[1:])
    starts = np.ones(len(price), bool)
    starts[1:] = ~joins
    row = np.cumsum(starts) - 1
    events = int(row[-1]) + 1 if len(row) else 0
    first = np.flatnonzero(starts)
    columns = {"best_time_ns": received[first], "best_exchange_time_ns": exchange[first]}
    for side, mask in (("bid", is_bid), ("ask", ~is_bid)):
        for what, values in (("price", price), ("size", size)):
            column = np.full(events, np.nan)
            column[row[mask]] = values[mask]
            columns[f"best_{side}_{what}"] = column
    return columns, table.source(first, np.append(first[1:], len(price)) - 1)


def _trades(
    table: Table, book_exchange_time_ns: NDArray[np.int64]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_], NDArray[np.bool_]]:
    """Columns of the prints that are kept, and which of the file's were replays and which repeated."""
    columns: dict[str, NDArray[Any]] = dict(_clocks(table, "trade"))
    columns["trade_price"] = table.positive("price")
    columns["trade_size"] = table.positive("size")
    if "aggressor" in table.columns:
        sign = table.numbers("aggressor")
        if (bad := np.flatnonzero(np.abs(sign) != 1)).size:
            raise table.error("aggressor", float(sign[bad[0]]), "+1 (buy) or -1 (sell)", int(bad[0]))
        columns["trade_aggressor"] = sign.astype(np.int8)
    else:
        columns["trade_aggressor"] = np.where(table.choice("side", ("buy", "sell")) == 0, 1, -1).astype(np.int8)
    columns["trade_id"] = table.identifiers("trade_id")
    if "is_history" in table.columns:
        # The recorder saw the subscription: it knows which prints came with it.
        replayed = table.numbers("is_history") != 0.0
    else:
        replayed = columns["trade_exchange_time_ns"] < book_exchange_time_ns[0]
    unique = np.zeros(table.rows, bool)
    unique[np.unique(columns["trade_id"], return_index=True)[1]] = True
    # A duplicate of a replayed print is counted as replayed, once.
    duplicate = ~unique & ~replayed
    keep = ~(replayed | duplicate)
    kept = {name: column[keep] for name, column in columns.items()}
    return kept, replayed, duplicate


def _context(table: Table) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {"context_time_ns": table.times("time_ns", "timestamp", 1e9)}
    for name in ("mark_price", "oracle_price", "funding_rate", "predicted_funding", "open_interest"):
        if name in table.columns:
            columns[name] = table.numbers(name, missing=True)
    if "next_settlement_ns" in table.columns:
        columns["next_settlement_ns"] = table.times("next_settlement_ns", "next_settlement_ns", 1e9)
    return columns
