"""Requests for information, as the venue reads them: unknown types and missing fields are no request at all."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

__all__ = ["InfoRequest", "read_info"]

Address: TypeAlias = Annotated[str, Meta(pattern="^0x[0-9a-fA-F]{40}$")]
Millis: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class _Base(Struct, tag_field="type"):
    @property
    def kind(self) -> str:
        """The type's name."""
        return str(self.__struct_config__.tag)


class _OfDex(_Base):
    dex: str | None = None


class _OfUser(_Base):
    user: Address


class _OfUserAndDex(_Base):
    user: Address
    dex: str | None = None


class _OfUserSince(_Base):
    user: Address
    startTime: Millis | None = None
    endTime: Millis | None = None


class OrderStatus(_Base, tag="orderStatus"):
    """`oid` is the venue's number or the account's own name."""

    user: Address
    oid: Annotated[int, Meta(ge=0)] | str


class UserFills(_Base, tag="userFills"):
    """Newest first."""

    user: Address
    aggregateByTime: bool | None = None


class UserFillsByTime(_Base, tag="userFillsByTime"):
    """Oldest first unless reversed; both ends included."""

    user: Address
    startTime: Millis
    endTime: Millis | None = None
    aggregateByTime: bool | None = None
    reversed: bool | None = None


class L2Book(_Base, tag="l2Book"):
    """A book, perhaps in buckets."""

    coin: str
    nSigFigs: int | None = None
    mantissa: int | None = None


class RecentTrades(_Base, tag="recentTrades"):
    """Newest first."""

    coin: str


class CandleSpan(Struct):
    """What of which candles."""

    coin: str
    interval: str
    startTime: Millis
    endTime: Millis | None = None


class CandleSnapshot(_Base, tag="candleSnapshot"):
    """Oldest first."""

    req: CandleSpan


class FundingHistory(_Base, tag="fundingHistory"):
    """Rates charged."""

    coin: str
    startTime: Millis
    endTime: Millis | None = None


class ActiveAssetData(_Base, tag="activeAssetData"):
    """What an account may trade."""

    user: Address
    coin: str


class MaxBuilderFee(_Base, tag="maxBuilderFee"):
    """What an account lets a builder charge."""

    user: Address
    builder: Address


class MarginTable(_Base, tag="marginTable"):
    """One table."""

    id: int


_TYPE_ONLY = (
    "allPerpMetas",
    "perpDexs",
    "spotMeta",
    "spotMetaAndAssetCtxs",
    "predictedFundings",
    "exchangeStatus",
)
_OF_DEX = ("meta", "metaAndAssetCtxs", "allMids", "perpsAtOpenInterestCap")
_OF_USER = (
    "spotClearinghouseState",
    "historicalOrders",
    "userRateLimit",
    "userFees",
    "userRole",
    "extraAgents",
    "subAccounts",
    "userAbstraction",
    "referral",
    "delegations",
    "userVaultEquities",
    "userTwapSliceFills",
)
_OF_USER_AND_DEX = ("clearinghouseState", "openOrders", "frontendOpenOrders")
_OF_USER_SINCE = ("userFunding", "userNonFundingLedgerUpdates")

InfoRequest: TypeAlias = Any
"""One of the structs below; `kind` names it, its other fields are the venue's."""


def _kinds(names: tuple[str, ...], base: type[Struct]) -> list[type[Struct]]:
    return [msgspec.defstruct(name, [], bases=(base,), tag_field="type", tag=name) for name in names]


_TYPES: list[type[Struct]] = [
    OrderStatus,
    UserFills,
    UserFillsByTime,
    L2Book,
    RecentTrades,
    CandleSnapshot,
    FundingHistory,
    ActiveAssetData,
    MaxBuilderFee,
    MarginTable,
    *_kinds(_TYPE_ONLY, _Base),
    *_kinds(_OF_DEX, _OfDex),
    *_kinds(_OF_USER, _OfUser),
    *_kinds(_OF_USER_AND_DEX, _OfUserAndDex),
    *_kinds(_OF_USER_SINCE, _OfUserSince),
]
_union: Any = _TYPES[0]
for _each in _TYPES[1:]:
    _union = _union | _each
_requests = msgspec.json.Decoder(_union)


def read_info(body: bytes) -> InfoRequest:
    """Reads the body of an ``info`` request; addresses come out in lowercase.

    Raises:
        msgspec.ValidationError: Unknown type, or a field is missing or of the wrong type.
        msgspec.DecodeError: No JSON.
    """
    request = _requests.decode(body)
    user = getattr(request, "user", None)
    if user is not None:
        request.user = user.lower()
    return request
