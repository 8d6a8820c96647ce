"""Our orders, fills and positions as the venue tells them, each told once; `reconciliation` makes them agree again.

Truth comes by two ways that overtake one another: the account's channels, and queries after a connection. What decides:

- A fill is named by coin, time and trade id, and states the position before it: fills form a chain, and a link that
  does not fit is a fill missed.
- An order that is dead stays dead: the venue never uses a number twice. So an older list cannot bring it back, and one
  believed alive that a list does not hold is asked for by number. A list decides about the rest, but for what was heard
  of an order since it was asked for.
- Engines know orders by name, and the two legs of a modification may share one: when one dies, the leg that lives is
  told instead.
- A position that was stated before the latest fill is older than the chain of fills and gives way to it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from hypermm._core import OrderStatus
from hypermm.exceptions import WireError
from hypermm.exchange.hyperliquid.decode import (
    funding_payment,
    order_update,
    own_fill,
)
from hypermm.exchange.hyperliquid.memory import SeenIds
from hypermm.exchange.hyperliquid.notices import FillGap

if TYPE_CHECKING:
    from hypermm.exchange.events import EngineEvent, OwnFill, OwnOrder
    from hypermm.exchange.hyperliquid import wire
    from hypermm.exchange.hyperliquid.assets import Asset

__all__ = ["Account", "Query"]

_DEAD = (OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.FILLED)
_DEAD_KEPT = 16_384
_DEATHS_RETOLD = 1_024
_GAP_MARGIN_MS = 5_000


class Query(Struct, frozen=True):
    """An ``info`` request about the account: its type, and fields as (name, value)."""

    kind: str
    fields: tuple[tuple[str, Any], ...] = ()


class _Chain:
    """Positions that the fills of one coin lead through, in lots."""

    def __init__(self) -> None:
        self.time_ms = -1
        self.position: int | None = None
        self._links: list[tuple[int, int]] = []

    def add(self, time_ms: int, before: int, after: int) -> bool:
        """Takes a fill; False when it does not start where the last one ended."""
        fits = self.position is None or before == self.position
        if time_ms > self.time_ms:
            self.time_ms, self._links = time_ms, []
        elif time_ms < self.time_ms:
            return False
        self._links.append((before, after))
        # Fills of one time may come in any order: the end is where no other link starts.
        ends = Counter(end for _, end in self._links) - Counter(start for start, _ in self._links)
        self.position = next(iter(ends)) if len(ends) == 1 else after
        return fits

    def restart(self, time_ms: int, position: int) -> None:
        """The venue's word: fills go on from here."""
        self.time_ms, self.position, self._links = max(time_ms, self.time_ms), position, []


class Account:
    """What is known of our account in the coins we trade; others' fills and orders are passed over.

    Args:
        user: Our address (of the account, not of an agent).
        assets: Assets we trade, by coin.
        fills_since_ms: Fills from this time on are news although they come with the first snapshot: where a restored
            engine left off. None: the first snapshot is history, and only the positions count.
    """

    def __init__(self, user: str, assets: Mapping[str, Asset], fills_since_ms: int | None = None) -> None:
        self.user = user
        self.assets = dict(assets)
        self.open_orders: dict[int, OwnOrder] = {}
        self.gaps: list[FillGap] = []
        self._since_ms = fills_since_ms
        self._resume_ms = fills_since_ms
        self._settled_ms: int | None = None
        self._is_new = True
        self._funding_from_ms = fills_since_ms
        self._dead: dict[int, None] = {}
        self._deaths: deque[OwnOrder] = deque(maxlen=_DEATHS_RETOLD)
        self._seen_fills = SeenIds(32_768)
        self._seen_fundings = SeenIds()
        self._chains = {coin: _Chain() for coin in assets}

    @property
    def dexes(self) -> list[str]:
        """Dexes of the coins we trade."""
        return sorted({asset.dex for asset in self.assets.values()})

    def lots(self, coin: str, contracts: float) -> int:
        """A position in whole lots; the venue's own carry floating-point noise."""
        return round(contracts * 10.0 ** self.assets[coin].size_decimals)

    def contracts(self, coin: str, lots: int) -> float:
        """A position in contracts."""
        return lots / 10.0 ** self.assets[coin].size_decimals

    def interrupted(self) -> None:
        """The connection is gone: fills after the latest known one will have to be asked for."""
        if self._resume_ms is None:
            newest = self._seen_fills.newest
            self._resume_ms = self._settled_ms if newest is None else newest

    def missed(self) -> None:
        """Something of our channels could not be read: fills from before it will have to be asked for."""
        self.interrupted()
        newest = self._seen_fills.newest
        if self._resume_ms is not None and newest is not None:
            self._resume_ms = min(self._resume_ms, max(0, newest - _GAP_MARGIN_MS))

    def settled(self, time_ms: int) -> None:
        """A reconciliation is over, with positions as of the venue's `time_ms`: whatever is unseen now is news."""
        self._is_new = False
        self._resume_ms = None
        self._settled_ms = max(0, time_ms - _GAP_MARGIN_MS)
        if self._funding_from_ms is None:
            self._funding_from_ms = time_ms

    # --- as it happens ------------------------------------------------------------------------------------------

    def on_orders(self, orders: Iterable[OwnOrder]) -> list[EngineEvent]:
        """Those that are news: the dead stay dead, and neither repeated nor older words are passed on."""
        news: list[EngineEvent] = []
        for order in orders:
            if order.coin not in self.assets or order.venue_id in self._dead:
                continue
            known = self.open_orders.get(order.venue_id)
            if order.status in _DEAD:
                self._bury(order)
                bearers = (live for live in self.open_orders.values() if live.order_id == order.order_id)
                news.append(next(bearers, order))
                continue
            if known is not None and (order == known or order.exchange_time_ns < known.exchange_time_ns):
                continue
            self.open_orders[order.venue_id] = order
            news.append(order)
        return news

    def _bury(self, order: OwnOrder) -> None:
        self.open_orders.pop(order.venue_id, None)
        self._deaths.append(order)
        self._dead[order.venue_id] = None
        if len(self._dead) > _DEAD_KEPT:
            del self._dead[next(iter(self._dead))]

    def on_order_rows(self, rows: Sequence[wire.OrderUpdate]) -> list[EngineEvent]:
        """News of the order channel."""
        return self.on_orders([order_update(row) for row in rows])

    def on_fills(self, rows: Sequence[wire.Fill], *, is_snapshot: bool) -> list[EngineEvent]:
        """Fills not seen before.

        Raises:
            WireError: A fill of a coin we trade has no price; nothing was taken in.
        """
        fills = []
        for place, row in enumerate(rows):
            if row.coin not in self.assets:
                continue
            if row.px <= 0.0:
                raise WireError(channel="userFills", field=f"fills[{place}].px", value=row.px, expected="above 0")
            fills.append((row, own_fill(row, self.user)))
        # Snapshots are oldest first over the websocket and by time; a stable sort changes neither.
        fills.sort(key=lambda pair: pair[0].time)
        return [fill for row, fill in fills if self._is_news(row, fill, is_snapshot=is_snapshot)]

    def _is_news(self, row: wire.Fill, fill: OwnFill, *, is_snapshot: bool) -> bool:
        if not self._seen_fills.add(row.time, (row.coin, row.tid)):
            return False
        chain, before = self._chains[row.coin], self.lots(row.coin, fill.position_before)
        expected, last_ms = chain.position, chain.time_ms
        fits = chain.add(row.time, before, before + self.lots(row.coin, fill.signed_size))
        if not fits and expected is not None and not is_snapshot:
            self.gaps.append(FillGap(row.coin, self.contracts(row.coin, expected), fill.position_before))
            since_ms = max(0, min(last_ms, row.time) - _GAP_MARGIN_MS)
            self._resume_ms = since_ms if self._resume_ms is None else min(self._resume_ms, since_ms)
        if not (is_snapshot and self._is_new):
            return True
        return self._since_ms is not None and row.time >= self._since_ms

    def on_fundings(self, rows: Sequence[wire.Funding], *, is_snapshot: bool) -> list[EngineEvent]:
        """Payments not seen before."""
        news: list[EngineEvent] = []
        for row in rows:
            if row.coin not in self.assets or not self._seen_fundings.add(row.time, row.coin):
                continue
            # The snapshot may come after the account is settled.
            since_ms = self._funding_from_ms
            history = is_snapshot and (since_ms is None or row.time < since_ms)
            if not history:
                news.append(funding_payment(row))
        return news

    # --- reconciliation -----------------------------------------------------------------------------------------

    def fills_from_ms(self) -> int:
        """From when on fills must be asked for; the latest known before is repeated, and so known to be the last."""
        if self._resume_ms is not None:
            return self._resume_ms
        known = (self._seen_fills.newest, self._settled_ms)
        return max((time_ms for time_ms in known if time_ms is not None), default=0)

    def take_list(
        self, listed: Iterable[OwnOrder], believed: Mapping[int, OwnOrder], asked_ns: int
    ) -> list[EngineEvent]:
        """The venue's list of orders, asked for at `asked_ns` of its clock, when `believed` was open.

        Returns:
            Those that were not known.
        """
        unknown: list[EngineEvent] = []
        for order in listed:
            if order.venue_id in self._dead:
                continue
            known = self.open_orders.get(order.venue_id)
            if known is None:
                unknown.append(order)
                known = order
            elif known is not believed.get(order.venue_id) and known.exchange_time_ns >= asked_ns:
                continue
            since_ns = max(order.exchange_time_ns, known.exchange_time_ns, asked_ns)
            self.open_orders[order.venue_id] = replace(order, exchange_time_ns=since_ns)
        return unknown

    def orders_anew(self) -> list[EngineEvent]:
        """The latest deaths and every order that lives, for an engine that may have refused to hear of one.

        A death does not say what was ordered: an engine that holds the order knows it, and one that has forgotten it
        would take all of it for fills that are still to be told.
        """
        names = {order.order_id for order in self.open_orders.values()}
        deaths = (replace(dead, original_size=None) for dead in self._deaths if dead.order_id not in names)
        return [*deaths, *self.open_orders.values()]

    def position_by_fills(self, coin: str) -> tuple[int, int | None]:
        """(time of the latest fill in ms or −1, position after it in lots; None when none is known)."""
        chain = self._chains[coin]
        return chain.time_ms, chain.position

    def take_position(self, coin: str, lots: int, time_ms: int) -> None:
        """The venue's word on a position."""
        self._chains[coin].restart(time_ms, lots)
