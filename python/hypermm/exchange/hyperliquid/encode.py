"""Orders and requests in the venue's words. Keys stand in the order the signature is made over: never sort them.

Prices and sizes come as exact integers (price units, lots) and are written without passing through floats.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from hypermm._core import Side
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.orders import CancelOrder, NewOrder, ReplaceOrder, TimeInForce

if TYPE_CHECKING:
    from hypermm.exchange.hyperliquid.assets import Asset

__all__ = [
    "MAX_BATCH",
    "PING",
    "Action",
    "ClientIds",
    "address",
    "batches",
    "cancel_actions",
    "decimal_text",
    "envelope",
    "info_request",
    "known_asset",
    "leverage_action",
    "order_actions",
    "post",
    "price_text",
    "replace_actions",
    "schedule_cancel_action",
    "size_text",
    "subscribe",
    "unsubscribe",
]

MAX_BATCH = 200
PING = b'{"method":"ping"}'
_PRICE_DECIMALS = 6
_SIGNIFICANT_FIGURES = 5
_MAX_UNITS = 10**18
_HEX = frozenset("0123456789abcdef")
_TIF = {
    TimeInForce.POST_ONLY: "Alo",
    TimeInForce.GOOD_TILL_CANCELED: "Gtc",
    TimeInForce.IMMEDIATE_OR_CANCEL: "Ioc",
}

Action = dict[str, Any]
Item = TypeVar("Item")


# --- numbers and names ------------------------------------------------------------------------------------------


def decimal_text(units: int, decimals: int) -> str:
    """`units`·10^−`decimals` in plain notation, without trailing zeros: (10010, 2) → "100.1", (0, 2) → "0"."""
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def price_text(price_units: int, asset: Asset) -> str:
    """A limit price as the venue takes it.

    Raises:
        InvalidInputError: It is not above 0, or neither an integer nor of at most 5 significant figures.
    """
    decimals = _PRICE_DECIMALS - asset.size_decimals
    _check_units("price_units", price_units, asset)
    if price_units % 10**decimals and len(str(price_units).rstrip("0")) > _SIGNIFICANT_FIGURES:
        raise InvalidInputError(
            field="price_units",
            value=f"{price_units} ({decimal_text(price_units, decimals)} {asset.coin})",
            expected=f"an integer price, or at most {_SIGNIFICANT_FIGURES} significant figures",
            hint="round with Instrument.round_price",
        )
    return decimal_text(price_units, decimals)


def size_text(lots: int, asset: Asset) -> str:
    """A size as the venue takes it.

    Raises:
        InvalidInputError: It is not above 0.
    """
    _check_units("lots", lots, asset)
    return decimal_text(lots, asset.size_decimals)


def _check_units(field: str, value: int, asset: Asset) -> None:
    if type(value) is not int or not 0 < value <= _MAX_UNITS:  # floats and flags of untyped callers
        raise InvalidInputError(field=field, value=value, expected=f"a whole number above 0 for {asset.coin}")


class ClientIds:
    """Names for our orders, 128 bits each: a session's number, then a counter. No name comes twice.

    Args:
        session: Number of the session, 64 bits, never used before for the account.
        first: The counter's first value.
    """

    def __init__(self, session: int, first: int = 1) -> None:
        for field, value in (("session", session), ("first", first)):
            if not 0 <= value < 1 << 64:
                raise InvalidInputError(field=field, value=value, expected="0 to 2^64 − 1")
        self._session = session
        self._next = first

    def __call__(self) -> str:
        """The next name.

        Raises:
            InvalidInputError: The counter is used up.
        """
        if self._next >= 1 << 64:
            raise InvalidInputError(field="counter", value=self._next, expected="at most 2^64 names a session")
        name = f"0x{self._session:016x}{self._next:016x}"
        self._next += 1
        return name

    def is_ours(self, client_id: str) -> bool:
        """True for a name this session gave."""
        head, counter = client_id[:18], client_id[18:]
        if head != f"0x{self._session:016x}" or len(counter) != 16:
            return False
        try:
            return int(counter, 16) < self._next
        except ValueError:
            return False


def _client_id(text: str) -> str:
    digits = text[2:]
    if not text.startswith("0x") or len(digits) != 32 or set(digits) - _HEX:
        raise InvalidInputError(field="client_id", value=text, expected="0x and 32 lowercase hexadecimal digits")
    return text


def known_asset(assets: Mapping[str, Asset], coin: str) -> Asset:
    """The asset of a coin.

    Raises:
        InvalidInputError: It is none of `assets`.
    """
    asset = assets.get(coin)
    if asset is None:
        raise InvalidInputError(field="coin", value=coin, expected=f"one of {', '.join(sorted(assets)) or 'none'}")
    return asset


def _order_id(order_id: str | int) -> str | int:
    """A name, or a number of any integer type, such as numpy's; JSON takes Python's alone."""
    if isinstance(order_id, str):
        return _client_id(order_id)
    try:
        number = operator.index(order_id)
    except TypeError:
        number = -1
    if isinstance(order_id, bool) or not 0 <= number < 1 << 64:
        raise InvalidInputError(
            field="order_id", value=order_id, expected="a name of ours, or a number from 0 to 2^64 − 1"
        )
    return number


# --- actions ----------------------------------------------------------------------------------------------------


def batches(items: Sequence[Item], size: int = MAX_BATCH) -> Iterator[Sequence[Item]]:
    """`items` in runs of at most `size`: the venue refuses a larger action whole."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _order(order: NewOrder, assets: Mapping[str, Asset]) -> Action:
    asset = known_asset(assets, order.coin)
    wire: Action = {
        "a": asset.asset_id,
        "b": order.side is Side.BUY,
        "p": price_text(order.price_units, asset),
        "s": size_text(order.lots, asset),
        "r": order.reduce_only,
        "t": {"limit": {"tif": _TIF[order.time_in_force]}},
    }
    if order.client_id is not None:
        wire["c"] = _client_id(order.client_id)
    return wire


def order_actions(orders: Sequence[NewOrder], assets: Mapping[str, Asset]) -> list[tuple[Action, list[int]]]:
    """Actions that place `orders`, each with the places of its items in `orders`.

    Post-only orders stand in actions of their own: one order of another kind would delay its whole batch.

    Args:
        orders: What to place.
        assets: Asset by coin.

    Raises:
        InvalidInputError: A price, size or name is not legal; nothing was built.
    """
    wires = [_order(order, assets) for order in orders]
    post_only = [i for i, order in enumerate(orders) if order.time_in_force is TimeInForce.POST_ONLY]
    others = [i for i, order in enumerate(orders) if order.time_in_force is not TimeInForce.POST_ONLY]
    return [
        ({"type": "order", "orders": [wires[i] for i in run], "grouping": "na"}, list(run))
        for group in (post_only, others)
        for run in batches(group)
    ]


def cancel_actions(
    cancels: Sequence[CancelOrder], assets: Mapping[str, Asset], *, fast: bool = True
) -> list[tuple[Action, list[int]]]:
    """Cancels, by number and by name in actions of their own, each with the places of its items in `cancels`.

    Args:
        cancels: What to cancel.
        assets: Asset by coin.
        fast: Before orders that take; the venue refuses it for trigger orders.

    Raises:
        InvalidInputError: An unknown coin, or neither a name nor a number; nothing was built.
    """
    ids = [_order_id(cancel.order_id) for cancel in cancels]
    numbers = [known_asset(assets, cancel.coin).asset_id for cancel in cancels]
    by_number = [i for i, order_id in enumerate(ids) if isinstance(order_id, int)]
    by_name = [i for i, order_id in enumerate(ids) if isinstance(order_id, str)]
    # It must be left out where it is false.
    mark = {"f": True} if fast else {}
    actions: list[tuple[Action, list[int]]] = []
    for run in batches(by_number):
        rows = [{"a": numbers[i], "o": ids[i]} for i in run]
        actions.append(({"type": "cancel", "cancels": rows} | mark, list(run)))
    for run in batches(by_name):
        named = [{"asset": numbers[i], "cloid": ids[i]} for i in run]
        actions.append(({"type": "cancelByCloid", "cancels": named} | mark, list(run)))
    return actions


def replace_actions(
    replacements: Sequence[ReplaceOrder], assets: Mapping[str, Asset]
) -> list[tuple[Action, list[int]]]:
    """Batch modifies, each with the places of its items in `replacements`. Only post-only orders replace.

    Raises:
        InvalidInputError: A replacement is not post only, or is to bear the name of the order it replaces.
    """
    wires = []
    for replacement in replacements:
        order, target = replacement.order, replacement.order_id
        if order.time_in_force is not TimeInForce.POST_ONLY:
            raise InvalidInputError(field="time_in_force", value=order.time_in_force.value, expected="post_only")
        if order.client_id == target:
            raise InvalidInputError(field="client_id", value=target, expected="a name of its own for the new order")
        wires.append({"oid": _order_id(target), "order": _order(order, assets)})
    places = range(len(wires))
    return [({"type": "batchModify", "modifies": [wires[i] for i in run]}, list(run)) for run in batches(places)]


def schedule_cancel_action(time_ms: int | None) -> Action:
    """Cancels everything of ours at `time_ms` (at least 5 s ahead) unless put off; None takes it back."""
    return {"type": "scheduleCancel"} if time_ms is None else {"type": "scheduleCancel", "time": time_ms}


def leverage_action(asset: Asset, leverage: int, *, is_cross: bool) -> Action:
    """Sets the leverage of an asset.

    Raises:
        InvalidInputError: More than the venue grants, or cross where it grants none.
    """
    if not 1 <= leverage <= asset.max_leverage:
        raise InvalidInputError(field="leverage", value=leverage, expected=f"1 to {asset.max_leverage}")
    if is_cross and asset.margin_mode != "cross":
        raise InvalidInputError(field="is_cross", value=is_cross, expected=f"False: {asset.coin} is isolated only")
    return {"type": "updateLeverage", "asset": asset.asset_id, "isCross": is_cross, "leverage": leverage}


def envelope(
    action: Action,
    nonce: int,
    signature: Mapping[str, Any],
    *,
    vault_address: str | None = None,
    expires_after_ms: int | None = None,
) -> Action:
    """A signed action, as HTTP body and as payload of a post."""
    body: Action = {"action": action, "nonce": nonce, "signature": dict(signature)}
    if vault_address is not None:
        body["vaultAddress"] = address(vault_address)
    if expires_after_ms is not None:
        body["expiresAfter"] = expires_after_ms
    return body


# --- requests ---------------------------------------------------------------------------------------------------


def info_request(kind: str, **fields: Any) -> Action:
    """Body of an ``info`` request; fields that are None are left out."""
    return {"type": kind} | {name: value for name, value in fields.items() if value is not None}


def post(request_id: int, kind: str, payload: Action | msgspec.Raw) -> bytes:
    """A frame that carries a request, "info" or "action"; the answer has the same id."""
    return msgspec.json.encode({"method": "post", "id": request_id, "request": {"type": kind, "payload": payload}})


def subscribe(kind: str, **fields: Any) -> bytes:
    """A frame that asks for a channel."""
    return msgspec.json.encode({"method": "subscribe", "subscription": info_request(kind, **fields)})


def unsubscribe(kind: str, **fields: Any) -> bytes:
    """A frame that ends a channel."""
    return msgspec.json.encode({"method": "unsubscribe", "subscription": info_request(kind, **fields)})


def address(text: str) -> str:
    """An address in lowercase, as signatures need it.

    Raises:
        InvalidInputError: It is not 0x and 40 hexadecimal digits.
    """
    lowered = text.lower()
    if not lowered.startswith("0x") or len(lowered) != 42 or set(lowered[2:]) - _HEX:
        raise InvalidInputError(field="address", value=text, expected="0x and 40 hexadecimal digits")
    return lowered
