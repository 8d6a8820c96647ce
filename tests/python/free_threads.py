"""Whether other threads of Python run while the extension works."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def check_others_run(work: Callable[[], object]) -> None:
    """Another thread comes round all through the work: often, and it never waits for half of the work's time.

    Work that keeps the interpreter's lock leaves one gap as long as itself, and turns before and after.
    """
    turns, longest_s = 0, 0.0
    thread = threading.Thread(target=work)
    begun_s = before_s = time.perf_counter()
    thread.start()
    while thread.is_alive():
        turns += 1
        now_s = time.perf_counter()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
    thread.join()
    took_s = time.perf_counter() - begun_s
    print(f"turns of another thread meanwhile: {turns:,}; the longest gap {longest_s:.3f} of {took_s:.3f} s")
    assert turns > 1_000
    assert longest_s < 0.5 * took_s
