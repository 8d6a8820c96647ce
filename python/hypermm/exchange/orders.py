"""Orders on their way to a venue and what came back, in exact units: price units and lots of the instrument.

One price unit is 10^−(6 − size_decimals) quote currency, one lot 10^−size_decimals contracts, so that a price unit
times a lot is one micro dollar for every instrument.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from hypermm._core import Side  # noqa: TC001 - msgspec reads annotations at run time

__all__ = ["CancelOrder", "NewOrder", "OrderOutcome", "OutcomeKind", "Refusal", "ReplaceOrder", "TimeInForce"]


class TimeInForce(enum.Enum):
    """How long an order stands, and whether it may take liquidity."""

    POST_ONLY = "post_only"
    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"


class NewOrder(Struct, frozen=True):
    """An order to be placed.

    Attributes:
        coin: Venue symbol.
        side: BUY or SELL.
        price_units: Limit price, price units, above 0.
        lots: Size, lots, above 0.
        client_id: Our name for it; given once, never again.
        time_in_force: Post only unless told otherwise.
        reduce_only: It may only bring the position nearer to 0.
    """

    coin: str
    side: Side
    price_units: int
    lots: int
    client_id: str | None = None
    time_in_force: TimeInForce = TimeInForce.POST_ONLY
    reduce_only: bool = False


class CancelOrder(Struct, frozen=True):
    """An order to be canceled, by our name (text) or the venue's number."""

    coin: str
    order_id: str | int


class ReplaceOrder(Struct, frozen=True):
    """Cancel one and place another in one go. The new one needs a name of its own: the venue tells the legs by it."""

    order_id: str | int
    order: NewOrder


class OutcomeKind(enum.Enum):
    """What the venue did with one item of a batch."""

    RESTING = "resting"
    FILLED = "filled"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Refusal(enum.Enum):
    """Why a venue refused, as far as it matters to what is done next."""

    WOULD_CROSS = "would_cross"
    ORDER_GONE = "order_gone"
    BAD_PRICE = "bad_price"
    BAD_SIZE = "bad_size"
    MIN_NOTIONAL = "min_notional"
    MARGIN = "margin"
    REDUCE_ONLY = "reduce_only"
    POSITION_LIMIT = "position_limit"
    OPEN_INTEREST = "open_interest"
    NO_LIQUIDITY = "no_liquidity"
    TOO_MANY_ORDERS = "too_many_orders"
    HALTED = "halted"
    RATE_LIMIT = "rate_limit"
    BATCH_TOO_LARGE = "batch_too_large"
    EXPIRED = "expired"
    NONCE = "nonce"
    SIGNER = "signer"
    UNFUNDED = "unfunded"
    OTHER = "other"


class OrderOutcome(Struct, frozen=True):
    """What became of one item of a batch.

    Attributes:
        kind: RESTING and FILLED for orders, ACCEPTED for cancels and the like, REFUSED.
        venue_id: The venue's number of the order; None where it tells none.
        filled_size: Contracts traded on arrival; the rest of a good-till-canceled order rests.
        average_price: Mean price of them; None without.
        refusal: Why, when REFUSED.
        text: The venue's own words, when REFUSED.
        hint: What to do about it; "" where there is nothing to say.
    """

    kind: OutcomeKind
    venue_id: int | None = None
    filled_size: float = 0.0
    average_price: float | None = None
    refusal: Refusal | None = None
    text: str = ""
    hint: str = ""
