"""Answers to requests: ``info`` payloads by kind, and what became of each item of an action."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from hypermm.exceptions import WireError
from hypermm.exchange.hyperliquid import wire, wire_info
from hypermm.exchange.hyperliquid.decode import UNREADABLE, translate
from hypermm.exchange.orders import OrderOutcome, OutcomeKind, Refusal

__all__ = ["OwnAnswer", "classify", "read_info", "read_outcomes", "read_own", "refused", "unwrap_post"]

_INFO = {kind: msgspec.json.Decoder(type_, strict=False) for kind, type_ in wire_info.INFO.items()}
_info_payload = msgspec.json.Decoder(wire.InfoPayload)
_answer = msgspec.json.Decoder(wire_info.ExchangeAnswer)
_response = msgspec.json.Decoder(wire_info.ActionResponse, strict=False)


def _decode(decoder: Any, payload: bytes | str | msgspec.Raw, channel: str) -> Any:
    data = bytes(payload) if isinstance(payload, msgspec.Raw) else payload
    try:
        return decoder.decode(data)
    except UNREADABLE as error:
        raise translate(error, data, channel) from error


def read_info(kind: str, payload: bytes | str | msgspec.Raw) -> Any:
    """Reads the answer to an ``info`` request.

    Args:
        kind: The request's ``type``, one of `wire_info.INFO`.
        payload: Body of the HTTP answer.

    Raises:
        WireError: It is not what the venue answers to such a request.
    """
    decoder = _INFO.get(kind)
    if decoder is None:
        raise WireError(channel="info", field="type", value=kind, expected=f"one of {', '.join(_INFO)}")
    return _decode(decoder, payload, kind)


def unwrap_post(kind: str, payload: msgspec.Raw) -> msgspec.Raw:
    """The same answer out of a post's: ``{"type": kind, "data": …}``.

    Raises:
        WireError: It is of another kind.
    """
    wrapped = _decode(_info_payload, payload, kind)
    if wrapped.type != kind:
        raise WireError(channel=kind, field="payload.type", value=wrapped.type, expected=kind)
    data: msgspec.Raw = wrapped.data
    return data


# --- of our account, row by row ---------------------------------------------------------------------------------

_ROWS: dict[str, Any] = {
    "userFillsByTime": wire.Fill,
    "frontendOpenOrders": wire.FrontendOrder,
    "clearinghouseState": wire.AssetPosition,
}


class OwnAnswer(msgspec.Struct):
    """An answer about our account.

    Attributes:
        value: As `read_info` gives it, less the rows that cannot be used.
        rows: How many rows it had with those; 0 for an answer without rows.
        refused: Why fills of ours were left out.
    """

    value: Any
    rows: int
    refused: list[WireError]


def read_own(kind: str, payload: bytes | msgspec.Raw, coins: Container[str]) -> OwnAnswer:
    """Reads an answer about our account; rows of coins we do not trade do no harm.

    A fill of ours that cannot be used is left out: the position shows what it did. An order or a position of ours
    cannot be done without.

    Args:
        kind: The request's type.
        payload: The answer.
        coins: Those we trade.

    Raises:
        WireError: As `read_info`, but for such rows.
    """
    refused: list[WireError] = []
    try:
        value = read_info(kind, payload)
        rows = len(value) if isinstance(value, list) else 0
    except WireError as error:
        value, rows = _read_by_rows(kind, bytes(payload), coins, error, refused)
    if kind == "userFillsByTime":
        priced = [row for row in value if row.px > 0.0 or row.coin not in coins]
        if len(priced) < len(value):
            refused.append(WireError(channel=kind, field="px", value=0.0, expected="above 0"))
            value = priced
    return OwnAnswer(value, rows, refused)


def _read_by_rows(
    kind: str, payload: bytes, coins: Container[str], error: WireError, refused: list[WireError]
) -> tuple[Any, int]:
    """The answer without rows that may be missing, and how many rows it had; raises `error` where there are none."""
    try:
        told = msgspec.json.decode(payload)
    except UNREADABLE:
        raise error from None
    rows = told.get("assetPositions") if isinstance(told, dict) else told
    if kind not in _ROWS or not isinstance(rows, list):
        raise error
    kept = []
    for row in rows:
        problem = _problem(kind, row)
        if problem is None or (kind != "userFillsByTime" and not _is_anothers(row, coins)):
            kept.append(row)
        elif not _is_anothers(row, coins):
            refused.append(problem)
    rest = kept if told is rows else told | {"assetPositions": kept}
    return read_info(kind, msgspec.json.encode(rest)), len(rows)


def _problem(kind: str, row: Any) -> WireError | None:
    try:
        msgspec.convert(row, _ROWS[kind], strict=False)
    except msgspec.ValidationError as error:
        return translate(error, msgspec.json.encode(row), kind)
    return None


def _is_anothers(row: Any, coins: Container[str]) -> bool:
    """True when the row is surely of a coin not among `coins`."""
    inner = row.get("position", row) if isinstance(row, dict) else None
    coin = inner.get("coin") if isinstance(inner, dict) else None
    return isinstance(coin, str) and coin not in coins


# --- refusals ---------------------------------------------------------------------------------------------------

_SIGNER_HINT = (
    "the venue recovered an address it does not know: wrong key, wrong network (mainnet or testnet), an agent that was "
    "not approved or has expired, or an action signed over other bytes"
)
_DEPOSIT_HINT = (
    "deposit to the account; if it has funds, the signature was made over other bytes or for the other network"
)
_NONCE_HINT = "nonces are milliseconds: set the machine's clock, and let one process alone use a signing key"
_GONE_HINT = "filled, canceled, or not yet processed when placed a moment ago: let the order's own events decide"

# The longest prefix that fits decides; the venue appends " asset=N" to most.
_REFUSALS: tuple[tuple[str, Refusal, str], ...] = (
    ("Post only order would have immediately matched", Refusal.WOULD_CROSS, ""),
    ("Order was never placed, already canceled, or filled", Refusal.ORDER_GONE, _GONE_HINT),
    ("Cannot modify canceled or filled order", Refusal.ORDER_GONE, _GONE_HINT),
    ("Error placing new order during modify", Refusal.OTHER, "the original order is gone"),
    ("Attempted to modify to invalid new order", Refusal.OTHER, "the original order keeps resting"),
    ("Price must be divisible by tick size", Refusal.BAD_PRICE, ""),
    ("Order has invalid price", Refusal.BAD_PRICE, ""),
    ("Order price cannot be more than", Refusal.BAD_PRICE, ""),
    ("Order price too far from oracle", Refusal.BAD_PRICE, ""),
    ("Price too far from oracle", Refusal.BAD_PRICE, ""),
    ("Order has invalid size", Refusal.BAD_SIZE, ""),
    ("Order has zero size", Refusal.BAD_SIZE, ""),
    ("Order value too large", Refusal.BAD_SIZE, ""),
    ("Order must have minimum value of", Refusal.MIN_NOTIONAL, ""),
    ("Insufficient margin", Refusal.MARGIN, ""),
    ("Insufficient spot balance", Refusal.MARGIN, ""),
    ("Order has insufficient spot balance", Refusal.MARGIN, ""),
    ("Cross margin currently only supports reduce-only orders", Refusal.MARGIN, ""),
    ("Cross margin is not allowed", Refusal.MARGIN, "set isolated leverage first"),
    ("Reduce only order would increase position", Refusal.REDUCE_ONLY, ""),
    ("Order would cause position to exceed margin tier limit", Refusal.POSITION_LIMIT, ""),
    ("Order would exceed maximum position size", Refusal.POSITION_LIMIT, ""),
    ("Order would increase open interest", Refusal.OPEN_INTEREST, ""),
    ("Order rejected due to price more aggressive than oracle", Refusal.OPEN_INTEREST, ""),
    ("Cannot increase position when open interest is at cap", Refusal.OPEN_INTEREST, ""),
    ("Cannot flip position when open interest is at cap", Refusal.OPEN_INTEREST, ""),
    ("Asset open interest is at cap", Refusal.OPEN_INTEREST, ""),
    ("Perp DEX open interest is at cap", Refusal.OPEN_INTEREST, ""),
    ("Open interest is increasing too quickly", Refusal.OPEN_INTEREST, ""),
    ("Order could not immediately match", Refusal.NO_LIQUIDITY, ""),
    ("No liquidity available for market order", Refusal.NO_LIQUIDITY, ""),
    ("Too many open orders", Refusal.TOO_MANY_ORDERS, ""),
    ("Only post-only orders allowed", Refusal.HALTED, "a network upgrade has just ended: post-only orders go through"),
    ("Trading is halted", Refusal.HALTED, ""),
    ("Too many cumulative requests sent", Refusal.RATE_LIMIT, "one request every 10 s until more volume is traded"),
    ("429", Refusal.RATE_LIMIT, "the address of this machine is over its weight; wait a minute"),
    ("Signed action over weight limit", Refusal.BATCH_TOO_LARGE, "nothing of the batch was executed"),
    ("Action already expired", Refusal.EXPIRED, "set the machine's clock, or allow more time"),
    ("Invalid nonce", Refusal.NONCE, _NONCE_HINT),
    ("User or API Wallet", Refusal.SIGNER, _SIGNER_HINT),
    ("L1 error: User or API Wallet", Refusal.SIGNER, _SIGNER_HINT),
    ("Unable to recover signer", Refusal.SIGNER, _SIGNER_HINT),
    ("Vault not registered", Refusal.SIGNER, "the vault or sub-account address is not the signer's"),
    ("Must deposit before performing actions", Refusal.UNFUNDED, _DEPOSIT_HINT),
    # The same as the status of an order that is looked up.
    ("badAloPxRejected", Refusal.WOULD_CROSS, ""),
    ("tickRejected", Refusal.BAD_PRICE, ""),
    ("badTriggerPxRejected", Refusal.BAD_PRICE, ""),
    ("oracleRejected", Refusal.BAD_PRICE, ""),
    ("minTradeNtlRejected", Refusal.MIN_NOTIONAL, ""),
    ("perpMarginRejected", Refusal.MARGIN, ""),
    ("insufficientSpotBalanceRejected", Refusal.MARGIN, ""),
    ("reduceOnlyRejected", Refusal.REDUCE_ONLY, ""),
    ("perpMaxPositionRejected", Refusal.POSITION_LIMIT, ""),
    ("positionIncreaseAtOpenInterestCapRejected", Refusal.OPEN_INTEREST, ""),
    ("positionFlipAtOpenInterestCapRejected", Refusal.OPEN_INTEREST, ""),
    ("tooAggressiveAtOpenInterestCapRejected", Refusal.OPEN_INTEREST, ""),
    ("openInterestIncreaseRejected", Refusal.OPEN_INTEREST, ""),
    ("iocCancelRejected", Refusal.NO_LIQUIDITY, ""),
    ("marketOrderNoLiquidityRejected", Refusal.NO_LIQUIDITY, ""),
    ("tooManyOpenOrdersRejected", Refusal.TOO_MANY_ORDERS, ""),
)


def classify(text: str) -> tuple[Refusal, str]:
    """Why, and what to do about it, by how the venue's words begin; OTHER for words not known."""
    fitting = [row for row in _REFUSALS if text.startswith(row[0])]
    if not fitting:
        return Refusal.OTHER, ""
    _, refusal, hint = max(fitting, key=lambda row: len(row[0]))
    return refusal, hint


def refused(text: str) -> OrderOutcome:
    """The outcome of an item refused with these words."""
    refusal, hint = classify(text)
    return OrderOutcome(OutcomeKind.REFUSED, refusal=refusal, text=text, hint=hint)


def _outcome(status: str | wire_info.StatusEntry, place: int) -> OrderOutcome:
    if isinstance(status, str):
        return OrderOutcome(OutcomeKind.ACCEPTED)
    if status.error is not None:
        return refused(status.error)
    if status.resting is not None:
        return OrderOutcome(OutcomeKind.RESTING, venue_id=status.resting.oid)
    if status.filled is not None:
        filled = status.filled
        return OrderOutcome(
            OutcomeKind.FILLED, venue_id=filled.oid, filled_size=filled.totalSz, average_price=filled.avgPx
        )
    raise WireError(channel="exchange", field=f"statuses[{place}]", expected="resting, filled, error or a word")


def read_outcomes(payload: bytes | str | msgspec.Raw, items: int) -> list[OrderOutcome]:
    """Reads the answer to an action.

    Args:
        payload: Body of the HTTP answer, or payload of a post's "action" response.
        items: How many orders, cancels or modifies it held; 1 for other actions.

    Returns:
        One outcome for each item; a single refusal of the whole is that of each.

    Raises:
        WireError: It cannot be read, or tells of another number of items. What became of them is then unknown.
    """
    answer = _decode(_answer, payload, "exchange")
    if answer.status == "err":
        return [refused(_decode(msgspec.json.Decoder(str), answer.response, "exchange"))] * items
    response = _decode(_response, answer.response, "exchange")
    if response.data is None:
        return [OrderOutcome(OutcomeKind.ACCEPTED)] * items
    outcomes = [_outcome(status, place) for place, status in enumerate(response.data.statuses)]
    if len(outcomes) == 1 and items > 1 and outcomes[0].kind is OutcomeKind.REFUSED:
        return outcomes * items
    if len(outcomes) != items:
        raise WireError(channel="exchange", field="statuses", value=len(outcomes), expected=f"{items} of them")
    return outcomes
