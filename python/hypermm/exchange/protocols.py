"""What a venue must offer: market data in, orders out. Live, loopback, paper and replay all have this shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from hypermm.exchange.events import EngineEvent
    from hypermm.exchange.orders import CancelOrder, NewOrder, OrderOutcome, ReplaceOrder

__all__ = ["MarketDataSource", "OrderGateway"]


@runtime_checkable
class MarketDataSource(Protocol):
    """Events of markets and of our account, with the receiver's clock, in the order they came."""

    def events(self) -> AsyncIterator[tuple[int, Sequence[EngineEvent]]]:
        """(receiver's clock in ns, what one frame said); clocks never fall, a frame is applied whole or not at all."""
        ...


@runtime_checkable
class OrderGateway(Protocol):
    """Carries out what the risk gate approved.

    Every method answers one outcome for each item, in order. A refusal is an outcome, not an exception. When the
    answer is lost the call raises and nothing is known: the items may live, and the account's events will tell.
    """

    async def place(self, orders: Sequence[NewOrder]) -> Sequence[OrderOutcome]:
        """Places orders; each stands alone."""
        ...

    async def cancel(self, orders: Sequence[CancelOrder]) -> Sequence[OrderOutcome]:
        """Cancels orders."""
        ...

    async def replace(self, orders: Sequence[ReplaceOrder]) -> Sequence[OrderOutcome]:
        """Cancels and places; a refused replacement may have lost the original, which the account's events tell."""
        ...

    async def cancel_all(self) -> Sequence[OrderOutcome]:
        """Cancels whatever of ours the venue holds."""
        ...
