"""The venue's limits for one address of the internet; on loopback every client has the same one."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from hypermm.exchange.hyperliquid.rate_limit import SlidingWindow, info_weight, row_weight

__all__ = ["IpLimits", "Limits"]

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one address of the internet may do; the published values of August 2026.

    Attributes:
        weight_per_minute: Weight of HTTP requests. Posts have none here; whether they have at the venue is unverified.
        connections: Websockets at once.
        connects_per_minute: New websockets.
        messages_per_minute: Frames from clients, over all websockets.
        subscriptions: Over all websockets.
        users: Different accounts in subscriptions.
        pending_posts: Posts without an answer yet, over all websockets.
    """

    weight_per_minute: Count = 1200
    connections: Count = 10
    connects_per_minute: Count = 30
    messages_per_minute: Count = 2000
    subscriptions: Count = 1000
    users: Count = 10
    pending_posts: Count = 100


class IpLimits:
    """Counts against `Limits`; times are ns of a clock that does not go back."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._weight = SlidingWindow(limits.weight_per_minute)
        self._connects = SlidingWindow(limits.connects_per_minute)
        self._messages = SlidingWindow(limits.messages_per_minute)

    def may_ask(self, now_ns: int, kind: str) -> bool:
        """Books an info request if it fits."""
        return self._weight.try_spend(now_ns, info_weight(kind))

    def may_act(self, now_ns: int, weight: int) -> bool:
        """Books an action if it fits."""
        return self._weight.try_spend(now_ns, weight)

    def answered(self, now_ns: int, kind: str, rows: int) -> None:
        """Books what the rows of an answer cost."""
        self._weight.spend(now_ns, row_weight(kind, rows))

    def may_connect(self, now_ns: int, connections: int) -> bool:
        """Books a new websocket beside `connections` if it fits."""
        return connections < self.limits.connections and self._connects.try_spend(now_ns, 1)

    def may_say(self, now_ns: int) -> bool:
        """Books a frame of a client if it fits."""
        return self._messages.try_spend(now_ns, 1)
