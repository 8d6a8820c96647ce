"""What the venue publishes of an account: orders, fills, payments, states; all of a block in one frame a channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hypermm._core import VenueFill, VenueFunding, VenueLiquidation, VenueOrder
from hypermm.exchange.loopback import subscriptions as wanted
from hypermm.exchange.loopback.account_info import active_asset_data, deposits, open_orders, state
from hypermm.exchange.loopback.rows import funding_row, order_row, status_row

if TYPE_CHECKING:
    from hypermm.exchange.loopback.event_log import EventLog
    from hypermm.exchange.loopback.hub import Hub
    from hypermm.exchange.loopback.subscriptions import Subscription
    from hypermm.exchange.loopback.world import World

__all__ = ["OwnFeed"]

SNAPSHOT_ROWS = 2000
_BY_ITS_ACCOUNT = frozenset({"open", "filled", "canceled", "triggered", "reduceOnlyCanceled"})


class OwnFeed:
    """Publishes what concerns accounts, block by block.

    Args:
        world: The venue.
        hub: Who listens.
        log: Where all of it is written down.
    """

    def __init__(self, world: World, hub: Hub, log: EventLog) -> None:
        self._world = world
        self._hub = hub
        self._log = log

    def publish(self, events: Iterable[Any], due: set[str], now_ns: int) -> None:
        """Publishes what one block did to each account, then states when they are due."""
        of_users: dict[str, list[Any]] = {}
        for event in events:
            if isinstance(event, (VenueOrder, VenueFill, VenueFunding, VenueLiquidation)):
                user = self._world.users.get(event.account)
                if user is not None:
                    of_users.setdefault(user, []).append(event)
        for user, own in of_users.items():
            self._publish_orders(user, [event for event in own if isinstance(event, VenueOrder)], now_ns)
            self._publish_fills(user, [event for event in own if isinstance(event, VenueFill)], now_ns)
            self._publish_fundings(user, [event for event in own if isinstance(event, VenueFunding)], now_ns)
            for event in own:
                if isinstance(event, VenueLiquidation):
                    self._publish_liquidation(user, event, now_ns)
        if "states" in due:
            subscriptions: list[Subscription] = [
                *self._hub.wanted(wanted.ClearinghouseState),
                *self._hub.wanted(wanted.OpenOrders),
                *self._hub.wanted(wanted.ActiveAssetData),
            ]
            for subscription in subscriptions:
                for payload in self.snapshot(subscription):
                    self._hub.publish(subscription, payload, now_ns)

    def _send(self, user: str, subscription: Subscription, rows: list[Any], payload: Any, now_ns: int) -> None:
        self._log.write_all(self._world.block_ns, subscription.channel, user, rows)
        self._hub.publish(subscription, payload, now_ns)

    def _publish_orders(self, user: str, orders: list[VenueOrder], now_ns: int) -> None:
        if not orders:
            return
        rows = [status_row(order, order_row(order)) for order in orders]
        self._send(user, wanted.OrderUpdates(user), rows, rows, now_ns)
        ended = [
            {"coin": order.coin, "oid": order.order_id}
            for order in orders
            if order.status not in _BY_ITS_ACCOUNT and not order.status.endswith("Rejected")
        ]
        if ended:
            self._hub.publish(wanted.UserEvents(user), {"nonUserCancel": ended}, now_ns)

    def _publish_fills(self, user: str, fills: list[VenueFill], now_ns: int) -> None:
        if not fills:
            return
        rows = [self._world.rows.fill(fill) for fill in fills]
        self._world.records[user].fills.extend(rows)
        self._log.write_all(self._world.block_ns, "userFills", user, rows)
        for aggregate in (False, True):
            self._hub.publish(wanted.UserFills(user, aggregate), {"user": user, "fills": rows}, now_ns)
        self._hub.publish(wanted.UserEvents(user), {"fills": rows}, now_ns)
        for row in rows:
            if not row["crossed"]:
                verb = "Bought" if row["side"] == "B" else "Sold"
                text = f"Resting order filled: {verb} {row['sz']} {row['coin']} at ${row['px']}"
                self._hub.publish(wanted.Notification(user), {"notification": text}, now_ns)

    def _publish_fundings(self, user: str, payments: list[VenueFunding], now_ns: int) -> None:
        if not payments:
            return
        rows = [funding_row(payment) for payment in payments]
        self._world.records[user].fundings.extend(rows)
        self._send(user, wanted.UserFundings(user), rows, {"user": user, "fundings": rows}, now_ns)
        for row in rows:
            self._hub.publish(wanted.UserEvents(user), {"funding": row}, now_ns)

    def _publish_liquidation(self, user: str, event: VenueLiquidation, now_ns: int) -> None:
        payload = {
            "liquidation": {
                "lid": event.time_ns // 1000,
                "liquidator": self._world.rows.address(0),
                "liquidated_user": user,
                "liquidated_ntl_pos": event.notional,
                "liquidated_account_value": event.account_value,
            }
        }
        self._send(user, wanted.UserEvents(user), [payload], payload, now_ns)

    def snapshot(self, subscription: Subscription) -> list[Any]:
        """What a new subscription to an account gets at once."""
        user = getattr(subscription, "user", "")
        records = self._world.records.get(user)
        match subscription:
            case wanted.UserFills():
                fills = [] if records is None else list(records.fills)[-SNAPSHOT_ROWS:]
                return [{"isSnapshot": True, "user": user, "fills": fills}]
            case wanted.UserFundings():
                fundings = [] if records is None else list(records.fundings)[-SNAPSHOT_ROWS:]
                return [{"isSnapshot": True, "user": user, "fundings": fundings}]
            case wanted.LedgerUpdates():
                return [{"isSnapshot": True, "user": user, "nonFundingLedgerUpdates": deposits(self._world, user)}]
            case wanted.ClearinghouseState(dex=dex):
                dex = dex or ""
                return [{"dex": dex, "user": user, "clearinghouseState": state(self._world, user, dex)}]
            case wanted.OpenOrders(dex=dex):
                return [{"dex": dex or "", "user": user, "orders": open_orders(self._world, user, dex or "")}]
            case wanted.ActiveAssetData(coin=coin):
                return [active_asset_data(self._world, user, coin)]
            case _:
                return []
