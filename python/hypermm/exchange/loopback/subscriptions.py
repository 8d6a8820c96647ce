"""What a socket may say, as the venue reads it: subscriptions with their defaults, posts, pings.

A subscription is a frozen struct: parsed, compared, used as a key, and written back as its acknowledgement, defaults
filled in. Names of fields are the venue's.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

__all__ = [
    "INTERVALS_MS",
    "ActiveAssetCtx",
    "ActiveAssetData",
    "AllDexsAssetCtxs",
    "AllMids",
    "Bbo",
    "Candle",
    "ClearinghouseState",
    "L2Book",
    "LedgerUpdates",
    "Message",
    "Notification",
    "OpenOrders",
    "OrderUpdates",
    "Subscription",
    "Trades",
    "UserEvents",
    "UserFills",
    "UserFundings",
    "is_fatal",
    "read_message",
    "spelled_out",
]

Address: TypeAlias = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")]
PostId: TypeAlias = Annotated[int, Meta(ge=0)]

INTERVALS_MS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}
"""Lengths of candles; the venue also has 3d, 1w and 1M."""


class _Base(Struct, frozen=True, tag_field="type"):
    """`channel` is what its frames are named after."""

    channel: ClassVar[str] = ""


class L2Book(_Base, frozen=True, tag="l2Book"):
    """Books: 20 levels a side every 5 s, or with `fast` 5 levels every 0.54 s."""

    channel: ClassVar[str] = "l2Book"
    coin: str
    nSigFigs: int | None = None
    mantissa: int | None = None
    fast: bool | None = False


class Bbo(_Base, frozen=True, tag="bbo"):
    """Best bid and offer, when changed."""

    channel: ClassVar[str] = "bbo"
    coin: str


class Trades(_Base, frozen=True, tag="trades"):
    """Prints."""

    channel: ClassVar[str] = "trades"
    coin: str


class ActiveAssetCtx(_Base, frozen=True, tag="activeAssetCtx"):
    """Context of a contract."""

    channel: ClassVar[str] = "activeAssetCtx"
    coin: str


class AllMids(_Base, frozen=True, tag="allMids"):
    """Mids of a dex."""

    channel: ClassVar[str] = "allMids"
    dex: str | None = None


class AllDexsAssetCtxs(_Base, frozen=True, tag="allDexsAssetCtxs"):
    """Contexts of all dexes, by place."""

    channel: ClassVar[str] = "allDexsAssetCtxs"


class Candle(_Base, frozen=True, tag="candle"):
    """The candle that is forming."""

    channel: ClassVar[str] = "candle"
    coin: str
    interval: str


class OrderUpdates(_Base, frozen=True, tag="orderUpdates"):
    """Orders of an account."""

    channel: ClassVar[str] = "orderUpdates"
    user: Address


class UserEvents(_Base, frozen=True, tag="userEvents"):
    """Fills, funding, liquidations and cancels by the venue, one kind a frame."""

    channel: ClassVar[str] = "user"
    user: Address


class UserFills(_Base, frozen=True, tag="userFills"):
    """Fills."""

    channel: ClassVar[str] = "userFills"
    user: Address
    aggregateByTime: bool | None = False


class UserFundings(_Base, frozen=True, tag="userFundings"):
    """Funding payments."""

    channel: ClassVar[str] = "userFundings"
    user: Address


class LedgerUpdates(_Base, frozen=True, tag="userNonFundingLedgerUpdates"):
    """Deposits and transfers; the first deposit is all there is here."""

    channel: ClassVar[str] = "userNonFundingLedgerUpdates"
    user: Address


class ClearinghouseState(_Base, frozen=True, tag="clearinghouseState"):
    """The account on a dex."""

    channel: ClassVar[str] = "clearinghouseState"
    user: Address
    dex: str | None = None


class OpenOrders(_Base, frozen=True, tag="openOrders"):
    """Open orders on a dex."""

    channel: ClassVar[str] = "openOrders"
    user: Address
    dex: str | None = None


class ActiveAssetData(_Base, frozen=True, tag="activeAssetData"):
    """What an account may trade of a contract."""

    channel: ClassVar[str] = "activeAssetData"
    user: Address
    coin: str


class Notification(_Base, frozen=True, tag="notification"):
    """Texts for a human."""

    channel: ClassVar[str] = "notification"
    user: Address


Subscription: TypeAlias = (
    L2Book
    | Bbo
    | Trades
    | ActiveAssetCtx
    | AllMids
    | AllDexsAssetCtxs
    | Candle
    | OrderUpdates
    | UserEvents
    | UserFills
    | UserFundings
    | LedgerUpdates
    | ClearinghouseState
    | OpenOrders
    | ActiveAssetData
    | Notification
)


class PostRequest(Struct):
    """What is posted: the body of an HTTP request."""

    type: Literal["info", "action"]
    payload: Raw


class Message(Struct):
    """A frame from a client."""

    method: Literal["subscribe", "unsubscribe", "ping", "post"]
    subscription: Subscription | UnsetType = UNSET
    id: PostId | UnsetType = UNSET
    request: PostRequest | UnsetType = UNSET


_messages = msgspec.json.Decoder(Message)


def read_message(frame: bytes | str) -> Message | None:
    """Reads a frame; None is what the venue calls no valid websocket request."""
    try:
        message = _messages.decode(frame)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if message.method in ("subscribe", "unsubscribe") and message.subscription is UNSET:
        return None
    if message.method == "post" and (message.id is UNSET or message.request is UNSET):
        return None
    if not isinstance(message.subscription, UnsetType):
        message.subscription = _plain(message.subscription)
    return message


def _plain(subscription: Subscription) -> Subscription:
    """Addresses in lowercase, flags that are null as false: two ways to say one thing are one subscription."""
    changes: dict[str, Any] = {}
    user = getattr(subscription, "user", None)
    if user is not None:
        changes["user"] = user.lower()
    for flag in ("fast", "aggregateByTime"):
        if getattr(subscription, flag, False) is None:
            changes[flag] = False
    return msgspec.structs.replace(subscription, **changes) if changes else subscription


def spelled_out(subscription: Subscription) -> dict[str, Any]:
    """As the venue says it back."""
    said: dict[str, Any] = msgspec.to_builtins(subscription)
    return said


def is_fatal(subscription: Subscription, coins: frozenset[str]) -> bool:
    """The venue drops the socket without a word: the coin is unknown, or the book cannot be shown so."""
    coin = getattr(subscription, "coin", None)
    if coin is not None and coin not in coins:
        return True
    if not isinstance(subscription, L2Book):
        return False
    figures, mantissa = subscription.nSigFigs, subscription.mantissa
    if figures is not None and not 2 <= figures <= 5:
        return True
    return mantissa is not None and (figures != 5 or mantissa not in (1, 2, 5))
