"""What Hyperliquid says, in its own words: websocket channels, answers to ``info`` and ``exchange`` requests.

Unknown fields are passed over. The venue sends money, prices and sizes as JSON strings; the decoders below make them
floats while they read, so numbers sent as numbers are taken too, and check their range on the way: what they let
through is finite. Times are milliseconds since 1970. ``None`` is a key that is absent or null, where the venue does
either. Fields without a use to a market maker (hashes of public trades, their users) are not read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Raw, Struct, field

Price: TypeAlias = Annotated[float, Meta(gt=0, le=1e12)]
Size: TypeAlias = Annotated[float, Meta(gt=0, le=1e15)]
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e18)]
Signed: TypeAlias = Annotated[float, Meta(ge=-1e18, le=1e18)]
Rate: TypeAlias = Annotated[float, Meta(ge=-1, le=1)]
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
Identity: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Index: TypeAlias = Annotated[int, Meta(ge=0, le=2**31)]
Coin: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Cloid: TypeAlias = Annotated[str, Meta(min_length=3, max_length=66)]
BookSide: TypeAlias = Literal["B", "A"]


# --- market data ------------------------------------------------------------------------------------------------


class Level(Struct, gc=False):
    """A price level; how many orders stand in it is not read."""

    px: Price
    sz: Size


class L2Book(Struct, gc=False):
    """A whole book, best first: bids, asks. `fast` has 5 levels a side, otherwise 20."""

    coin: Coin
    time: Millis
    levels: tuple[list[Level], list[Level]]
    fast: bool = False


class Bbo(Struct, gc=False):
    """Best bid and ask; None is an empty side, and so is one left out (seen in a capture of 2025)."""

    coin: Coin
    time: Millis
    bbo: Annotated[list[Level | None], Meta(max_length=2)]


class WsTrade(Struct, gc=False):
    """A print; `side` is the aggressor's, (time, coin, tid) names it."""

    coin: Coin
    side: BookSide
    px: Price
    sz: Size
    time: Millis
    tid: Identity


class AssetCtx(Struct, gc=False):
    """What the venue says of a perpetual. `funding` is the hourly rate expected at the coming settlement."""

    funding: Rate
    openInterest: Amount
    oraclePx: Price
    markPx: Price
    prevDayPx: Amount | None = None
    dayNtlVlm: Amount | None = None
    premium: Signed | None = None
    midPx: Price | None = None
    impactPxs: list[Price] | None = None
    dayBaseVlm: Amount | None = None


class ActiveAssetCtx(Struct, gc=False):
    """`AssetCtx` of a coin."""

    coin: Coin
    ctx: AssetCtx


class SpotAssetCtx(Struct, gc=False):
    """What the venue says of a spot pair."""

    markPx: Price
    prevDayPx: Amount | None = None
    dayNtlVlm: Amount | None = None
    midPx: Price | None = None
    circulatingSupply: Amount | None = None


class ActiveSpotAssetCtx(Struct, gc=False):
    """`SpotAssetCtx` of a coin."""

    coin: Coin
    ctx: SpotAssetCtx


class AllMids(Struct):
    """Mid prices of a dex; that of an empty book is the last trade's."""

    mids: dict[str, Amount]
    dex: str = ""


class AllDexsAssetCtxs(Struct):
    """Contexts by dex, in the order of its universe."""

    ctxs: list[tuple[str, list[AssetCtx]]]


class Candle(Struct):
    """A bar, `t` to `T`."""

    t: Millis
    T: Millis
    s: Coin
    i: str
    o: Price
    c: Price
    h: Price
    l: Price  # noqa: E741 - the venue's word
    v: Amount
    n: Annotated[int, Meta(ge=0)]


# --- our account ------------------------------------------------------------------------------------------------


class WsOrder(Struct):
    """An order of ours; `sz` is what is left, `origSz` what was asked for."""

    coin: Coin
    side: BookSide
    limitPx: Amount
    sz: Amount
    oid: Identity
    timestamp: Millis
    origSz: Amount | None = None
    cloid: Cloid | None = None
    reduceOnly: bool = False


class OrderUpdate(Struct):
    """An order, its status and since when; see `decode.order_status` for the statuses."""

    order: WsOrder
    status: Annotated[str, Meta(min_length=1)]
    statusTimestamp: Millis


class Liquidation(Struct):
    """Stands on both legs of a liquidation: compare `liquidatedUser`."""

    markPx: Price
    method: str
    liquidatedUser: str | None = None


class Fill(Struct):
    """A fill. `startPosition` is signed and before it; `fee` < 0 is a rebate; `closedPnl` is without fees.

    `px` may be 0 where an outcome settles.
    """

    coin: Coin
    px: Amount
    sz: Size
    side: BookSide
    time: Millis
    startPosition: Signed
    dir: str
    closedPnl: Signed
    oid: Identity
    crossed: bool
    fee: Signed
    tid: Identity
    hash: str = ""
    feeToken: str = "USDC"
    cloid: Cloid | None = None
    builderFee: Signed | None = None
    deployerFee: Signed | None = None
    liquidation: Liquidation | None = None
    twapId: int | None = None


class UserFills(Struct):
    """Fills, oldest first; the first message after the subscription is the snapshot."""

    user: str
    fills: list[Fill]
    isSnapshot: bool = False


class Funding(Struct):
    """A funding payment; `usdc` < 0 was paid by us."""

    time: Millis
    coin: Coin
    usdc: Signed
    szi: Signed
    fundingRate: Rate
    nSamples: int | None = None


class UserFundings(Struct):
    """Funding payments; the first message after the subscription is the snapshot."""

    user: str
    fundings: list[Funding]
    isSnapshot: bool = False


class NonUserCancel(Struct):
    """An order of ours that the venue canceled."""

    coin: Coin
    oid: Identity


class LiquidationEvent(Struct):
    """A liquidation that we were a party to."""

    lid: Identity
    liquidator: str
    liquidated_user: str
    liquidated_ntl_pos: Signed
    liquidated_account_value: Signed


class UserEvent(Struct):
    """One of its fields is set; TWAP events are passed over."""

    fills: list[Fill] | None = None
    funding: Funding | None = None
    liquidation: LiquidationEvent | None = None
    nonUserCancel: list[NonUserCancel] | None = None


class FrontendOrder(WsOrder):
    """An open order as the front end shows it; `tif` None and `isTrigger` mark a trigger order."""

    orderType: str | None = None
    tif: str | None = None
    isTrigger: bool = False
    triggerPx: Amount | None = None
    triggerCondition: str | None = None
    isPositionTpsl: bool = False
    children: list[Any] = field(default_factory=list)


class MarginSummary(Struct):
    """Sums over the positions of a dex, in its collateral."""

    accountValue: Signed
    totalNtlPos: Signed
    totalRawUsd: Signed
    totalMarginUsed: Signed


class Leverage(Struct):
    """Leverage of a position; `rawUsd` when isolated."""

    type: str
    value: Index
    rawUsd: Signed | None = None


class CumFunding(Struct):
    """Funding of a position, positive when paid."""

    allTime: Signed
    sinceOpen: Signed
    sinceChange: Signed


class Position(Struct):
    """A position; `szi` is signed."""

    coin: Coin
    szi: Signed
    leverage: Leverage
    entryPx: Price | None = None
    positionValue: Signed | None = None
    unrealizedPnl: Signed | None = None
    returnOnEquity: Signed | None = None
    liquidationPx: Signed | None = None
    marginUsed: Signed | None = None
    maxLeverage: Index | None = None
    cumFunding: CumFunding | None = None


class AssetPosition(Struct):
    """A position and its mode, always "oneWay"."""

    position: Position
    type: str = "oneWay"


class ClearinghouseState(Struct):
    """The account on one dex."""

    crossMarginSummary: MarginSummary
    withdrawable: Signed
    assetPositions: list[AssetPosition]
    time: Millis
    marginSummary: MarginSummary | None = None
    crossMaintenanceMarginUsed: Signed | None = None


class UserState(Struct):
    """`ClearinghouseState` as a channel."""

    user: str
    clearinghouseState: ClearinghouseState
    dex: str = ""


class OpenOrders(Struct):
    """Open orders as a channel."""

    user: str
    orders: list[FrontendOrder]
    dex: str = ""


class Notification(Struct):
    """Text for a human."""

    notification: str


# --- the socket's own -------------------------------------------------------------------------------------------


class Subscription(Struct, omit_defaults=True):
    """A subscription, as asked for or as acknowledged with the venue's defaults filled in."""

    type: Annotated[str, Meta(min_length=1)]
    coin: str | None = None
    user: str | None = None
    dex: str | None = None
    fast: bool | None = None
    interval: str | None = None


class SubscriptionResponse(Struct):
    """Acknowledges a subscription or its end."""

    method: Literal["subscribe", "unsubscribe"]
    subscription: Subscription


class PostResponse(Struct):
    """Payload of a post's answer: "info", "action", or "error" with a text that starts with an HTTP status."""

    type: Literal["info", "action", "error"]
    payload: Raw


class PostAnswer(Struct):
    """The answer to the post of that id."""

    id: Identity
    response: PostResponse


class InfoPayload(Struct):
    """What an info post answers; `data` may be null."""

    type: str
    data: Raw


def _channel(name: str, kind: Any) -> Any:
    """The frame of a channel: ``{"channel": name, "data": kind}``."""
    return type(
        f"{name}Frame",
        (Struct,),
        {"__annotations__": {"data": kind}, "__module__": __name__},
        tag_field="channel",
        tag=name,
        gc=False,
    )


class PongFrame(Struct, tag_field="channel", tag="pong"):
    """Answers a ping; it has no data."""

    data: None = None


CHANNELS: dict[str, type[Struct]] = {
    name: _channel(name, kind)
    for name, kind in (
        ("bbo", Bbo),
        ("l2Book", L2Book),
        ("trades", list[WsTrade]),
        ("activeAssetCtx", ActiveAssetCtx),
        ("activeSpotAssetCtx", ActiveSpotAssetCtx),
        ("allMids", AllMids),
        ("allDexsAssetCtxs", AllDexsAssetCtxs),
        ("candle", Candle),
        ("orderUpdates", list[OrderUpdate]),
        ("userFills", UserFills),
        ("userFundings", UserFundings),
        ("user", UserEvent),
        ("clearinghouseState", UserState),
        ("openOrders", OpenOrders),
        ("notification", Notification),
        ("post", PostAnswer),
        ("subscriptionResponse", SubscriptionResponse),
        ("error", str),
    )
} | {"pong": PongFrame}
"""Frame type by channel."""
