"""Our orders, fills and positions as the venue tells them, each told once; and how they are made to agree again.

Truth comes by two ways that overtake one another: the account's channels, and queries after a connection. What decides:

- A fill is named by coin, time and trade id, and states the position before it: fills form a chain, and a link that
  does not fit is a fill missed.
- An order that is dead stays dead: the venue never uses a number twice. So an older list cannot bring it back, and one
  believed alive that a list does not hold is asked for by number.
- A position that was stated before the latest fill is older than the chain of fills and gives way to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hypermm._core import OrderStatus
from hypermm.exceptions import WireError
from hypermm.exchange.events import EngineEvent, OwnFill, OwnOrder, PositionUpdate
from hypermm.exchange.hyperliquid.decode import (
    NS_PER_MS,
    funding_payment,
    order_update,
    own_fill,
    own_order,
    position_updates,
)
from hypermm.exchange.hyperliquid.memory import SeenIds
from hypermm.exchange.hyperliquid.notices import FillGap, PositionMismatch

if TYPE_CHECKING:
    from hypermm.exchange.hyperliquid import wire
    from hypermm.exchange.hyperliquid.assets import Asset

__all__ = ["Account", "Query", "Reconciliation"]

_DEAD = (OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.FILLED)
_DEAD_KEPT = 16_384
_FILLS_PER_ANSWER = 2000
_ATTEMPTS = 4
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
        self._dead: dict[int, None] = {}
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

    def settled(self, time_ms: int) -> None:
        """A reconciliation is over, with positions as of the venue's `time_ms`: whatever is unseen now is news."""
        self._is_new = False
        self._resume_ms = None
        self._settled_ms = max(0, time_ms - _GAP_MARGIN_MS)

    # --- as it happens ------------------------------------------------------------------------------------------

    def on_orders(self, orders: Iterable[OwnOrder]) -> list[EngineEvent]:
        """Those that are news: the dead stay dead, and neither repeated nor older words are passed on."""
        news: list[EngineEvent] = []
        for order in orders:
            if order.coin not in self.assets or order.venue_id in self._dead:
                continue
            known = self.open_orders.get(order.venue_id)
            if known is not None and (order == known or order.exchange_time_ns < known.exchange_time_ns):
                continue
            if order.status in _DEAD:
                self.open_orders.pop(order.venue_id, None)
                self._dead[order.venue_id] = None
                if len(self._dead) > _DEAD_KEPT:
                    del self._dead[next(iter(self._dead))]
            else:
                self.open_orders[order.venue_id] = order
            news.append(order)
        return news

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
            history = is_snapshot and self._is_new and (self._since_ms is None or row.time < self._since_ms)
            if not history:
                news.append(funding_payment(row))
        return news

    # --- reconciliation -----------------------------------------------------------------------------------------

    def fills_from_ms(self) -> int:
        """From when on fills must be asked for; the latest known before is repeated, and so known to be the last."""
        if self._resume_ms is not None:
            return self._resume_ms
        newest = self._seen_fills.newest
        return 0 if newest is None else newest

    def position_by_fills(self, coin: str) -> tuple[int, int | None]:
        """(time of the latest fill in ms or −1, position after it in lots; None when none is known)."""
        chain = self._chains[coin]
        return chain.time_ms, chain.position

    def take_position(self, coin: str, lots: int, time_ms: int) -> None:
        """The venue's word on a position."""
        self._chains[coin].restart(time_ms, lots)


class Reconciliation:
    """Queries until orders, fills and positions agree; its answers may come in any order.

    Args:
        account: What is known; events of its channels go on meanwhile.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._open: set[Query] = set()
        self._listed: dict[int, OwnOrder] = {}
        self._believed = dict(account.open_orders)
        self._states: dict[str, wire.ClearinghouseState] = {}
        self._orders_done = False
        self.attempts = 0
        self.mismatches: list[PositionMismatch] = []
        self.done = False

    def start(self) -> list[Query]:
        """The first queries."""
        user = ("user", self._account.user)
        queries = [Query("userFillsByTime", (user, ("startTime", self._account.fills_from_ms())))]
        for dex in self._account.dexes:
            queries += [Query("frontendOpenOrders", (user, ("dex", dex or None)))]
            queries += [Query("clearinghouseState", (user, ("dex", dex or None)))]
        return self._ask(queries)

    def _ask(self, queries: list[Query]) -> list[Query]:
        fresh = [query for query in queries if query not in self._open]
        self._open.update(fresh)
        return fresh

    def answer(self, query: Query, value: Any) -> tuple[list[EngineEvent], list[Query]]:
        """Takes an answer.

        Returns:
            Events, and queries that follow from it.
        """
        self._open.discard(query)
        fields = dict(query.fields)
        events: list[EngineEvent] = []
        queries: list[Query] = []
        if query.kind == "userFillsByTime":
            events = self._account.on_fills(value, is_snapshot=True)
            last_ms = max((row.time for row in value), default=0)
            if len(value) >= _FILLS_PER_ANSWER and last_ms > fields["startTime"]:
                queries.append(Query(query.kind, (query.fields[0], ("startTime", last_ms))))
        elif query.kind == "frontendOpenOrders":
            rows = [own_order(row, "open", row.timestamp) for row in value if row.coin in self._account.assets]
            self._listed.update((row.venue_id, row) for row in rows)
        elif query.kind == "clearinghouseState":
            self._states[fields["dex"] or ""] = value
        elif query.kind == "orderStatus":
            events = self._account.on_orders([self._status(fields["oid"], value)])
        queries = self._ask(queries)
        if not self._open:
            more, queries = self._settle()
            events = events + more
        return events, queries

    def _status(self, venue_id: int, value: Any) -> OwnOrder:
        """The venue's word on an order; one it does not know is no longer there."""
        if value.order is not None:
            return order_update(value.order)
        gone = self._believed[venue_id]
        return OwnOrder(
            gone.coin,
            gone.order_id,
            venue_id,
            OrderStatus.CANCELED,
            "unknownOid",
            gone.side,
            gone.price,
            0.0,
            gone.original_size,
            gone.exchange_time_ns,
        )

    def _settle(self) -> tuple[list[EngineEvent], list[Query]]:
        """Everything asked is answered: compare."""
        events: list[EngineEvent] = []
        if not self._orders_done:
            self._orders_done = True
            known = self._account.open_orders
            changed = []
            for listed in self._listed.values():
                before = known.get(listed.venue_id)
                if before is None or before.remaining_size != listed.remaining_size:
                    changed.append(listed)
            events = self._account.on_orders(changed)
            missing = [number for number in self._believed if number in known and number not in self._listed]
            if missing:
                user = ("user", self._account.user)
                return events, self._ask([Query("orderStatus", (user, ("oid", number))) for number in missing])
        updates, doubtful = self._positions()
        if doubtful and self.attempts < _ATTEMPTS:
            self.attempts += 1
            self._states.clear()
            user = ("user", self._account.user)
            queries = [Query("userFillsByTime", (user, ("startTime", self._account.fills_from_ms())))]
            queries += [Query("clearinghouseState", (user, ("dex", dex or None))) for dex in self._account.dexes]
            return events, self._ask(queries)
        self.mismatches = doubtful
        account = self._account
        account.settled(min(state.time for state in self._states.values()))
        for update in updates:
            lots = account.lots(update.coin, update.position)
            account.take_position(update.coin, lots, update.exchange_time_ns // NS_PER_MS)
        self.done = True
        return [*events, *updates], []

    def _positions(self) -> tuple[list[PositionUpdate], list[PositionMismatch]]:
        """Position of each coin, and those where fills and statement contradict each other."""
        account = self._account
        updates: list[PositionUpdate] = []
        doubtful: list[PositionMismatch] = []
        for dex, state in self._states.items():
            coins = [coin for coin, asset in account.assets.items() if asset.dex == dex]
            for stated in position_updates(state, coins):
                lots = account.lots(stated.coin, stated.position)
                fill_ms, by_fills = account.position_by_fills(stated.coin)
                entry = stated.entry_price
                if by_fills is not None and by_fills != lots:
                    if fill_ms >= state.time:
                        lots, entry = by_fills, None
                    else:
                        doubtful.append(
                            PositionMismatch(stated.coin, account.contracts(stated.coin, by_fills), stated.position)
                        )
                position = account.contracts(stated.coin, lots)
                updates.append(PositionUpdate(stated.coin, position, entry, stated.exchange_time_ns))
        return updates, doubtful
