"""The one place of this package that reads the time."""

from __future__ import annotations

import time

__all__ = ["CLOCK_TOLERANCE_S", "WallClock"]

# How far the venue's clock and ours may be apart for orders to expire when they should, s.
CLOCK_TOLERANCE_S = 5.0


class WallClock:
    """ns since 1970; never twice the same and never back.

    When the machine's clock is set back this one goes on at half the pace until it is caught up: waits end and events
    stay in order. When it is set forward this one follows at once.
    """

    def __init__(self) -> None:
        self._last_ns = time.time_ns()
        self._steady_ns = time.monotonic_ns()

    def __call__(self) -> int:
        """Now."""
        steady_ns = time.monotonic_ns()
        slow_ns = self._last_ns + max(1, (steady_ns - self._steady_ns) // 2)
        self._last_ns = max(time.time_ns(), slow_ns)
        self._steady_ns = steady_ns
        return self._last_ns
