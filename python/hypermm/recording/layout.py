"""Where the files of a recording stand, and how they are called.

    DIR/orderbooks_ETH.parquet                               a recording in one piece
    DIR/20261121T160000Z/orderbooks_ETH.parquet              a span of one that grew, over and whole
    DIR/20261121T170000Z/orderbooks_ETH~000001.parquet       a span that is still growing, or was killed: in pieces
    DIR/20261121T170000Z/orderbooks_ETH~000002.parquet

Spans follow one another in the order of their names, and so do the pieces of one. Where a span has a whole file, its
pieces are left-overs of the moment it was made and are not read. A slash in a coin's name is written %2F.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["SUFFIXES", "FileName", "folders", "parse_name", "piece_name", "stream_files", "whole_name"]

SUFFIXES = (".csv.gz", ".csv", ".parquet")

_SPAN = re.compile(r"\d{8}T\d{6}Z")
_NAME = re.compile(r"(orderbooks|prices|trades|context)_(.+?)(?:~(\d{6}))?(\.csv\.gz|\.csv|\.parquet)")


class FileName(NamedTuple):
    """What the name of a file says.

    Attributes:
        stream: orderbooks, prices, trades or context.
        coin: Venue symbol.
        piece: Number of the piece; None for a whole file.
        suffix: One of `SUFFIXES`.
    """

    stream: str
    coin: str
    piece: int | None
    suffix: str


def parse_name(name: str) -> FileName | None:
    """Reads the name of a file; None when it is none of a recording's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    stream, coin, piece, suffix = match.groups()
    return FileName(stream, coin.replace("%2F", "/"), None if piece is None else int(piece), suffix)


def whole_name(stream: str, coin: str, suffix: str = ".parquet") -> str:
    """Name of a whole file; `coin` may be "" for a stream of no coin."""
    return "_".join(filter(None, (stream, coin.replace("/", "%2F")))) + suffix


def piece_name(stream: str, coin: str, piece: int) -> str:
    """Name of a piece."""
    return whole_name(stream, coin, f"~{piece:06}.parquet")


def folders(folder: Path) -> list[Path]:
    """The folder itself and its spans, in order of time."""
    return [folder, *sorted(child for child in folder.iterdir() if _SPAN.fullmatch(child.name) and child.is_dir())]


def stream_files(folder: Path, stream: str, coin: str) -> list[Path]:
    """Files that hold a stream of a coin, in order of time: one of the folder itself, or those of its spans."""
    found: list[Path] = []
    for place in folders(folder):
        # Pieces first: a whole file made of them meanwhile is then seen, and never neither.
        pieces = _pieces(place.iterdir(), stream, coin)
        whole = [place / whole_name(stream, coin, suffix) for suffix in SUFFIXES]
        found += [path for path in whole if path.is_file()][:1] or pieces
        if place == folder and found:
            break
    return found


def _pieces(paths: Iterable[Path], stream: str, coin: str) -> list[Path]:
    head = whole_name(stream, coin, "~")
    return sorted(path for path in paths if path.name.startswith(head) and path.suffix == ".parquet")
