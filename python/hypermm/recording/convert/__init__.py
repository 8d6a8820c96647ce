"""Turns what others record (Tardis, the Hyperliquid archive, hftbacktest, StandX) into recordings, CSV into Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypermm.exceptions import InvalidInputError
from hypermm.recording.convert.archive import read_archive
from hypermm.recording.convert.hftbacktest import read_hftbacktest
from hypermm.recording.convert.standx import read_standx
from hypermm.recording.convert.tardis import read_tardis
from hypermm.recording.load import held_coins, load_recording
from hypermm.recording.write import write_recording

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from hypermm.recording.schema import Recording

__all__ = [
    "SOURCES",
    "convert_recording",
    "read_archive",
    "read_hftbacktest",
    "read_source",
    "read_standx",
    "read_tardis",
]

SOURCES = ("recording", "tardis", "hyperliquid", "hftbacktest", "standx")


def read_source(source: str, path: str | PathLike[str], coin: str) -> Recording:
    """Reads one coin from files of another program.

    Args:
        source: One of `SOURCES`.
        path: A file, or a folder with its files anywhere below.
        coin: Symbol as the source writes it.

    Raises:
        InvalidInputError: No such source.
        RecordingError: A file is missing, damaged or not of the documented shape; names file and line.
    """
    readers = dict(
        zip(SOURCES, (load_recording, read_tardis, read_archive, read_hftbacktest, read_standx), strict=True)
    )
    if source not in readers:
        raise InvalidInputError(field="source", value=source, expected="one of " + ", ".join(SOURCES))
    return readers[source](path, coin)


def convert_recording(
    source: str | PathLike[str], target: str | PathLike[str], coins: list[str] | None = None
) -> dict[str, list[Path]]:
    """Reads coins from the folder `source` and writes them as Parquet into the folder `target`.

    Args:
        source: Folder of CSV (or Parquet) files.
        target: Folder to write into; may not be the source.
        coins: Which ones; all that the folder holds when left out.

    Returns:
        Files written, by coin.

    Raises:
        UnknownCoinError: The folder holds no such coin.
        RecordingError: A file is missing or corrupt.
    """
    return {
        coin: write_recording(load_recording(source, coin), target)
        for coin in (held_coins(source) if coins is None else coins)
    }
