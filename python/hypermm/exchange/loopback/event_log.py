"""The venue's own log: everything it published, whoever listened, as JSON lines.

    {"seq": 17, "time_ns": 1788490065008000000, "channel": "trades", "user": null, "data": {...}}

`seq` counts from 1 without gaps; `time_ns` is the venue's clock; `data` is what a frame of the channel holds: one
trade, one order update, one fill, one payment, one context, one book. `user` is the account of private ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import msgspec

__all__ = ["EventLog"]


class EventLog:
    """Writes the log.

    Args:
        file: Opened for bytes; None writes nothing.
    """

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self.count = 0

    @property
    def is_kept(self) -> bool:
        """It is written somewhere."""
        return self._file is not None

    def write(self, time_ns: int, channel: str, user: str | None, data: Any) -> None:
        """Writes one event."""
        self.count += 1
        if self._file is not None:
            row = {"seq": self.count, "time_ns": time_ns, "channel": channel, "user": user, "data": data}
            self._file.write(msgspec.json.encode(row) + b"\n")

    def write_all(self, time_ns: int, channel: str, user: str | None, rows: Iterable[Any]) -> None:
        """Writes events of one frame."""
        for row in rows:
            self.write(time_ns, channel, user, row)

    def flush(self) -> None:
        """Hands what is written to the system."""
        if self._file is not None:
            self._file.flush()
