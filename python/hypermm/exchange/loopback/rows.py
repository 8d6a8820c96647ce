"""What the matching venue tells, as rows of the wire: orders, fills, payments, prints, contexts, states, books."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hypermm._core import Side

if TYPE_CHECKING:
    from hypermm._core import (
        VenueAccount,
        VenueContext,
        VenueFill,
        VenueFunding,
        VenueOrder,
        VenuePosition,
        VenueTrade,
    )

__all__ = [
    "NS_PER_MS",
    "TIME_IN_FORCE",
    "Addresses",
    "RowMaker",
    "book_side",
    "context_row",
    "delisted_row",
    "frontend_row",
    "funding_row",
    "order_row",
    "position_row",
    "state_row",
    "status_row",
]

NS_PER_MS = 1_000_000
_SIDES = {Side.BUY: "B", Side.SELL: "A"}
TIME_IN_FORCE = {"post_only": "Alo", "good_till_canceled": "Gtc", "immediate_or_cancel": "Ioc"}
_SHORT = ("coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz")
Level = tuple[str, str, int]


class Addresses:
    """Addresses of accounts by their number; those of the background are made up, always the same."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def add(self, account: int, address: str) -> None:
        """An account with an address of its own."""
        self._known[account] = address

    def of(self, account: int) -> str:
        """The address."""
        address = self._known.get(account)
        if address is None:
            digest = hashlib.sha256(f"loopback account {account}".encode()).hexdigest()
            address = self._known[account] = "0x" + digest[:40]
        return address


def book_side(levels: Iterable[Level]) -> list[dict[str, Any]]:
    """A side of a book."""
    return [{"px": price, "sz": size, "n": orders} for price, size, orders in levels]


def frontend_row(order: VenueOrder) -> dict[str, Any]:
    """An order as the front end shows it."""
    return {
        "coin": order.coin,
        "side": _SIDES[order.side],
        "limitPx": order.price,
        "sz": order.size,
        "oid": order.order_id,
        "timestamp": order.placed_ns // NS_PER_MS,
        "triggerCondition": "N/A",
        "isTrigger": False,
        "triggerPx": "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": order.reduce_only,
        "orderType": "Limit",
        "origSz": order.original_size,
        "tif": TIME_IN_FORCE[order.time_in_force],
        "cloid": order.client_order_id,
    }


def order_row(order: VenueOrder) -> dict[str, Any]:
    """An order as `openOrders` and the order channel show it: no name and no flag where there is none."""
    row = frontend_row(order)
    short = {key: row[key] for key in _SHORT}
    if order.client_order_id is not None:
        short["cloid"] = order.client_order_id
    if order.reduce_only:
        short["reduceOnly"] = True
    return short


def status_row(order: VenueOrder, row: dict[str, Any]) -> dict[str, Any]:
    """An order's row with its status and since when."""
    return {"order": row, "status": order.status, "statusTimestamp": order.status_ns // NS_PER_MS}


def context_row(context: VenueContext) -> dict[str, Any]:
    """What a contract stands at."""
    impact = context.impact_prices
    return {
        "funding": context.funding_rate,
        "openInterest": context.open_interest,
        "prevDayPx": context.previous_day_price,
        "dayNtlVlm": context.day_notional_volume,
        "premium": context.premium,
        "oraclePx": context.oracle_price,
        "markPx": context.mark_price,
        "midPx": context.mid_price,
        "impactPxs": None if impact is None else list(impact),
        "dayBaseVlm": context.day_base_volume,
    }


def delisted_row(price: str) -> dict[str, Any]:
    """What a contract that no longer trades stands at."""
    return {
        "funding": "0.0",
        "openInterest": "0.0",
        "prevDayPx": price,
        "dayNtlVlm": "0.0",
        "premium": None,
        "oraclePx": price,
        "markPx": price,
        "midPx": None,
        "impactPxs": None,
        "dayBaseVlm": "0.0",
    }


def position_row(position: VenuePosition) -> dict[str, Any]:
    """A position."""
    leverage: dict[str, Any] = {"type": "cross", "value": position.leverage}
    if not position.is_cross:
        leverage = {"type": "isolated", "value": position.leverage, "rawUsd": position.raw_usd}
    return {
        "type": "oneWay",
        "position": {
            "coin": position.coin,
            "szi": position.size,
            "leverage": leverage,
            "entryPx": position.entry_price,
            "positionValue": position.value,
            "unrealizedPnl": position.unrealized_pnl,
            "returnOnEquity": position.return_on_equity,
            "liquidationPx": position.liquidation_price,
            "marginUsed": position.margin_used,
            "maxLeverage": position.max_leverage,
            "cumFunding": {
                "allTime": position.funding_all_time,
                "sinceOpen": position.funding_since_open,
                "sinceChange": position.funding_since_change,
            },
        },
    }


def _summary(value: str, notional: str, raw_usd: str, margin: str) -> dict[str, str]:
    return {"accountValue": value, "totalNtlPos": notional, "totalRawUsd": raw_usd, "totalMarginUsed": margin}


def state_row(account: VenueAccount | None, positions: Iterable[VenuePosition], time_ms: int) -> dict[str, Any]:
    """An account on one dex; one the venue does not know is empty."""
    if account is None:
        empty = _summary("0.0", "0.0", "0.0", "0.0")
        all_margin, cross, maintenance, withdrawable = empty, dict(empty), "0.0", "0.0"
    else:
        all_margin = _summary(account.account_value, account.notional, account.raw_usd, account.margin_used)
        cross = _summary(
            account.cross_account_value, account.cross_notional, account.cross_raw_usd, account.cross_margin_used
        )
        maintenance, withdrawable = account.cross_maintenance_margin, account.withdrawable
    return {
        "marginSummary": all_margin,
        "crossMarginSummary": cross,
        "crossMaintenanceMarginUsed": maintenance,
        "withdrawable": withdrawable,
        "assetPositions": [position_row(each) for each in positions],
        "time": time_ms,
    }


def funding_row(payment: VenueFunding) -> dict[str, Any]:
    """A funding payment."""
    return {
        "time": payment.time_ns // NS_PER_MS,
        "coin": payment.coin,
        "usdc": payment.amount,
        "szi": payment.position,
        "fundingRate": payment.rate,
        "nSamples": None,
    }


class RowMaker:
    """Rows that name accounts."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    def address(self, account: int) -> str:
        """Address of an account by number."""
        return self._addresses.of(account)

    def trade(self, trade: VenueTrade) -> dict[str, Any]:
        """A print; its side is the aggressor's."""
        return {
            "coin": trade.coin,
            "side": _SIDES[trade.aggressor],
            "px": trade.price,
            "sz": trade.size,
            "time": trade.time_ns // NS_PER_MS,
            "hash": trade.transaction,
            "tid": trade.trade_id,
            "users": [self._addresses.of(trade.buyer), self._addresses.of(trade.seller)],
        }

    def fill(self, fill: VenueFill) -> dict[str, Any]:
        """A fill; its side is what the account did."""
        row = {
            "coin": fill.coin,
            "px": fill.price,
            "sz": fill.size,
            "side": _SIDES[fill.side],
            "time": fill.time_ns // NS_PER_MS,
            "startPosition": fill.start_position,
            "dir": fill.direction,
            "closedPnl": fill.closed_pnl,
            "hash": fill.transaction,
            "oid": fill.order_id,
            "crossed": fill.crossed,
            "fee": fill.fee,
            "tid": fill.trade_id,
        }
        if fill.client_order_id is not None:
            row["cloid"] = fill.client_order_id
        if fill.liquidation is not None:
            account, mark, method = fill.liquidation
            row["liquidation"] = {
                "liquidatedUser": self._addresses.of(account),
                "markPx": mark,
                "method": method,
            }
        return row | {"feeToken": "USDC", "twapId": None}
