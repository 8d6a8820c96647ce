"""Nonces as the venue keeps them: the 100 highest of each signer, two days back to one day ahead of its clock."""

from __future__ import annotations

import heapq

__all__ = ["NonceSets"]

KEPT = 100
BACK_MS = 2 * 86_400_000
AHEAD_MS = 86_400_000


class NonceSets:
    """Which nonces are used up, by signer."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[int]] = {}
        self._sets: dict[str, set[int]] = {}

    def use(self, signer: str, nonce: int, now_ms: int) -> str | None:
        """Uses a nonce up.

        A full set takes only what is above its smallest; out of order within the set is fine.

        Returns:
            None, or why it is refused; then nothing was used up.
        """
        heap = self._heaps.setdefault(signer, [])
        kept = self._sets.setdefault(signer, set())
        if nonce in kept:
            return f"Invalid nonce: duplicate nonce {nonce}"
        floor = now_ms - BACK_MS
        if len(heap) >= KEPT:
            floor = max(floor, heap[0])
        if nonce <= floor:
            return f"Invalid nonce: nonce too low {nonce} < {floor}"
        if nonce >= now_ms + AHEAD_MS:
            return f"Invalid nonce: nonce too high {nonce} > {now_ms + AHEAD_MS}"
        kept.add(nonce)
        if len(heap) >= KEPT:
            kept.discard(heapq.heappushpop(heap, nonce))
        else:
            heapq.heappush(heap, nonce)
        return None
