"""Answers about an account: ``info`` requests that name a user. An address the venue does not know has nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hypermm.exchange.loopback.decimals import decimal
from hypermm.exchange.loopback.records import AccountRecords, span
from hypermm.exchange.loopback.rows import NS_PER_MS, frontend_row, order_row, state_row, status_row
from hypermm.exchange.loopback.world import MAKER_FEE_BPS, TAKER_FEE_BPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypermm.exchange.loopback.requests import InfoRequest
    from hypermm.exchange.loopback.world import World

__all__ = ["ACCOUNT_ANSWERS", "active_asset_data", "deposits", "open_orders", "state"]

MAX_FILLS = 2000
MAX_ROWS = 500
_ZEROS = "0x" + "0" * 64
_INITIAL_CAP = 10_000
_CLOID = re.compile("0x[0-9a-f]{32}")
_ALL_DEXS = "ALL_DEXS"


# --- margin -----------------------------------------------------------------------------------------------------


def state(world: World, user: str, dex: str) -> dict[str, Any]:
    """The account on a dex."""
    number = world.accounts.get(user)
    if number is None:
        return state_row(None, [], world.block_ms)
    return state_row(world.venue.account(number, dex), world.venue.positions(number, dex), world.block_ms)


def active_asset_data(world: World, user: str, coin: str) -> dict[str, Any] | None:
    """What the account may trade of a contract: free margin times leverage, the same either way."""
    contract = world.listing.by_coin.get(coin)
    number = world.accounts.get(user)
    if contract is None:
        return None
    leverage: dict[str, Any] = {"type": "cross", "value": min(20, contract.max_leverage)}
    if contract.margin_mode != "cross":
        leverage = leverage | {"type": "isolated", "rawUsd": "0.0"}
    mark, free = world.context(contract)["markPx"], 0.0
    if number is not None and not contract.is_delisted:
        position = world.venue.position(number, coin)
        account = world.venue.account(number, contract.dex)
        leverage = {"type": "cross", "value": position.leverage}
        if not position.is_cross:
            leverage = {"type": "isolated", "value": position.leverage, "rawUsd": position.raw_usd}
        free = max(0.0, float(account.cross_account_value) - float(account.cross_margin_used))
    sizes = decimal(free * leverage["value"] / float(mark), contract.size_decimals)
    return {
        "user": user,
        "coin": coin,
        "leverage": leverage,
        "maxTradeSzs": [sizes, sizes],
        "availableToTrade": [decimal(free, 6)] * 2,
        "markPx": mark,
    }


def _spot_state(_world: World, _request: InfoRequest) -> dict[str, Any]:
    return {"balances": []}


# --- orders -----------------------------------------------------------------------------------------------------


def open_orders(world: World, user: str, dex: str) -> list[dict[str, Any]]:
    """Resting orders on a dex as the front end shows them, newest first."""
    return [frontend_row(order) for order in _resting(world, user, dex)]


def _resting(world: World, user: str, dex: str) -> list[Any]:
    number = world.accounts.get(user)
    orders = [] if number is None else world.venue.open_orders(number)
    if dex != _ALL_DEXS:
        world.dex(dex)
    return [order for order in orders if dex in (_ALL_DEXS, order.coin.rpartition(":")[0])]


def _open_orders(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    return [order_row(order) for order in _resting(world, request.user, request.dex or "")]


def _order_status(world: World, request: InfoRequest) -> dict[str, Any]:
    number = world.accounts.get(request.user)
    name = request.oid.lower() if isinstance(request.oid, str) else request.oid
    can_be = _CLOID.fullmatch(name) is not None if isinstance(name, str) else name < 2**64
    order = world.venue.order_status(number, name) if number is not None and can_be else None
    if order is None:
        return {"status": "unknownOid"}
    return {"status": "order", "order": status_row(order, frontend_row(order))}


def _historical_orders(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    number = world.accounts.get(request.user)
    orders = [] if number is None else world.venue.order_history(number)
    return [status_row(order, frontend_row(order)) for order in orders]


# --- fills and payments -----------------------------------------------------------------------------------------


def _records(world: World, request: InfoRequest) -> AccountRecords:
    return world.records.get(request.user) or AccountRecords()


def _user_fills(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    return list(_records(world, request).fills)[: -MAX_FILLS - 1 : -1]


def _user_fills_by_time(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    fills = span(_records(world, request).fills, request.startTime, request.endTime, MAX_FILLS)
    return fills[::-1] if request.reversed else fills


def _user_funding(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    rows = span(_records(world, request).fundings, request.startTime, request.endTime, MAX_ROWS)
    return [
        {
            "time": row["time"],
            "hash": _ZEROS,
            "delta": {"type": "funding"} | {key: value for key, value in row.items() if key != "time"},
        }
        for row in rows
    ]


def deposits(world: World, user: str) -> list[dict[str, Any]]:
    """The one deposit of an account."""
    account = world.settings_of.get(user)
    if account is None:
        return []
    delta = {"type": "deposit", "usdc": decimal(account.deposit_usd, 6)}
    return [{"time": world.start_ns // NS_PER_MS, "hash": _ZEROS, "delta": delta}]


# --- terms ------------------------------------------------------------------------------------------------------


def _user_rate_limit(world: World, request: InfoRequest) -> dict[str, Any]:
    number = world.accounts.get(request.user)
    if number is None:
        return {"cumVlm": "0.0", "nRequestsUsed": 0, "nRequestsCap": _INITIAL_CAP, "nRequestsSurplus": 0}
    requests = world.venue.requests(number)
    return {
        "cumVlm": requests.volume,
        "nRequestsUsed": requests.used,
        "nRequestsCap": requests.cap,
        "nRequestsSurplus": 0,
    }


def _user_fees(_world: World, _request: InfoRequest) -> dict[str, Any]:
    cross, add = decimal(TAKER_FEE_BPS * 1e-4, 8), decimal(MAKER_FEE_BPS * 1e-4, 8)
    tiers = [("5000000.0", "0.0004", "0.00012"), ("25000000.0", "0.00035", "0.00008")]
    return {
        "dailyUserVlm": [],
        "feeSchedule": {
            "cross": cross,
            "add": add,
            "spotCross": "0.0007",
            "spotAdd": "0.0004",
            "tiers": {
                "vip": [
                    {"ntlCutoff": cutoff, "cross": taker, "add": maker, "spotCross": "0.0006", "spotAdd": "0.0003"}
                    for cutoff, taker, maker in tiers
                ],
                "mm": [{"makerFractionCutoff": "0.005", "add": "-0.00001"}],
            },
            "referralDiscount": "0.04",
            "stakingDiscountTiers": [{"bpsOfMaxSupply": "0.0001", "discount": "0.05"}],
        },
        "userCrossRate": cross,
        "userAddRate": add,
        "userSpotCrossRate": "0.0007",
        "userSpotAddRate": "0.0004",
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialEscrow": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }


def _referral(_world: World, _request: InfoRequest) -> dict[str, Any]:
    return {
        "referredBy": None,
        "cumVlm": "0.0",
        "unclaimedRewards": "0.0",
        "claimedRewards": "0.0",
        "builderRewards": "0.0",
        "referrerState": {"stage": "needToTrade", "data": {"required": "10000.0"}},
        "rewardHistory": [],
    }


def _nothing(_world: World, _request: InfoRequest) -> list[Any]:
    return []


ACCOUNT_ANSWERS: dict[str, Callable[[World, InfoRequest], Any]] = {
    "clearinghouseState": lambda world, request: state(world, request.user, world.dex(request.dex)),
    "spotClearinghouseState": _spot_state,
    "openOrders": _open_orders,
    "frontendOpenOrders": lambda world, request: open_orders(world, request.user, request.dex or ""),
    "orderStatus": _order_status,
    "historicalOrders": _historical_orders,
    "userFills": _user_fills,
    "userFillsByTime": _user_fills_by_time,
    "userFunding": _user_funding,
    "userNonFundingLedgerUpdates": lambda world, request: deposits(world, request.user),
    "userRateLimit": _user_rate_limit,
    "userFees": _user_fees,
    "activeAssetData": lambda world, request: active_asset_data(world, request.user, request.coin),
    "subAccounts": lambda _world, _request: None,
    "maxBuilderFee": lambda _world, _request: 0,
    "userAbstraction": lambda _world, _request: "default",
    "referral": _referral,
    "delegations": _nothing,
    "userVaultEquities": _nothing,
    "userTwapSliceFills": _nothing,
}
"""By ``type`` of the request."""
