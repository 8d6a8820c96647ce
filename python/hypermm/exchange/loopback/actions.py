"""Actions to the matching venue, and what it answers in the words of ``exchange``.

Not built: triggers, builder fees and transfers are refused, priority fees are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from hypermm._core import Side
from hypermm.exchange.loopback.rows import NS_PER_MS

if TYPE_CHECKING:
    from hypermm._core import VenueAnswer, VenueResult
    from hypermm.exchange.loopback.authority import Authorized
    from hypermm.exchange.loopback.world import World

__all__ = ["DONE", "Sent", "error", "items", "send"]

TimeInForce = Literal["post_only", "post_only_refused", "good_till_canceled", "immediate_or_cancel"]
_TIMES: dict[str, TimeInForce] = {
    "Alo": "post_only",
    "Gtc": "good_till_canceled",
    "Ioc": "immediate_or_cancel",
    "FrontendMarket": "immediate_or_cancel",
}
DONE = {"status": "ok", "response": {"type": "default"}}
_HALTED = "Trading is halted."


class Sent(Struct, frozen=True):
    """An action under way.

    Attributes:
        request_id: The matching venue's number of it; None when there is nothing to wait for.
        answer: From the venue's answer (None without a request) to the one of ``exchange``.
    """

    request_id: int | None
    answer: Callable[[VenueAnswer | None], dict[str, Any]]


def error(text: str) -> dict[str, Any]:
    """The answer to an action that is refused whole."""
    return {"status": "err", "response": text}


def items(action: dict[str, Any]) -> int:
    """How many orders, cancels or modifies an action has; 1 for others and for what is no list."""
    rows = action.get("orders") or action.get("cancels") or action.get("modifies")
    return len(rows) if rows and isinstance(rows, list) else 1


def send(world: World, authorized: Authorized, time_ns: int, *, refuse_post_only: bool = False) -> Sent:
    """Sends an action to the matching venue.

    Args:
        world: The venue.
        authorized: The action.
        time_ns: Now.
        refuse_post_only: Refuse post-only orders, and replacements that are, as if they would have matched.
    """
    return _SENDERS[authorized.action["type"]](world, authorized, time_ns, refuse_post_only)


def _terms(authorized: Authorized) -> dict[str, Any]:
    after_ms = authorized.expires_after_ms
    return {} if after_ms is None else {"expires_after_ns": min(after_ms, 2**63 // NS_PER_MS - 1) * NS_PER_MS}


def _immediately(answer: dict[str, Any]) -> Sent:
    return Sent(None, lambda _: answer)


# --- orders -----------------------------------------------------------------------------------------------------


def _order(world: World, wire: dict[str, Any], *, refused: Container[str] = ()) -> tuple[Any, ...] | str:
    """An order as the matching venue takes it, or why it is refused; it is to refuse those of the times `refused`."""
    contract = world.listing.by_asset_id.get(wire["a"])
    suffix = f" asset={wire['a']}"
    if contract is None or contract.is_delisted:
        return _HALTED + suffix
    if "trigger" in wire["t"]:
        return "Invalid TP/SL price." + suffix
    side = Side.BUY if wire["b"] else Side.SELL
    tif = wire["t"]["limit"]["tif"]
    time_in_force = "post_only_refused" if tif in refused else _TIMES[tif]
    return (contract.coin, side, wire["p"], wire["s"], time_in_force, wire["r"], wire.get("c"))


def _place(world: World, authorized: Authorized, time_ns: int, refuse_post_only: bool) -> Sent:  # noqa: FBT001
    action = authorized.action
    if "builder" in action:
        return _immediately(_statuses("order", [{"error": "Builder fee has not been approved."}]))
    if not action["orders"]:
        return _immediately(error("Orders are empty"))
    orders = [_order(world, wire, refused=("Alo",) if refuse_post_only else ()) for wire in action["orders"]]
    good = [order for order in orders if isinstance(order, tuple)]
    if not good:
        return _immediately(_statuses("order", [{"error": order} for order in orders]))
    account = world.accounts[authorized.account]
    request = world.venue.place(account, time_ns, good, **_terms(authorized))
    return Sent(request, lambda answer: _merged("order", orders, answer, _order_status))


def _modify(world: World, authorized: Authorized, time_ns: int, refuse_post_only: bool) -> Sent:  # noqa: FBT001
    action = authorized.action
    is_batch = action["type"] == "batchModify"
    rows = action["modifies"] if is_batch else [action]
    if not rows:
        return _immediately(error("Orders are empty"))
    always_place = action.get("a", False)
    # Without it a replacement that may take becomes post-only.
    post_only = ("Alo",) if always_place else ("Alo", "Gtc")
    modifies: list[Any] = []
    for row in rows:
        order = _order(world, row["order"], refused=post_only if refuse_post_only else ())
        modifies.append(order if isinstance(order, str) else (row["oid"], order))
    good = [modify for modify in modifies if isinstance(modify, tuple)]

    def answer_of(answer: VenueAnswer | None) -> dict[str, Any]:
        told = _merged("order", modifies, answer, _order_status)
        if is_batch or told["status"] == "err":
            return told
        status = told["response"]["data"]["statuses"][0]
        return error(status["error"]) if "error" in status else DONE

    if not good:
        return Sent(None, answer_of)
    account = world.accounts[authorized.account]
    request = world.venue.modify(account, time_ns, good, always_place=always_place, **_terms(authorized))
    return Sent(request, answer_of)


def _order_status(result: VenueResult) -> Any:
    if result.kind == "refused":
        return {"error": result.text}
    entry: dict[str, Any] = {"oid": result.order_id}
    if result.kind == "filled":
        entry = {"totalSz": result.size, "avgPx": result.average_price, "oid": result.order_id}
    if result.client_order_id is not None:
        entry["cloid"] = result.client_order_id
    return {"filled" if result.kind == "filled" else "resting": entry}


# --- cancels ----------------------------------------------------------------------------------------------------


def _cancel(world: World, authorized: Authorized, time_ns: int, _: bool) -> Sent:  # noqa: FBT001
    action = authorized.action
    cancels: list[Any] = []
    for row in action["cancels"]:
        asset, order = (row["a"], row["o"]) if "o" in row else (row["asset"], row["cloid"])
        contract = world.listing.by_asset_id.get(asset)
        if contract is None or contract.is_delisted:
            cancels.append(f"Order was never placed, already canceled, or filled. asset={asset}")
        else:
            cancels.append((contract.coin, order))
    good = [cancel for cancel in cancels if isinstance(cancel, tuple)]
    if not good:
        if not cancels:
            return _immediately(error("Orders are empty"))
        return _immediately(_statuses("cancel", [{"error": cancel} for cancel in cancels]))
    account = world.accounts[authorized.account]
    request = world.venue.cancel(account, time_ns, good, fast=action.get("f", False), **_terms(authorized))
    return Sent(request, lambda answer: _merged("cancel", cancels, answer, _cancel_status))


def _cancel_status(result: VenueResult) -> Any:
    return {"error": result.text} if result.kind == "refused" else "success"


# --- the rest ---------------------------------------------------------------------------------------------------


def _schedule_cancel(world: World, authorized: Authorized, time_ns: int, _: bool) -> Sent:  # noqa: FBT001
    at_ms = authorized.action.get("time")
    at_ns = None if at_ms is None else min(at_ms, 2**63 // NS_PER_MS - 1) * NS_PER_MS
    account = world.accounts[authorized.account]
    return Sent(world.venue.schedule_cancel(account, time_ns, at_ns, **_terms(authorized)), _default)


def _update_leverage(world: World, authorized: Authorized, time_ns: int, _: bool) -> Sent:  # noqa: FBT001
    action = authorized.action
    contract = world.listing.by_asset_id.get(action["asset"])
    if contract is None or contract.is_delisted:
        return _immediately(error(_HALTED))
    request = world.venue.update_leverage(
        world.accounts[authorized.account],
        time_ns,
        contract.coin,
        is_cross=action["isCross"],
        leverage=action["leverage"],
        **_terms(authorized),
    )
    return Sent(request, _default)


def _update_isolated_margin(world: World, authorized: Authorized, time_ns: int, _: bool) -> Sent:  # noqa: FBT001
    action = authorized.action
    contract = world.listing.by_asset_id.get(action["asset"])
    if contract is None or contract.is_delisted:
        return _immediately(error(_HALTED))
    account = world.accounts[authorized.account]
    request = world.venue.update_isolated_margin(account, time_ns, contract.coin, action["ntli"], **_terms(authorized))
    return Sent(request, _default)


def _noop(world: World, authorized: Authorized, time_ns: int, _: bool) -> Sent:  # noqa: FBT001
    account = world.accounts[authorized.account]
    return Sent(world.venue.noop(account, time_ns, **_terms(authorized)), _default)


def _not_here(_world: World, authorized: Authorized, _time_ns: int, _: bool) -> Sent:  # noqa: FBT001
    return _immediately(error(f"Action {authorized.action['type']} is not supported by the loopback exchange."))


_SENDERS: dict[str, Callable[[World, Authorized, int, bool], Sent]] = {
    "order": _place,
    "modify": _modify,
    "batchModify": _modify,
    "cancel": _cancel,
    "cancelByCloid": _cancel,
    "scheduleCancel": _schedule_cancel,
    "updateLeverage": _update_leverage,
    "updateIsolatedMargin": _update_isolated_margin,
    "noop": _noop,
    "topUpIsolatedOnlyMargin": _not_here,
    "reserveRequestWeight": _not_here,
}


def _statuses(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"status": "ok", "response": {"type": kind, "data": {"statuses": statuses}}}


def _merged(
    kind: str, rows: Iterable[Any], answer: VenueAnswer | None, status_of: Callable[[VenueResult], Any]
) -> dict[str, Any]:
    """Statuses in the order asked for; what was refused before it reached the venue is a text among `rows`."""
    rows = list(rows)
    if answer is not None and answer.refusal is not None:
        return error(answer.refusal)
    results = () if answer is None else answer.results
    if len(results) == 1 and sum(isinstance(row, tuple) for row in rows) > 1:
        return _statuses(kind, [status_of(results[0])])
    told = iter(results)
    return _statuses(kind, [{"error": row} if isinstance(row, str) else status_of(next(told)) for row in rows])


def _default(answer: VenueAnswer | None) -> dict[str, Any]:
    """The answer to what only succeeds or fails."""
    if answer is None:
        return DONE
    texts = [answer.refusal, *(result.text for result in answer.results if result.kind == "refused")]
    refused = next((text for text in texts if text is not None), None)
    return DONE if refused is None else error(refused)
