"""How late the loopback exchange is: each way by its own latency, over HTTP and websocket alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback import Latency, parse_latency
from loopback_session import limit
from loopback_steps import USER, Venue

MS = 1_000_000
STEP_MS = 5
ORDER_MS, ANSWER_MS, FEED_MS = 160, 300, 380
BLOCK_MS = 250
"""More than a block takes."""


def late_venue() -> Venue:
    latency = Latency(order_ms=float(ORDER_MS), answer_ms=float(ANSWER_MS), feed_ms=float(FEED_MS))
    venue = Venue(latency=latency)
    venue.run(1.0)
    return venue


def heard(venue: Venue, is_it: Callable[[], bool]) -> int:
    """Lets time pass until something is heard; when that was, ms."""
    for _ in range(1000 // STEP_MS):
        if is_it():
            return venue.now_ns // MS
        venue.run(STEP_MS / 1000, STEP_MS / 1000)
    raise AssertionError("never heard")


def order() -> dict[str, Any]:
    return {"type": "order", "orders": [limit(3900.0)], "grouping": "na"}


def test_an_order_reaches_its_block_late_and_is_told_of_later_still() -> None:
    venue = late_venue()
    feed = venue.connect()
    venue.subscribe(feed, "orderUpdates", user=USER)
    venue.run(1.0)
    sent_ms = venue.now_ns // MS
    replies: list[Any] = []
    venue.exchange.act(venue.signed(order()), venue.now_ns, replies.append)
    answered_ms = heard(venue, lambda: bool(replies))
    noticed_ms = heard(venue, lambda: bool(venue.frames(feed, "orderUpdates")))
    [[row]] = venue.frames(feed, "orderUpdates")
    block_ms = row["statusTimestamp"]
    assert ORDER_MS <= block_ms - sent_ms <= ORDER_MS + BLOCK_MS
    # Mutants: own orders told of at once, or as early as the answer; the way back counted twice.
    assert 0 <= answered_ms - block_ms - ANSWER_MS <= 2 * STEP_MS
    assert 0 <= noticed_ms - block_ms - FEED_MS <= 2 * STEP_MS


def test_a_post_takes_as_long_as_a_request() -> None:
    venue = late_venue()
    feed = venue.connect()
    for kind in ("orderUpdates", "userFills"):
        venue.subscribe(feed, kind, user=USER)
    venue.run(1.0)
    request = {"type": "action", "payload": json.loads(venue.signed(order()))}
    venue.exchange.receive(feed, json.dumps({"method": "post", "id": 1, "request": request}), venue.now_ns)
    answered_ms = heard(venue, lambda: bool(venue.frames(feed, "post")))
    heard(venue, lambda: bool(venue.frames(feed, "orderUpdates")))
    [[row]] = venue.frames(feed, "orderUpdates")
    assert 0 <= answered_ms - row["statusTimestamp"] - ANSWER_MS <= 2 * STEP_MS


def test_market_data_is_heard_late_and_a_subscription_takes_the_way_there_too() -> None:
    venue = late_venue()
    feed = venue.connect()
    asked_ms = venue.now_ns // MS
    venue.subscribe(feed, "l2Book", coin="ETH", fast=True)
    first_ms = heard(venue, lambda: bool(venue.frames(feed, "l2Book")))
    assert 0 <= first_ms - asked_ms - ORDER_MS - FEED_MS <= 2 * STEP_MS
    second_ms = heard(venue, lambda: len(venue.frames(feed, "l2Book")) == 2)
    # Mutant: books of now.
    assert 0 <= second_ms - venue.frames(feed, "l2Book")[1]["time"] - FEED_MS <= 2 * STEP_MS


def test_info_and_refusals_take_both_ways() -> None:
    venue = late_venue()
    sent_ms = venue.now_ns // MS
    replies: list[Any] = []
    body = json.dumps({"type": "l2Book", "coin": "ETH"}).encode()
    venue.exchange.ask(body, venue.now_ns, replies.append)
    both = ORDER_MS + ANSWER_MS
    assert 0 <= heard(venue, lambda: bool(replies)) - sent_ms - both <= 2 * STEP_MS
    # Mutant: the book as it was on sending, or as it is on hearing.
    assert 0 <= sent_ms + ORDER_MS - json.loads(replies[0].body)["time"] <= BLOCK_MS
    sent_ms = venue.now_ns // MS
    venue.exchange.act(b"no json", venue.now_ns, replies.append)
    assert 0 <= heard(venue, lambda: len(replies) == 2) - sent_ms - both <= 2 * STEP_MS
    assert replies[1].status == 400


def test_latency_is_one_number_or_three() -> None:
    assert parse_latency("0") == Latency()
    assert parse_latency("20") == Latency(order_ms=20.0, answer_ms=20.0, feed_ms=20.0)
    assert parse_latency("160,300,380.5") == Latency(order_ms=160.0, answer_ms=300.0, feed_ms=380.5)


@pytest.mark.parametrize("text", ["", "fast", "1,2", "1,2,3,4", "-1", "1,2,60001", "nan"])
def test_latency_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfigError, match="--latency-ms"):
        parse_latency(text)
