"""StandX recordings: the top levels sampled every 500 ms and the prints, two CSV files, plain or zstd.

What the files leave out is put back by rule. Prices are rounded to 0.1, so that many books are locked (bid = ask): the
ask is opened by one unit, 0.005 bps of mid. Every print says SELL: the aggressor is told from the last book received
before it, above its mid a buy, below a sell, at it by the last change of price (Lee and Ready); a book that came later
would tell what nobody knew. Prices of six figures are on the grid of Hyperliquid only where they are integers: a
contract is ten of the venue's, its price ten times as high and its sizes a tenth.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypermm.exceptions import RecordingError
from hypermm.extras import needs
from hypermm.recording.schema import Recording

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[np.float64]]

__all__ = ["infer_aggressor", "read_standx"]

_LEVELS = 5
_UNIT = 1.0
_PER_CONTRACT = 10.0
_NS_PER_MS = 1_000_000
_BOOK = ("ts_ms", "recv_ms", *(f"{what}{level}" for level in range(_LEVELS) for what in ("bp", "bq", "ap", "aq")))
_TRADES = ("ts_ms", "recv_ms", "price", "quantity")


def read_standx(path: str | PathLike[str], coin: str) -> Recording:
    """Reads the folder of one market; the files do not name their coin.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        RecordingError: A file or a column is missing or damaged, or a value is out of range.
    """
    folder = Path(path)
    book = _table(folder, "book_top5_500ms", _BOOK)
    trades = _table(folder, "trades", _TRADES)
    prices = {side: _levels(book, f"{side[0]}p") * _PER_CONTRACT for side in ("bid", "ask")}
    sizes = {side: _levels(book, f"{side[0]}q") / _PER_CONTRACT for side in ("bid", "ask")}
    price = trades["price"] * _PER_CONTRACT
    mid = (prices["bid"][:, 0] + prices["ask"][:, 0]) / 2.0
    aggressor = infer_aggressor(_received(trades), price, _received(book), mid)
    _open_locked(prices["bid"], prices["ask"], sizes["ask"])
    return Recording.from_columns(
        coin,
        {
            "book_time_ns": _received(book),
            "book_exchange_time_ns": _ns(book["ts_ms"]),
            "bid_prices": np.round(prices["bid"]),
            "bid_sizes": np.round(sizes["bid"], 6),
            "ask_prices": np.round(prices["ask"]),
            "ask_sizes": np.round(sizes["ask"], 6),
            "trade_time_ns": _received(trades),
            "trade_exchange_time_ns": _ns(trades["ts_ms"]),
            "trade_price": np.round(price),
            "trade_size": np.round(trades["quantity"] / _PER_CONTRACT, 6),
            "trade_aggressor": aggressor,
            "trade_id": np.arange(1, len(aggressor) + 1, dtype=np.uint64),
        },
        path=str(folder),
    )


def infer_aggressor(
    trade_time: NDArray[np.int64],
    trade_price: NDArray[np.float64],
    book_time: NDArray[np.int64],
    mid_price: NDArray[np.float64],
) -> NDArray[np.int8]:
    """+1 a buy, −1 a sell: by the mid of the last book received before the print, at it by the last change of price.

    A print before the first book, with no price before it, is called a sell, as the source says of all.
    """
    place = np.searchsorted(book_time, trade_time, side="right") - 1
    against = np.where(place >= 0, mid_price[np.maximum(place, 0)], np.nan)
    sign = np.sign(np.round(trade_price - against, 9))
    moved = np.sign(np.diff(trade_price, prepend=trade_price[:1]))
    last = np.maximum.accumulate(np.where(moved != 0, np.arange(len(moved)), 0))
    sign = np.where((sign == 0) | np.isnan(sign), moved[last], sign)
    return np.where(sign > 0, 1, -1).astype(np.int8)


def _open_locked(bid: NDArray[np.float64], ask: NDArray[np.float64], size: NDArray[np.float64]) -> None:
    """Moves the best ask of a locked book up by one unit; the next level joins it where it stood there."""
    locked = np.flatnonzero(bid[:, 0] >= ask[:, 0])
    ask[locked, 0] = np.round(bid[locked, 0]) + _UNIT
    joined = locked[ask[locked, 1] <= ask[locked, 0] + 0.5 * _UNIT]
    size[joined, 0] += size[joined, 1]
    for levels in (ask, size):
        levels[joined, 1:-1] = levels[joined, 2:]
        levels[joined, -1] = np.nan


def _levels(columns: Columns, prefix: str) -> NDArray[np.float64]:
    return np.column_stack([columns[f"{prefix}{level}"] for level in range(_LEVELS)])


def _table(folder: Path, stem: str, names: tuple[str, ...]) -> Columns:
    with needs("cli", "pyarrow to read it"):
        import pyarrow as arrow
        from pyarrow import csv
    files = [folder / f"{stem}.csv{ending}" for ending in (".zst", ".gz", "")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise RecordingError(field=str(folder), value=f"no {stem}.csv", expected=f"{stem}.csv.zst, .csv.gz or .csv")
    compression = {".zst": "zstd", ".gz": "gzip"}.get(file.suffix)
    try:
        with arrow.input_stream(str(file), compression=compression) as stream:
            table = csv.read_csv(stream)
    except (OSError, arrow.ArrowException) as error:
        raise RecordingError(
            field=file.name, value=type(error).__name__, expected="a whole CSV file", hint=str(error).splitlines()[0]
        ) from error
    columns: Columns = {}
    for name in names:
        if name not in table.column_names:
            raise RecordingError(field=f"{file.name}:{name}", value="missing", expected=", ".join(names))
        try:
            values = table[name].cast(arrow.float64()).to_numpy()
        except arrow.ArrowException as error:
            raise RecordingError(field=f"{file.name}:{name}", value="text", expected="a column of numbers") from error
        if (bad := np.flatnonzero(~np.isfinite(values))).size:
            raise RecordingError(
                field=f"{file.name}:{name}", value=float(values[bad[0]]), expected="finite numbers", row=int(bad[0]) + 2
            )
        columns[name] = np.array(values)
    return columns


def _ns(milliseconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return milliseconds.astype(np.int64) * _NS_PER_MS


def _received(columns: Columns) -> NDArray[np.int64]:
    """Receive times in the order of the file: a row that overtook another was received no later than the next."""
    return np.maximum.accumulate(_ns(columns["recv_ms"]))
