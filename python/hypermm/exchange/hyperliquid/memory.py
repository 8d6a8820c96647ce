"""What has been seen already: the venue repeats prints and fills after every subscription."""

from __future__ import annotations

import heapq
from collections.abc import Hashable

__all__ = ["SeenIds"]


class SeenIds:
    """Names of what came in, by time; forgets the oldest times whole, so that no name of a kept time is missing.

    Whatever is as old as what was forgotten counts as seen: a thing lost is told by other means, a thing doubled by
    none.

    Args:
        capacity: Names kept, at least.

    Attributes:
        newest: Latest time; None before the first.
    """

    def __init__(self, capacity: int = 8192) -> None:
        self._capacity = capacity
        self._by_time: dict[int, set[Hashable]] = {}
        self._times: list[int] = []
        self._count = 0
        self._forgotten = -1
        self.newest: int | None = None

    def __len__(self) -> int:
        return self._count

    def knows(self, time: int, name: Hashable) -> bool:
        """True when it was seen, or is as old as what was forgotten."""
        return time <= self._forgotten or name in self._by_time.get(time, ())

    def add(self, time: int, name: Hashable) -> bool:
        """Notes it; False when it was seen before, or is as old as what was forgotten."""
        if self.knows(time, name):
            return False
        names = self._by_time.get(time)
        if names is None:
            names = self._by_time[time] = set()
            heapq.heappush(self._times, time)
            if self.newest is None or time > self.newest:
                self.newest = time
        names.add(name)
        self._count += 1
        while self._count > self._capacity and len(self._times) > 1:
            self._forgotten = heapq.heappop(self._times)
            self._count -= len(self._by_time.pop(self._forgotten))
        return True
