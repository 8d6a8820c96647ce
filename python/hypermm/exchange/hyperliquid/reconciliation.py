"""Queries that make what is known of our account agree with the venue's again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hypermm._core import OrderStatus
from hypermm.exceptions import WireError
from hypermm.exchange.events import EngineEvent, OwnFill, OwnOrder, PositionUpdate
from hypermm.exchange.hyperliquid.account import Account, Query
from hypermm.exchange.hyperliquid.decode import NS_PER_MS, order_update, own_order, position_updates
from hypermm.exchange.hyperliquid.notices import PositionMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypermm.exchange.hyperliquid import wire

__all__ = ["Reconciliation"]

_FILLS_PER_ANSWER = 2000
_ATTEMPTS = 4
_HEARD_WITHIN_NS = 10_000_000_000
# How far one node of the venue may be behind another.
_LAG_NS = 1_000_000_000


class Reconciliation:
    """Queries until orders, fills and positions agree; its answers may come in any order.

    Args:
        account: What is known; events of its channels go on meanwhile.
        asked_ns: The venue's clock as last heard, ns.

    Attributes:
        attempts: Times that positions were asked for again.
        mismatches: Positions that were taken although fills do not lead to them.
        unheard: Something was learned that the account's channels should have told well before the asking.
        done: All agrees.
    """

    def __init__(self, account: Account, asked_ns: int = 0) -> None:
        self._account = account
        self._asked_ns = asked_ns
        self._fresh_ns = asked_ns - _HEARD_WITHIN_NS
        self._unknown: Counter[int] = Counter()
        self._open: set[Query] = set()
        self._listed: dict[int, OwnOrder] = {}
        self._believed = dict(account.open_orders)
        self._states: dict[str, wire.ClearinghouseState] = {}
        self._orders_done = False
        self.attempts = 0
        self.mismatches: list[PositionMismatch] = []
        self.unheard = False
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

    def answer(self, query: Query, value: Any, rows: int | None = None) -> tuple[list[EngineEvent], list[Query]]:
        """Takes an answer.

        Args:
            query: What was asked.
            value: The answer, as `answers.read_own` reads it.
            rows: How many rows it had, if not all of them could be read.

        Returns:
            Events, and queries that follow from it.

        Raises:
            WireError: It says what cannot be; the query stays open.
        """
        fields = dict(query.fields)
        events: list[EngineEvent] = []
        queries: list[Query] = []
        if query.kind == "userFillsByTime":
            events = self._account.on_fills(value, is_snapshot=True)
            self._note_unheard(events)
            last_ms = max((row.time for row in value), default=0)
            if (len(value) if rows is None else rows) >= _FILLS_PER_ANSWER and last_ms > fields["startTime"]:
                queries.append(Query(query.kind, (query.fields[0], ("startTime", last_ms))))
        elif query.kind == "frontendOpenOrders":
            resting = [own_order(row, "open", row.timestamp) for row in value if row.coin in self._account.assets]
            self._listed.update((order.venue_id, order) for order in resting)
        elif query.kind == "clearinghouseState":
            self._states[fields["dex"] or ""] = value
        elif query.kind == "orderStatus":
            if value.order is None:
                self._doubt(fields["oid"])
            events = self._account.on_orders([self._status(fields["oid"], value)])
            if value.order is not None:
                self._note_unheard(events)
        self._open.discard(query)
        queries = self._ask(queries)
        if not self._open:
            more, queries = self._settle()
            events = events + more
        return events, queries

    def _doubt(self, venue_id: int) -> None:
        """Of an order just placed a node that lags may not have heard: asked again, before it is taken for dead.

        Raises:
            WireError: It is to be asked again.
        """
        self._unknown[venue_id] += 1
        is_fresh = self._believed[venue_id].exchange_time_ns >= self._asked_ns - _LAG_NS
        if is_fresh and self._unknown[venue_id] < _ATTEMPTS:
            raise WireError(channel="orderStatus", field="oid", value=venue_id, expected="an order just placed")

    def _note_unheard(self, news: Iterable[EngineEvent]) -> None:
        self.unheard |= any(
            isinstance(event, OwnFill | OwnOrder) and event.exchange_time_ns < self._fresh_ns for event in news
        )

    def _status(self, venue_id: int, value: Any) -> OwnOrder:
        """The venue's word on an order; one it does not know is gone, and filled no more than is known."""
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
            gone.remaining_size,
            gone.original_size,
            gone.exchange_time_ns,
        )

    def _settle(self) -> tuple[list[EngineEvent], list[Query]]:
        """Everything asked is answered: compare."""
        if not self._orders_done:
            self._orders_done = True
            known = self._account.open_orders
            self._note_unheard(self._account.take_list(self._listed.values(), self._believed, self._asked_ns))
            missing = [number for number in self._believed if number in known and number not in self._listed]
            if missing:
                user = ("user", self._account.user)
                return [], self._ask([Query("orderStatus", (user, ("oid", number))) for number in missing])
        updates, doubtful = self._positions()
        if doubtful and self.attempts < _ATTEMPTS:
            self.attempts += 1
            self._states.clear()
            user = ("user", self._account.user)
            queries = [Query("userFillsByTime", (user, ("startTime", self._account.fills_from_ms())))]
            queries += [Query("clearinghouseState", (user, ("dex", dex or None))) for dex in self._account.dexes]
            return [], self._ask(queries)
        self.mismatches = doubtful
        account = self._account
        account.settled(min(state.time for state in self._states.values()))
        for update in updates:
            lots = account.lots(update.coin, update.position)
            account.take_position(update.coin, lots, update.exchange_time_ns // NS_PER_MS)
        self.done = True
        return [*account.orders_anew(), *updates], []

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
