"""What a sweep has found so far, on disk: whole parts as they come, so that a killed sweep goes on where it was.

A folder holds `sweep.json`, which says what is swept, `part-00000.parquet` and so on, one for each chunk of
configurations, and in the end `results.parquet`, all parts in order, one row group each. Every file is there whole or
not at all.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet

from hypermm.exceptions import InvalidInputError
from hypermm.recording.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike

    from hypermm._core import Calibration, EngineConfig
    from hypermm.recording import Recording

__all__ = ["SweepStore", "configs_hash", "read_plan", "recording_hash", "references_hash", "refuse_other"]

_PLAN, _RESULTS = "sweep.json", "results.parquet"
_OWN_FOLDER = "a folder of this sweep, or an empty one"


def recording_hash(recording: Recording) -> str:
    """BLAKE2b of the coin and every column, 32 hexadecimal digits: equal for equal markets wherever they were read."""
    digest = hashlib.blake2b(recording.coin.encode(), digest_size=16)
    for name, column in recording.columns().items():
        digest.update(f"{name} {column.shape}".encode())
        digest.update(column.data)
    return digest.hexdigest()


def references_hash(references: Mapping[str, tuple[ArrayLike, ArrayLike]] | None) -> str | None:
    """BLAKE2b of prices of other markets, 32 hexadecimal digits; None without any."""
    if not references:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for name, (times_ns, prices) in references.items():
        digest.update(f"{name} {np.shape(times_ns)}".encode())
        digest.update(np.ascontiguousarray(times_ns, np.int64).data)
        digest.update(np.ascontiguousarray(prices, np.float64).data)
    return digest.hexdigest()


def configs_hash(configs: Iterable[EngineConfig]) -> str:
    """BLAKE2b of every field of every configuration, calibrations included, 32 hexadecimal digits."""
    fields = json.dumps([config.to_dict() for config in configs], default=_as_text)
    return hashlib.blake2b(fields.encode(), digest_size=16).hexdigest()


def _as_text(calibration: Calibration) -> str:
    """A calibration as it travels between processes: every bit of it."""
    return pickle.dumps(calibration, protocol=5).hex()


class SweepStore:
    """The folder of one sweep.

    Args:
        folder: Made if it is not there.
        plan: What is swept, as JSON; a folder of another plan is refused.
        chunks: Parts the sweep has.

    Raises:
        InvalidInputError: The folder holds a sweep of something else; names what differs.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], chunks: int) -> None:
        self._folder, self._chunks = folder, chunks
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / _PLAN
        if written.exists():
            refuse_other(folder / _PLAN, read_plan(written), json.loads(json.dumps(plan)))
        elif any(folder.glob("*.parquet")):
            raise InvalidInputError(
                field="out", value=str(folder), expected=_OWN_FOLDER, hint=f"it holds results without {_PLAN}"
            )
        else:
            with whole_file(written) as part:
                part.write_text(json.dumps(plan, indent=1) + "\n", "utf-8")

    def missing(self) -> list[int]:
        """Chunks without a part."""
        if (self._folder / _RESULTS).exists():
            return []
        return [chunk for chunk in range(self._chunks) if not self._part(chunk).exists()]

    def write(self, chunk: int, rows: arrow.Table) -> None:
        """Keeps the rows of one chunk."""
        with whole_file(self._part(chunk)) as part:
            parquet.write_table(rows, part)

    def finish(self) -> arrow.Table:
        """Joins the parts, and reads the results."""
        results = self._folder / _RESULTS
        parts = [self._part(chunk) for chunk in range(self._chunks)]
        if not results.exists():
            with whole_file(results) as joined:
                _join(parts, joined)
        for part in parts:
            with suppress(FileNotFoundError):
                part.unlink()
        return parquet.read_table(results)

    def _part(self, chunk: int) -> Path:
        return self._folder / f"part-{chunk:05}.parquet"


def _join(parts: Iterable[Path], joined: Path) -> None:
    writer = None
    try:
        for part in parts:
            rows = parquet.read_table(part)
            writer = writer or parquet.ParquetWriter(joined, rows.schema)
            writer.write_table(rows)
    finally:
        if writer:
            writer.close()


def read_plan(path: Path) -> dict[str, Any]:
    """What was begun, from its file.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    try:
        plan = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(field="out", value=str(path), expected=_OWN_FOLDER, hint=str(error)) from error
    if not isinstance(plan, dict):
        raise InvalidInputError(field="out", value=str(path), expected=_OWN_FOLDER, hint="the file is damaged")
    return plan


def refuse_other(begun: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses to go on with something else than what the file `begun` was begun with.

    Raises:
        InvalidInputError: Names everything that differs.
    """
    differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not differing:
        return
    name = differing[0]
    raise InvalidInputError(
        field=f"out: {name}",
        value=f"{now.get(name)!r}",
        expected=f"{before.get(name)!r}, what {begun} was begun with",
        hint="these differ: " + ", ".join(differing) + "; choose another folder, or remove this one",
    )
