"""What Hyperliquid answers to ``info`` and ``exchange`` requests, in its own words; see `wire` for the conventions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct, field

from hypermm.exchange.hyperliquid.wire import (
    Amount,
    AssetCtx,
    ClearinghouseState,
    Coin,
    Fill,
    FrontendOrder,
    Funding,
    Identity,
    Index,
    L2Book,
    Leverage,
    Millis,
    Price,
    Rate,
    Signed,
    Size,
    WsOrder,
    WsTrade,
)

# --- the universe -----------------------------------------------------------------------------------------------


class PerpAsset(Struct):
    """A perpetual; its place in the universe is its index, delisted ones included."""

    name: Coin
    szDecimals: Annotated[int, Meta(ge=0, le=6)]
    maxLeverage: Annotated[int, Meta(ge=1, le=1000)]
    marginTableId: Index | None = None
    isDelisted: bool | None = None
    onlyIsolated: bool | None = None
    marginMode: str | None = None
    growthMode: str | None = None
    deployerFeeScale: Amount | None = None


class MarginTier(Struct):
    """From this notional up, this leverage."""

    lowerBound: Amount
    maxLeverage: Annotated[int, Meta(ge=1)]


class MarginTable(Struct):
    """Tiers of leverage by notional."""

    marginTiers: list[MarginTier]
    description: str = ""


class PerpMeta(Struct):
    """The perpetuals of one dex. `collateralToken` is an index of spot tokens."""

    universe: list[PerpAsset]
    marginTables: list[tuple[Index, MarginTable]] = field(default_factory=list)
    collateralToken: Index = 0


class PerpDex(Struct):
    """A builder dex; its place in `perpDexs` is its index, the first place is null."""

    name: Annotated[str, Meta(min_length=1)]
    fullName: str = ""
    deployerFeeScale: Amount | None = None
    assetToFundingMultiplier: list[tuple[str, Signed]] = field(default_factory=list)


class SpotToken(Struct):
    """A spot token."""

    name: str
    index: Index
    szDecimals: Annotated[int, Meta(ge=0)]
    weiDecimals: Annotated[int, Meta(ge=0)]


class SpotPair(Struct):
    """A spot pair: base and quote token by index."""

    name: str
    tokens: tuple[Index, Index]
    index: Index


class SpotMeta(Struct):
    """Spot tokens and pairs; use their `index`, not their place."""

    tokens: list[SpotToken]
    universe: list[SpotPair]


# --- our account ------------------------------------------------------------------------------------------------


class StatusRow(Struct):
    """An order with its status and since when."""

    order: FrontendOrder
    status: Annotated[str, Meta(min_length=1)]
    statusTimestamp: Millis


class OrderStatusAnswer(Struct):
    """Either "order" with the row, or "unknownOid"."""

    status: Literal["order", "unknownOid"]
    order: StatusRow | None = None


class UserRateLimit(Struct):
    """Requests used and granted since inception; the cap is 10,000 + traded USDC + reserved ones."""

    cumVlm: Amount
    nRequestsUsed: Annotated[int, Meta(ge=0)]
    nRequestsCap: Annotated[int, Meta(ge=0)]
    nRequestsSurplus: Annotated[int, Meta(ge=0)] = 0


class UserFees(Struct):
    """Fee rates as fractions, staking discount and tier included, referral discount not; < 0 is a rebate."""

    userCrossRate: Rate
    userAddRate: Rate
    activeReferralDiscount: Rate = 0.0
    userSpotCrossRate: Rate | None = None
    userSpotAddRate: Rate | None = None


class FundingRow(Struct):
    """A past hour's rate, as charged."""

    coin: Coin
    fundingRate: Rate
    time: Millis
    premium: Signed | None = None


class FundingDelta(Struct):
    """The payment of a `UserFundingRow`."""

    coin: Coin
    usdc: Signed
    szi: Signed
    fundingRate: Rate
    nSamples: int | None = None


class UserFundingRow(Struct):
    """A payment of ours in the ledger."""

    time: Millis
    delta: FundingDelta

    def payment(self) -> Funding:
        """The same payment as the channel says it."""
        delta = self.delta
        return Funding(self.time, delta.coin, delta.usdc, delta.szi, delta.fundingRate, delta.nSamples)


class ActiveAssetData(Struct):
    """What we may trade of a coin; pairs are (buy, sell)."""

    user: str
    coin: Coin
    leverage: Leverage
    maxTradeSzs: tuple[Amount, Amount]
    availableToTrade: tuple[Amount, Amount]
    markPx: Price | None = None


class ExchangeStatus(Struct):
    """The venue's clock and, when something is up, what."""

    time: Millis
    specialStatuses: Any = None


class RoleData(Struct):
    """Master of an agent (`user`) or of a sub-account (`master`)."""

    user: str | None = None
    master: str | None = None


class UserRole(Struct):
    """What an address is: "user", "missing", "vault", "agent" or "subAccount"."""

    role: str
    data: RoleData | None = None


class ExtraAgent(Struct):
    """A named agent and until when it may sign, ms."""

    address: str
    name: str
    validUntil: Millis | None = None


class SpotBalance(Struct):
    """A spot balance; outcome tokens have no `token`."""

    coin: Coin
    total: Signed
    hold: Signed
    token: Index | None = None
    entryNtl: Signed | None = None


class SpotClearinghouseState(Struct):
    """Spot balances."""

    balances: list[SpotBalance]


INFO: dict[str, Any] = {
    "meta": PerpMeta,
    "allPerpMetas": list[PerpMeta],
    "metaAndAssetCtxs": tuple[PerpMeta, list[AssetCtx]],
    "perpDexs": list[PerpDex | None],
    "spotMeta": SpotMeta,
    "allMids": dict[str, Amount],
    "l2Book": L2Book | None,
    "recentTrades": list[WsTrade],
    "clearinghouseState": ClearinghouseState,
    "spotClearinghouseState": SpotClearinghouseState,
    "openOrders": list[WsOrder],
    "frontendOpenOrders": list[FrontendOrder],
    "orderStatus": OrderStatusAnswer,
    "historicalOrders": list[StatusRow],
    "userFills": list[Fill],
    "userFillsByTime": list[Fill],
    "userRateLimit": UserRateLimit,
    "userFees": UserFees,
    "fundingHistory": list[FundingRow],
    "userFunding": list[UserFundingRow],
    "activeAssetData": ActiveAssetData,
    "exchangeStatus": ExchangeStatus,
    "userRole": UserRole,
    "extraAgents": list[ExtraAgent],
}
"""Type of the answer by ``type`` of the request."""


# --- exchange ---------------------------------------------------------------------------------------------------


class Resting(Struct):
    """The order stands in the book."""

    oid: Identity
    cloid: str | None = None


class Filled(Struct):
    """Traded on arrival; what a Gtc did not trade rests under the same oid."""

    totalSz: Size
    avgPx: Price
    oid: Identity
    cloid: str | None = None


class StatusEntry(Struct):
    """What became of one order, cancel or modify of a batch; one field is set."""

    resting: Resting | None = None
    filled: Filled | None = None
    error: str | None = None


class Statuses(Struct):
    """One for each item, or a single error for all of them."""

    statuses: list[str | StatusEntry]


class ActionResponse(Struct):
    """What an accepted action answers; `data` only for orders, cancels and batch modifies."""

    type: str
    data: Statuses | None = None


class ExchangeAnswer(Struct):
    """Either "ok" with an `ActionResponse`, or "err" with a text."""

    status: Literal["ok", "err"]
    response: Raw
