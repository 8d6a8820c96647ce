"""The one place of this package that reads the time."""

from __future__ import annotations

import time

__all__ = ["CLOCK_TOLERANCE_S", "WallClock", "machine_ns"]

# How far the venue's clock and ours may be apart for orders to expire when they should, s.
CLOCK_TOLERANCE_S = 5.0


def machine_ns() -> int:
    """The machine's clock as it stands, ns since 1970: it may go back. For times the venue compares with its own."""
    return time.time_ns()


class WallClock:
    """ns since 1970; never twice the same and never back.

    When the machine's clock is set back this one goes on at half the pace until it is caught up: waits end and events
    stay in order. When it is set forward this one follows at once.
    """

    def __init__(self) -> None:
        self._last_ns = machine_ns()
        self._steady_ns = time.monotonic_ns()

    def __call__(self) -> int:
        """Now."""
        steady_ns = time.monotonic_ns()
        slow_ns = self._last_ns + max(1, (steady_ns - self._steady_ns) // 2)
        self._last_ns = max(machine_ns(), slow_ns)
        self._steady_ns = steady_ns
        return self._last_ns
