"""Answers about markets: ``info`` requests that name no user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypermm.exchange.loopback.feed import book_row
from hypermm.exchange.loopback.records import span
from hypermm.exchange.loopback.subscriptions import INTERVALS_MS
from hypermm.exchange.loopback.world import ServerFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypermm.exchange.loopback.requests import InfoRequest
    from hypermm.exchange.loopback.world import World

__all__ = ["MARKET_ANSWERS"]

MAX_ROWS = 500
MAX_CANDLES = 5000
HOUR_MS = 3_600_000


def _meta_and_contexts(world: World, request: InfoRequest) -> list[Any]:
    dex = world.dex(request.dex)
    return [world.listing.meta(dex), world.contexts(dex)]


def _l2_book(world: World, request: InfoRequest) -> dict[str, Any] | None:
    figures, mantissa = request.nSigFigs, request.mantissa
    if (figures is not None and not 2 <= figures <= 5) or (
        mantissa is not None and (figures != 5 or mantissa not in (1, 2, 5))
    ):
        raise ServerFault
    if request.coin not in world.listing.by_coin:
        return None
    return book_row(world, request.coin, figures=figures, mantissa=mantissa)


def _recent_trades(world: World, request: InfoRequest) -> list[dict[str, Any]] | None:
    tape = world.tapes.get(request.coin)
    return None if tape is None else list(tape.rows)[::-1]


def _candles(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    asked = request.req
    tape = world.tapes.get(asked.coin)
    if tape is None or asked.interval not in INTERVALS_MS:
        raise ServerFault
    bars = tape.bars(asked.interval, asked.startTime, world.block_ms if asked.endTime is None else asked.endTime)
    return [bar.row(asked.coin, asked.interval) for bar in bars[-MAX_CANDLES:]]


def _funding_history(world: World, request: InfoRequest) -> list[dict[str, Any]]:
    rows = world.settlements.get(request.coin)
    if rows is None:
        raise ServerFault
    return span(rows, request.startTime, request.endTime, MAX_ROWS)


def _predicted_fundings(world: World, _request: InfoRequest) -> list[Any]:
    """Of the first dex; the time named is that of the settlement past, as seen on the venue."""
    past_ms = world.block_ms - world.block_ms % HOUR_MS
    return [
        [
            contract.coin,
            [
                ["BinPerp", None],
                [
                    "HlPerp",
                    {
                        "fundingRate": world.context(contract)["funding"],
                        "nextFundingTime": past_ms,
                        "fundingIntervalHours": 1,
                    },
                ],
                ["BybitPerp", None],
            ],
        ]
        for contract in world.listing.universe[""]
        if not contract.is_delisted
    ]


def _margin_table(world: World, request: InfoRequest) -> dict[str, Any]:
    if request.id not in {contract.max_leverage for contract in world.listing.by_coin.values()}:
        raise ServerFault
    return {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": request.id}]}


MARKET_ANSWERS: dict[str, Callable[[World, InfoRequest], Any]] = {
    "meta": lambda world, request: world.listing.meta(world.dex(request.dex)),
    "metaAndAssetCtxs": _meta_and_contexts,
    "allPerpMetas": lambda world, _: [world.listing.meta(dex) for dex in world.listing.dexes],
    "perpDexs": lambda world, _: world.listing.perp_dexs(),
    "spotMeta": lambda world, _: world.listing.spot_meta(),
    "spotMetaAndAssetCtxs": lambda world, _: [world.listing.spot_meta(), []],
    "allMids": lambda world, request: world.mids(world.dex(request.dex)),
    "l2Book": _l2_book,
    "recentTrades": _recent_trades,
    "candleSnapshot": _candles,
    "fundingHistory": _funding_history,
    "predictedFundings": _predicted_fundings,
    "perpsAtOpenInterestCap": lambda _world, _request: [],
    "marginTable": _margin_table,
    "exchangeStatus": lambda world, _: {"specialStatuses": None, "time": world.block_ms},
}
"""By ``type`` of the request."""
