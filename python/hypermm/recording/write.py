"""Writes a recording as Parquet, in the names that `load_recording` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypermm.extras import needs
from hypermm.recording.layout import whole_name
from hypermm.recording.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from hypermm.recording.schema import Recording

__all__ = ["arrow_modules", "write_columns", "write_recording"]


def write_recording(recording: Recording, path: str | PathLike[str]) -> list[Path]:
    """Writes one Parquet file a stream into the folder `path`, made when it is not there.

    Args:
        recording: What to write.
        path: Folder.

    Returns:
        The files written.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    book: dict[str, Any] = {
        "time_ns": recording.book_time_ns,
        "exchange_time_ns": recording.book_exchange_time_ns,
    }
    for level in range(recording.depth):
        for side in ("bid", "ask"):
            book[f"{side}_price_{level}"] = getattr(recording, f"{side}_prices")[:, level]
            book[f"{side}_size_{level}"] = getattr(recording, f"{side}_sizes")[:, level]
    best = {
        "time_ns": recording.best_time_ns,
        "exchange_time_ns": recording.best_exchange_time_ns,
        "best_bid_price": recording.best_bid_price,
        "best_bid_size": recording.best_bid_size,
        "best_ask_price": recording.best_ask_price,
        "best_ask_size": recording.best_ask_size,
    }
    trades = {
        "time_ns": recording.trade_time_ns,
        "exchange_time_ns": recording.trade_exchange_time_ns,
        "price": recording.trade_price,
        "size": recording.trade_size,
        "aggressor": recording.trade_aggressor,
        "trade_id": recording.trade_id,
    }
    streams = {"orderbooks": book, "prices": best, "trades": trades}
    if len(recording.context_time_ns):
        names = (
            "mark_price",
            "oracle_price",
            "funding_rate",
            "predicted_funding",
            "next_settlement_ns",
            "open_interest",
        )
        streams["context"] = {"time_ns": recording.context_time_ns} | {name: getattr(recording, name) for name in names}
    written = []
    for stream, columns in streams.items():
        target = folder / whole_name(stream, recording.coin)
        write_columns(target, columns)
        written.append(target)
    return written


def arrow_modules() -> tuple[Any, Any]:
    """Pyarrow and its Parquet module.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    with needs("cli", "pyarrow for Parquet"):
        import pyarrow as arrow
        from pyarrow import parquet
    return arrow, parquet


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Writes columns of one length as a Parquet file (zstd), whole or not at all.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    arrow, parquet = arrow_modules()
    table = arrow.table({name: arrow.array(values) for name, values in columns.items()})
    with whole_file(path) as part:
        parquet.write_table(table, part, compression="zstd")
