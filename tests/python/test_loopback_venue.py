"""The venue of the exchange on loopback: what its binding takes of accounts, and tells them."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermm import Side
from hypermm._core import (
    LoopbackCoin,
    LoopbackVenue,
    VenueAnswer,
    VenueFill,
    VenueFunding,
    VenueLiquidation,
    VenueOrder,
    VenueSettlement,
    VenueTrade,
)
from hypermm.exceptions import InvalidInputError, TimeOrderError
from quiet_venue import DEX, ETH, START_NS, S, answers, ask, now, order, quiet_venue, still

HOUR_NS = 3_600 * S


def texts(answer: VenueAnswer) -> list[str | None]:
    return [result.text for result in answer.results]


def test_order_rests_and_fills_with_what_it_did_to_the_position() -> None:
    """Kills: the sides of a fill exchanged, closed profit with the fee in it, the position after it in its place."""
    venue = quiet_venue()
    account = venue.open_account({"": 10_000.0})
    name = "0x" + "0" * 30 + "a7"
    answer, events = ask(venue, venue.place(account, now(venue), [order(Side.BUY, "3999.0", "0.0100", name=name)]))
    (result,) = answer.results
    assert (result.kind, result.client_order_id, answer.refusal) == ("resting", name, None)
    (rested,) = [event for event in events if isinstance(event, VenueOrder)]
    assert (rested.status, rested.price, rested.size, rested.original_size) == ("open", "3999.0", "0.01", "0.01")
    assert [open_.order_id for open_ in venue.open_orders(account)] == [result.order_id]

    buy = order(Side.BUY, "4001", "0.5", "good_till_canceled")
    answer, events = ask(venue, venue.place(account, now(venue), [buy]))
    (result,) = answer.results
    assert (result.kind, result.size, result.average_price) == ("filled", "0.5", "4000.1")
    (fill,) = [event for event in events if isinstance(event, VenueFill)]
    assert (fill.start_position, fill.direction, fill.closed_pnl, fill.crossed) == ("0.0", "Open Long", "0.0", True)
    assert fill.fee == "0.900022", "4000.1 · 0.5 · 4.5 bps is 0.9000225; what is beyond six decimals is cut off"
    statuses = [event.status for event in events if isinstance(event, VenueOrder)]
    assert statuses == ["open", "filled"]

    sell = order(Side.SELL, "3990", "0.8", "immediate_or_cancel")
    answer, events = ask(venue, venue.place(account, now(venue), [sell]))
    (fill,) = [event for event in events if isinstance(event, VenueFill)]
    assert (fill.start_position, fill.direction) == ("0.5", "Long > Short")
    assert Decimal(fill.closed_pnl) == Decimal("-0.1") * Decimal("0.5")
    assert fill.side is Side.SELL
    (held,) = venue.positions(account)
    assert (held.size, held.entry_price, held.is_cross) == ("-0.3", "4000.0", True)
    assert held.liquidation_price is not None
    assert Decimal(held.liquidation_price) > Decimal(held.entry_price or 0)


def test_refusals_are_the_venues_words() -> None:
    """Kills: the suffix left out or added everywhere, one answer per order of a batch that is none."""
    venue = quiet_venue()
    account = venue.open_account({"": 100.0})
    asked = [
        (order(Side.BUY, "4000.05", "0.01"), "Price must be divisible by tick size. asset=1"),
        (order(Side.BUY, "3999", "0.001"), "Order must have minimum value of $10. asset=1"),
        (order(Side.BUY, "3999", "50"), "Insufficient margin to place order. asset=1"),
        (
            order(Side.BUY, "4001", "0.01"),
            "Post only order would have immediately matched, bbo was 4000@4000.1. asset=1",
        ),
        (
            order(Side.BUY, "3900", "0.01", "immediate_or_cancel"),
            "Order could not immediately match against any resting orders. asset=1",
        ),
        (order(Side.BUY, "100", "0.5"), "Order price cannot be more than 95% away from the reference price"),
    ]
    answer, events = ask(venue, venue.place(account, now(venue), [wanted for wanted, _ in asked]))
    assert texts(answer) == [text for _, text in asked]
    statuses = [event.status for event in events if isinstance(event, VenueOrder)]
    assert statuses == [
        "tickRejected",
        "minTradeNtlRejected",
        "perpMarginRejected",
        "badAloPxRejected",
        "iocCancelRejected",
    ]
    for wrong, text in [
        (order(Side.BUY, "4000.001", "0.01"), "Order has invalid price."),
        (order(Side.BUY, "-4000", "0.01"), "Order has invalid price."),
        (order(Side.BUY, "4000", "0.00001"), "Order has invalid size."),
        (order(Side.BUY, "4000", "0"), "Order has zero size."),
    ]:
        answer, events = ask(venue, venue.place(account, now(venue), [order(Side.BUY, "3999", "0.01"), wrong]))
        assert texts(answer) == [text]
        assert not [event for event in events if isinstance(event, VenueOrder)], "the good one was placed"
    answer, _ = ask(venue, venue.cancel(account, now(venue), [("ETH", 12)]))
    assert texts(answer) == ["Order was never placed, already canceled, or filled. asset=1"]
    answer, _ = ask(venue, venue.update_leverage(account, now(venue), "hyna:HYPE", is_cross=True, leverage=3))
    assert (answer.refusal, answer.results) == ("Cross margin is not allowed for this asset.", ())
    answer, _ = ask(venue, venue.schedule_cancel(account, now(venue), now(venue) + 10 * S))
    assert answer.refusal is not None
    assert answer.refusal.startswith("Cannot set scheduled cancel time until enough volume traded. Required: $1000000.")
    answer, _ = ask(venue, venue.noop(account, now(venue), expires_after_ns=1))
    assert answer.refusal == "Action already expired"
    late = venue.place(account, now(venue), [order(Side.BUY, "0", "0.01")], expires_after_ns=1)
    assert ask(venue, late)[0].refusal == "Action already expired", "what cannot be read can be late too"


def test_orders_end_by_either_name_and_modifies_give_new_numbers() -> None:
    """Kills: names of two accounts mixed, the old number in the answer to a modify, a status that does not last."""
    venue = quiet_venue()
    account, other = venue.open_account({"": 10_000.0}), venue.open_account({"": 10_000.0})
    names = ["0x" + f"{number:032x}" for number in (1, 2)]
    placed, _ = ask(venue, venue.place(account, now(venue), [order(Side.BUY, "3990", "0.01", name=n) for n in names]))
    numbers = [result.order_id for result in placed.results]
    refused, _ = ask(venue, venue.cancel(other, now(venue), [("ETH", names[0]), ("ETH", numbers[1] or 0)]))
    assert [result.kind for result in refused.results] == ["refused", "refused"]
    replacement = order(Side.BUY, "3991", "0.02", name=names[0])
    modified, _ = ask(venue, venue.modify(account, now(venue), [(names[0], replacement)]))
    (result,) = modified.results
    assert (result.kind, result.client_order_id) == ("resting", names[0])
    assert result.order_id not in numbers
    old, new = venue.order_status(account, numbers[0] or 0), venue.order_status(account, names[0])
    assert old is not None
    assert new is not None
    assert (old.status, new.status, new.order_id) == ("canceled", "open", result.order_id)
    canceled, _ = ask(venue, venue.cancel(account, now(venue), [("ETH", names[1])], fast=True))
    assert [result.kind for result in canceled.results] == ["done"]
    assert [rest.order_id for rest in venue.open_orders(account)] == [result.order_id]
    assert venue.order_status(other, names[0]) is None
    assert [row.status for row in venue.order_history(account)] == ["open", "canceled", "canceled"]


def test_two_accounts_trade_with_each_other() -> None:
    """Kills: a fill told to one side only, money made by a trade, a trade told twice."""
    venue = quiet_venue()
    maker, taker = venue.open_account({"": 10_000.0}), venue.open_account({"": 10_000.0})
    ask(venue, venue.place(maker, now(venue), [order(Side.SELL, "4000.1", "0.1")]))
    step = order(Side.BUY, "4000.1", "50.05", "immediate_or_cancel")
    bigger = venue.open_account({"": 1_000_000.0})
    _, events = ask(venue, venue.place(bigger, now(venue), [step]))
    fills = [event for event in events if isinstance(event, VenueFill)]
    trades = [event for event in events if isinstance(event, VenueTrade)]
    assert [trade.size for trade in trades] == ["50.0", "0.05"], "the book's level stood before ours"
    mine = [fill for fill in fills if fill.account == maker]
    theirs = [fill for fill in fills if fill.account == bigger]
    assert [fill.size for fill in mine] == ["0.05"]
    assert (mine[0].trade_id, mine[0].transaction) == (theirs[1].trade_id, theirs[1].transaction)
    assert (mine[0].crossed, theirs[1].crossed) == (False, True)
    assert (trades[1].buyer, trades[1].seller) == (bigger, maker)
    assert not [fill for fill in fills if fill.account == taker]
    half = venue.order_status(maker, mine[0].order_id)
    assert half is not None
    assert (half.status, half.size, half.original_size) == ("open", "0.05", "0.1")


def test_a_builders_dex_is_a_clearinghouse_of_its_own() -> None:
    """Kills: money of one dex behind positions of another, fees without the builder's scale, margin taken out."""
    venue = quiet_venue()
    account = venue.open_account({"": 1_000.0, "hyna": 500.0})
    buy = order(Side.BUY, "30.01", "10", "immediate_or_cancel", coin="hyna:HYPE")
    _, events = ask(venue, venue.place(account, now(venue), [buy]))
    (fill,) = [event for event in events if isinstance(event, VenueFill)]
    assert Decimal(fill.fee) == (Decimal("300.01") * Decimal("0.0009")).quantize(Decimal("0.000001"))
    assert venue.account(account).account_value == "1000.0"
    assert venue.positions(account) == []
    (held,) = venue.positions(account, "hyna")
    assert (held.coin, held.is_cross) == ("hyna:HYPE", False)
    margin = Decimal(held.margin_used)
    assert margin == Decimal(held.value) + Decimal(held.raw_usd)
    ask(venue, venue.update_isolated_margin(account, now(venue), "hyna:HYPE", 5_000_000))
    assert Decimal(venue.position(account, "hyna:HYPE").margin_used) == margin + 5
    answer, _ = ask(venue, venue.update_isolated_margin(account, now(venue), "hyna:HYPE", -1_000_000))
    assert answer.refusal is not None
    big = order(Side.BUY, "30.01", "200", "immediate_or_cancel", coin="hyna:HYPE")
    answer, _ = ask(venue, venue.place(account, now(venue), [big]))
    assert texts(answer) == ["Insufficient margin to place order. asset=140002"]


def test_cross_margin_ends_at_the_dex() -> None:
    """Kills: positions of one dex in the margin or the value of another."""
    coins = [
        LoopbackCoin(ETH, 1, recording=still(4000.0, ETH)),
        LoopbackCoin(DEX, 140_002, recording=still(30.0, DEX, 500.0), dex="hyna"),
    ]
    venue = LoopbackVenue(coins, start_ns=START_NS)
    account = venue.open_account({"": 1_000.0, "hyna": 1_000.0})
    buy = order(Side.BUY, "30.01", "300", "immediate_or_cancel", coin="hyna:HYPE")
    answer, _ = ask(venue, venue.place(account, now(venue), [buy]))
    assert [result.kind for result in answer.results] == ["filled"]
    own, dex = venue.account(account), venue.account(account, "hyna")
    assert (own.account_value, own.margin_used, own.notional, own.withdrawable) == ("1000.0", "0.0", "0.0", "1000.0")
    assert Decimal(dex.cross_margin_used) > 800
    assert Decimal(dex.cross_raw_usd) == Decimal(dex.cross_account_value) - Decimal(dex.cross_notional)
    answer, _ = ask(venue, venue.place(account, now(venue), [order(Side.BUY, "3999", "4.9")]))
    assert [result.kind for result in answer.results] == ["resting"], "all of the first dex's money is free"


def test_limits_of_requests_bite() -> None:
    """Kills: batches counted as one, a refused batch counted, no budget from volume, cancels held to the same limit."""
    venue = quiet_venue(initial_requests=5)
    account = venue.open_account({"": 10_000.0})
    three = [order(Side.BUY, "3990", "0.01")] * 3
    answer, _ = ask(venue, venue.place(account, now(venue), three))
    assert answer.refusal is None
    answer, events = ask(venue, venue.place(account, now(venue), three))
    assert answer.refusal == (
        "Too many cumulative requests sent (6 > 5) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    assert not [event for event in events if isinstance(event, VenueOrder)]
    assert venue.requests(account).used == 3
    rests = [("ETH", rest.order_id) for rest in venue.open_orders(account)]
    answer, _ = ask(venue, venue.cancel(account, now(venue), rests))
    assert answer.refusal is None, "cancels have twice the limit"
    answer, _ = ask(venue, venue.place(account, now(venue), three[:1]))
    assert answer.refusal is not None
    venue.advance(venue.next_block_ns + 10 * S)
    answer, _ = ask(venue, venue.place(account, now(venue), three[:1]))
    assert answer.refusal is None, "one in ten seconds goes through"


def test_dead_man_switch_fires() -> None:
    """Kills: a switch that never fires, or fires for everybody."""
    venue = quiet_venue(schedule_cancel_volume_usd=0.0)
    account, other = venue.open_account({"": 10_000.0}), venue.open_account({"": 10_000.0})
    for owner in (account, other):
        ask(venue, venue.place(owner, now(venue), [order(Side.BUY, "3990", "0.01")]))
    due_ns = now(venue) + 6 * S
    answer, _ = ask(venue, venue.schedule_cancel(account, now(venue), due_ns))
    assert answer.refusal is None
    assert venue.requests(account).scheduled_cancel_ns == due_ns
    events = venue.advance(due_ns + S)
    (gone,) = [event for event in events if isinstance(event, VenueOrder)]
    assert (gone.account, gone.status) == (account, "scheduledCancel")
    assert due_ns <= gone.status_ns <= due_ns + S
    assert len(venue.open_orders(other)) == 1


def test_funding_is_paid_on_the_hour_by_the_rate_that_is_told() -> None:
    """Kills: another sign or price of the payment, no settlement, the other dex left out."""
    start_ns = (START_NS // HOUR_NS + 1) * HOUR_NS - 20 * S
    venue = quiet_venue(start_ns=start_ns)
    account = venue.open_account({"": 10_000.0})
    venue.place(account, start_ns, [order(Side.BUY, "4001", "2", "immediate_or_cancel")])
    events = venue.advance(start_ns + 30 * S)
    settled = {event.coin: event for event in events if isinstance(event, VenueSettlement)}
    assert set(settled) == {"ETH", "hyna:HYPE"}
    assert start_ns + 20 * S <= settled["ETH"].time_ns < start_ns + 20 * S + 160_000_000
    (payment,) = [event for event in events if isinstance(event, VenueFunding)]
    oracle = Decimal(venue.context("ETH").oracle_price)
    assert payment.rate == settled["ETH"].rate == "0.0000125"
    assert Decimal(payment.amount) == -(2 * oracle * Decimal(payment.rate)).quantize(Decimal("0.000001"))
    paid = payment.amount.removeprefix("-")
    for price, size, sums in [
        ("3990", "0.5", (paid, paid, "0.0")),
        ("3990", "1.5", (paid, "0.0", "0.0")),
    ]:
        held = venue.position(account, "ETH")
        assert (held.funding_all_time, held.funding_since_open, held.size) == (
            paid,
            paid,
            "2.0" if size == "0.5" else "1.5",
        )
        ask(venue, venue.place(account, now(venue), [order(Side.SELL, price, size, "immediate_or_cancel")]))
        held = venue.position(account, "ETH")
        assert (held.funding_all_time, held.funding_since_open, held.funding_since_change) == sums


def test_liquidation_is_told() -> None:
    """Kills: a liquidated account that hears nothing, orders that outlive it, fills without the liquidation."""
    falling = still(4000.0, ETH)
    times = np.array([1, 4 * S])
    falling = {
        name: np.concatenate([column, column - (300.0 if "price" in name else 0.0)]) for name, column in falling.items()
    } | {"book_time_ns": times, "book_exchange_time_ns": times}
    venue = LoopbackVenue([LoopbackCoin(ETH, 1, recording=falling)], start_ns=START_NS)
    account = venue.open_account({"": 350.0})
    ask(venue, venue.update_leverage(account, now(venue), "ETH", is_cross=True, leverage=25), 0)
    ask(venue, venue.place(account, now(venue), [order(Side.BUY, "4001", "2", "immediate_or_cancel")]))
    ask(venue, venue.place(account, now(venue), [order(Side.BUY, "3500", "0.01")]))
    events = venue.advance(START_NS + 60 * S)
    (told,) = [event for event in events if isinstance(event, VenueLiquidation)]
    assert (told.account, told.coin, told.dex) == (account, None, "")
    assert next(event.status for event in events if isinstance(event, VenueOrder)) == "liquidatedCanceled"
    fills = [event for event in events if isinstance(event, VenueFill)]
    assert sum(Decimal(fill.size) for fill in fills) == 2
    assert all(fill.liquidation is not None and fill.liquidation[0] == account for fill in fills)
    assert venue.positions(account) == []


def test_arguments_are_refused_and_change_nothing() -> None:
    """Kills: a refused request that is carried out all the same."""
    venue = quiet_venue()
    account = venue.open_account({"": 100.0})
    good = order(Side.BUY, "3999", "0.01")
    wrongs: list[Any] = [[], "ETH", [good, None], [good[:6]], [("BTC", *good[1:])], [(*good[:2], "1e3", *good[3:])]]
    for wrong in wrongs:
        with pytest.raises(InvalidInputError):
            venue.place(account, now(venue), wrong)
    with pytest.raises(InvalidInputError):
        venue.place(1, now(venue), [good])
    venue.advance(START_NS + S)
    with pytest.raises(TimeOrderError):
        venue.place(account, START_NS, [good])
    for deposits in ({"nodex": 1.0}, {"": -1.0}, 5.0):
        with pytest.raises(InvalidInputError):
            venue.open_account(deposits)  # type: ignore[arg-type]
    assert not answers(venue.advance(START_NS + 5 * S))
    assert venue.open_account({}) == account + 1, "nothing was opened on the way"
    with pytest.raises(InvalidInputError):
        LoopbackCoin(ETH, 1)
    with pytest.raises(InvalidInputError):
        LoopbackVenue([LoopbackCoin(ETH, 1, preset="eth"), LoopbackCoin(ETH, 2, preset="eth")])


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(["ETH", "hyna:HYPE", Side.BUY, Side.SELL, "post_only", "immediate_or_cancel", "3999.5", "0.01"]),
)


@settings(max_examples=80, deadline=None)
@given(
    orders=st.lists(st.tuples(*[anything] * 7), max_size=3),
    prices=st.lists(st.tuples(st.decimals(-9, 10**9, places=6), st.decimals(-9, 10**9, places=6)), max_size=3),
    names=st.lists(st.one_of(anything, st.integers(0, 2**64 - 1)), max_size=3),
)
def test_whatever_comes_in_is_refused_or_answered(
    orders: list[Any], prices: list[tuple[Decimal, Decimal]], names: list[Any]
) -> None:
    """Kills: a panic, or a request without an answer."""
    venue = quiet_venue()
    account = venue.open_account({"": 1e6, "hyna": 1e6})
    sent = []
    readable = [order(Side.BUY, f"{price:f}", f"{size:f}", "good_till_canceled") for price, size in prices]
    for ask_for, items in [
        (venue.place, orders),
        (venue.place, readable),
        (venue.cancel, [("ETH", name) for name in names]),
        (venue.modify, list(zip(names, readable, strict=False))),
    ]:
        with contextlib.suppress(InvalidInputError):
            sent.append(ask_for(account, now(venue), items))  # type: ignore[operator]
    assert sorted(answer.request_id for answer in answers(venue.advance(START_NS + S))) == sent
