"""Orders never go to another's account, late or stale; cancels go out whatever stands in their way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from fake_exchange import FakeExchange
from hypermm.exceptions import AnswerLostError, InvalidInputError, NonceError, VenueError
from hypermm.exchange.hyperliquid import clock as clock_module
from hypermm.exchange.hyperliquid import gateway as gateway_module
from hypermm.exchange.hyperliquid import http as http_module
from hypermm.exchange.hyperliquid import lost_orders as lost_orders_module
from hypermm.exchange.hyperliquid.clock import WallClock
from hypermm.exchange.hyperliquid.endpoint import endpoint
from hypermm.exchange.hyperliquid.notices import ActionLost
from hypermm.exchange.hyperliquid.rate_limit import AddressBudget, IpWeight
from hypermm.exchange.orders import CancelOrder, OutcomeKind, Refusal, ReplaceOrder
from test_gateway import ACCOUNT, Rig, order, run, sent

S = 1_000_000_000
CANCELED = {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}}


@pytest.fixture
def venue() -> Any:
    with FakeExchange(seed=12) as made:
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of hundredths of a second."""
    monkeypatch.setattr(gateway_module, "AGAIN_AFTER_S", 0.01)
    monkeypatch.setattr(gateway_module, "AGAIN_WHEN_SPENT_S", 0.05)
    monkeypatch.setattr(http_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lost_orders_module, "LOOK_AGAIN_S", 0.05)


def over_http(venue: FakeExchange, folder: Path, act: Callable[[Rig], Any], **settings: Any) -> Any:
    return run(venue, folder, act, websocket=False, **settings)


def test_orders_signed_for_one_account_are_not_asked_for_at_another(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: a sub-account's address as vault beside its master's as account."""

    async def nothing(made: Rig) -> Any:
        return made.gateway.vault_address

    with pytest.raises(InvalidInputError, match="vault_address"):
        over_http(venue, tmp_path / "a", nothing, vault_address="0x" + "cd" * 20)
    assert over_http(venue, tmp_path / "b", nothing, vault_address=ACCOUNT.upper().replace("0X", "0x")) == ACCOUNT


# --- an account whose requests are used up ----------------------------------------------------------------------


class Spent:
    """The cancels' limit as the venue has it: what is left, then one of a single item every `pause_s`."""

    def __init__(self, left: int, pause_s: float = 0.15) -> None:
        self.used, self.limit, self.pause_s = 20_000 - left, 20_000, pause_s
        self.last_s = time.monotonic()
        self.refused: list[int] = []
        self.canceled: list[int] = []
        self.sizes: list[int] = []

    def cancel(self, payload: dict[str, Any]) -> Any:
        rows = payload["action"]["cancels"]
        waited = time.monotonic() - self.last_s >= self.pause_s and len(rows) == 1
        if self.used + len(rows) > self.limit and not waited:
            self.refused.append(len(rows))
            numbers = f"({self.used + len(rows)} > {self.limit})"
            text = f"Too many cumulative requests sent {numbers} for cumulative volume traded $0.00. Place taker"
            return {"status": "err", "response": text}
        self.used, self.last_s = self.used + len(rows), time.monotonic()
        self.canceled += [row["o"] for row in rows]
        self.sizes.append(len(rows))
        return {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"] * len(rows)}}}

    def count(self, _: dict[str, Any]) -> Any:
        return {"cumVlm": "0.0", "nRequestsUsed": self.used, "nRequestsCap": 10_000, "nRequestsSurplus": 0}


@pytest.mark.usefixtures("quick")
def test_a_spent_account_cancels_a_batch_in_parts_and_one_at_a_time(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: a batch that waits and is then refused whole; two batches that meet in one slot."""
    limit = Spent(left=2, pause_s=0.12)
    venue.answers |= {"cancel": limit.cancel, "userRateLimit": limit.count}

    async def act(made: Rig) -> Any:
        made.gateway.budget = AddressBudget(limit.used, 10_000, pause_ns=S * 17 // 100)
        made.gateway.budget.accepted(made.http.clock(), 0)
        both = [[CancelOrder("ETH", oid) for oid in oids] for oids in ((1, 2, 3, 4), (5, 6, 7))]
        return await asyncio.gather(*(made.gateway.cancel(orders) for orders in both))

    outcomes = over_http(venue, tmp_path, act)
    assert [row.kind for told in outcomes for row in told] == [OutcomeKind.ACCEPTED] * 7
    assert sorted(limit.canceled) == [1, 2, 3, 4, 5, 6, 7]
    assert limit.refused == []
    assert limit.sizes == [2, 1, 1, 1, 1, 1]


@pytest.mark.usefixtures("quick")
def test_one_lost_answer_among_slow_cancels_leaves_none_untried(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: the loss of one answer ending the rest of a batch."""
    limit = Spent(left=1, pause_s=0.02)
    venue.answers |= {"cancel": limit.cancel, "userRateLimit": limit.count}

    async def act(made: Rig) -> Any:
        made.gateway.budget = AddressBudget(limit.used, 10_000, pause_ns=S * 4 // 100)
        made.gateway.budget.accepted(made.http.clock(), 0)
        insist = made.gateway._insist

        async def losing(action: Any, items: int, expires_ms: int | None) -> Any:
            told = await insist(action, items, expires_ms)
            if any(row["o"] == 2 for row in action["cancels"]):
                raise AnswerLostError(field="post", value="no answer", expected="an answer")
            return told

        monkeypatch.setattr(made.gateway, "_insist", losing)
        return await made.gateway.cancel([CancelOrder("ETH", oid) for oid in (1, 2, 3, 4)])

    with pytest.raises(AnswerLostError):
        over_http(venue, tmp_path, act)
    assert limit.canceled == [1, 2, 3, 4]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("is_counted", [True, False])
def test_a_cancel_refused_for_another_s_request_goes_out_and_leaves_the_count_right(
    venue: FakeExchange, tmp_path: Path, is_counted: bool
) -> None:
    """Killed by: the numbers of a refused cancel taken for those of orders, a refusal that ends the matter, a count
    that is not made anew after it, a batch that is sent again and again when there is none."""
    limit = Spent(left=0)
    venue.answers |= {"cancel": limit.cancel, "userRateLimit": limit.count if is_counted else {"no": "count"}}

    async def act(made: Rig) -> Any:
        # We believe there is room, twice over; somebody else has had it.
        made.gateway.budget = AddressBudget(0, 10_000, pause_ns=S * 17 // 100)
        made.gateway._recount_at_ns = made.http.clock() + 3600 * S
        limit.last_s = time.monotonic()
        outcomes = await made.gateway.cancel([CancelOrder("ETH", 1), CancelOrder("ETH", 2)])
        limit.last_s = time.monotonic()
        outcomes += await made.gateway.cancel([CancelOrder("ETH", 3)])
        return outcomes, made.gateway.budget.cap, made.gateway.budget.used

    outcomes, cap, used = over_http(venue, tmp_path, act)
    assert [row.kind for row in outcomes] == [OutcomeKind.ACCEPTED] * 3
    assert limit.canceled == [1, 2, 3]
    assert limit.refused[0] == 2
    assert cap == 10_000
    assert used == (limit.used if is_counted else 3)


@pytest.mark.usefixtures("quick")
def test_a_venue_that_never_lets_a_cancel_through_is_told_in_the_end(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: trying for ever."""
    monkeypatch.setattr(gateway_module, "TRIES_WHEN_SPENT", 3)
    limit = Spent(left=0, pause_s=1e9)
    venue.answers |= {"cancel": limit.cancel, "userRateLimit": limit.count}

    async def act(made: Rig) -> Any:
        made.gateway.budget = AddressBudget(20_000, 10_000, pause_ns=1)
        return await made.gateway.cancel([CancelOrder("ETH", 1), CancelOrder("ETH", 2)])

    outcomes = over_http(venue, tmp_path, act)
    assert [row.refusal for row in outcomes] == [Refusal.RATE_LIMIT] * 2
    assert limit.refused == [1, 1, 1]


def test_the_dead_man_switch_is_set_when_all_requests_are_used_up(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: a safety net refused here, kept out of what is kept for cancels, or given up after one way."""

    async def act(made: Rig) -> Any:
        gateway, weight = made.gateway, made.http.weight
        gateway.budget = AddressBudget(30_000, 10_000)
        gateway.budget.accepted(made.http.clock(), 1)
        while weight.try_spend(made.http.clock(), 1):
            pass
        venue.statuses = {"scheduleCancel": [502]}
        set_ = await gateway.schedule_cancel(2_000_000_000_000)
        return set_, await gateway.schedule_cancel(None)

    outcomes = over_http(venue, tmp_path, act)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 2
    first, again, taken_back = sent(venue, "scheduleCancel")
    assert first["action"] == again["action"] == {"type": "scheduleCancel", "time": 2_000_000_000_000}
    assert "expiresAfter" not in first
    # Late, it would take a later one back.
    assert taken_back["expiresAfter"] > 0


# --- time -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_an_order_does_not_wait_for_a_count_of_requests(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: a price sent ten seconds after it was decided, its expiry counted from then."""
    monkeypatch.setattr(gateway_module, "RECOUNT_WITHIN_S", 0.3)

    async def act(made: Rig) -> Any:
        gateway = made.gateway
        real = made.http.info

        async def slow(kind: str, **fields: Any) -> Any:
            await asyncio.sleep(wait_s)
            return await real(kind, **fields)

        monkeypatch.setattr(made.http, "info", slow)
        gateway.budget = AddressBudget(10_000, 10_000)
        gateway.budget.accepted(made.http.clock(), 1)
        wait_s, began_s = 60.0, time.monotonic()
        refused = await gateway.place([order(2900.0)])
        assert time.monotonic() - began_s < 1.0
        # A count that comes in time, and expiries from before it.
        wait_s, gateway._recount_at_ns, began_ms = 0.04, 0, time.time_ns() // 10**6
        placed = await gateway.place([order(2900.0)])
        assert time.time_ns() // 10**6 - began_ms >= 40
        gateway._expires_ns, gateway.budget.used, gateway._recount_at_ns = S // 100, 20_000, 0
        late = await gateway.replace([ReplaceOrder(placed[0].venue_id or 0, order(2901.0))])
        return refused, placed, late, began_ms

    refused, placed, late, began_ms = over_http(venue, tmp_path, act)
    assert refused[0].refusal is Refusal.RATE_LIMIT
    assert placed[0].kind is OutcomeKind.RESTING
    assert sent(venue, "order")[0]["expiresAfter"] - began_ms in range(5000, 5040)
    assert late[0].refusal is Refusal.EXPIRED
    assert len(venue.actions) == 1


def test_cancels_do_not_expire(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: every cancel refused while our clock is slow, when orders rest that nobody can take away."""

    def cancel(payload: dict[str, Any]) -> Any:
        late = payload.get("expiresAfter", 10**15) < time.time() * 1e3
        return {"status": "err", "response": "Action already expired"} if late else CANCELED

    venue.answers |= {"cancel": cancel, "cancelByCloid": cancel}

    async def act(made: Rig) -> Any:
        gateway = made.gateway
        gateway._clock = lambda: time.time_ns() - 3600 * S
        gateway._machine_clock = gateway._clock
        return await gateway.cancel([CancelOrder("ETH", 5), CancelOrder("ETH", "0x" + "0" * 32)])

    assert [row.kind for row in over_http(venue, tmp_path, act)] == [OutcomeKind.ACCEPTED] * 2


def test_once_the_clock_is_set_back_orders_end_by_the_machine_s(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: an end as far in the future as our own clock, which does not go back, is ahead of the machine's."""

    class SetBack:
        monotonic_ns = staticmethod(time.monotonic_ns)
        back_ns = -60 * S

        @classmethod
        def time_ns(cls) -> int:
            return time.time_ns() - cls.back_ns

    monkeypatch.setattr(clock_module, "time", SetBack)

    async def act(made: Rig) -> Any:
        assert isinstance(made.http.clock, WallClock)
        assert made.http.clock() - time.time_ns() > 59 * S
        SetBack.back_ns = 0
        before_ms = time.time_ns() // 10**6
        assert (await made.gateway.place([order(2900.0)]))[0].kind is OutcomeKind.RESTING
        assert made.http.clock() - time.time_ns() > 59 * S
        return before_ms

    before_ms = over_http(venue, tmp_path, act)
    assert 5000 <= sent(venue, "order")[0]["expiresAfter"] - before_ms < 7000


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("behind_s", "expected"), [(0.0, Refusal.EXPIRED), (600.0, None)])
def test_an_order_can_arrive_until_the_venue_s_own_clock_is_past_its_end(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind_s: float, expected: Refusal | None
) -> None:
    """Killed by: "it never arrived" by a clock that is ahead of the venue's."""
    monkeypatch.setattr(lost_orders_module, "GIVE_UP_AFTER_S", 0.4)
    venue.clock_offset_s = -behind_s
    venue.statuses = {"order": [408]}

    async def act(made: Rig) -> Any:
        return await made.gateway.place([order(2900.0)])

    settings = {"expires_after_s": 0.1, "clock_tolerance_s": 0.2}
    if expected is None:
        with pytest.raises(AnswerLostError, match="still under way"):
            over_http(venue, tmp_path, act, **settings)
    else:
        assert over_http(venue, tmp_path, act, **settings)[0].refusal is expected
    assert venue.asked["http orderStatus"] > 2


# --- the way to the venue ---------------------------------------------------------------------------------------


def test_a_request_that_timed_out_at_the_venue_may_have_been_carried_out(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: every status of 4xx taken for "not carried out", 408 of a post too."""

    async def act(made: Rig) -> Any:
        venue.lose_answers = True
        placing = asyncio.create_task(made.gateway.place([order(2900.0)]))
        while not venue.actions:
            await asyncio.sleep(0.01)
        [number] = made.gateway._waiting
        made.gateway._on_notice(0, ActionLost(number, '"408 Request Timeout"'))
        return await placing

    assert run(venue, tmp_path, act)[0].kind is OutcomeKind.RESTING


@pytest.mark.usefixtures("quick")
def test_a_cancel_that_is_not_taken_is_sent_again(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: a cancel given up for one 429, or for what was counted here."""

    async def act(made: Rig) -> Any:
        venue.statuses = {"cancel": [429]}
        first = await made.gateway.cancel([CancelOrder("ETH", 5)])
        # All of a minute's weight, free again in a moment.
        made.http.weight = IpWeight()
        made.http.weight._window.spend(made.http.clock() - 59_900_000_000, 1200)
        second = await made.gateway.cancel([CancelOrder("ETH", 6)])
        venue.statuses = {"cancel": [429, 429]}
        third = await made.gateway.cancel([CancelOrder("ETH", 7)])
        return [*first, *second, *third]

    outcomes = over_http(venue, tmp_path, act)
    assert [outcome.refusal for outcome in outcomes] == [None, None, Refusal.RATE_LIMIT]
    assert [row["action"]["cancels"][0]["o"] for row in venue.actions] == [5, 6]


def test_what_is_signed_is_not_carried_to_where_a_redirect_leads(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: the signed body sent to another host, a POST that becomes a GET whose answer is believed."""
    got: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        got.append(request.method + request.path)
        return web.json_response([])

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(location=f"/elsewhere{request.path}")

    async def act(made: Rig) -> Any:
        app = web.Application()
        app.router.add_post("/exchange", away)
        app.router.add_post("/info", away)
        app.router.add_route("*", "/elsewhere/{any}", elsewhere)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.http.venue = endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}")
        placed = await made.gateway.place([order(2900.0)])
        with pytest.raises(VenueError, match="HTTP 307"):
            await made.http.info("meta")
        await runner.cleanup()
        return placed

    assert over_http(venue, tmp_path, act)[0].kind is OutcomeKind.REFUSED
    assert got == []


def test_a_cancel_goes_out_when_the_disk_is_full_and_an_order_does_not(
    venue: FakeExchange, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed by: orders that cannot be taken away; a nonce without a bound for what may not come twice."""

    async def act(made: Rig) -> Any:
        (tmp_path / "nonces" / f"{made.signer.address}.new").mkdir()
        with pytest.raises(NonceError):
            await made.gateway.place([order(2900.0)])
        outcomes = await made.gateway.cancel([CancelOrder("ETH", 5)])
        return [*outcomes, await made.gateway.schedule_cancel(2_000_000_000_000)]

    with caplog.at_level(logging.WARNING):
        outcomes = over_http(venue, tmp_path, act)
    assert [row.kind for row in outcomes] == [OutcomeKind.ACCEPTED] * 2
    assert [row["action"]["type"] for row in venue.actions] == ["cancel", "scheduleCancel"]
    assert caplog.text.count("a cancel goes out") == 2


# --- what is to be canceled -------------------------------------------------------------------------------------


def test_trigger_orders_are_canceled_apart_and_not_fast(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: the fast mark on a trigger order, which refuses the whole batch at the venue."""
    row = {"coin": "ETH", "side": "B", "limitPx": "1.0", "sz": "1.0", "timestamp": 1}
    rows = [row | {"oid": 50}, row | {"oid": 51, "isTrigger": True, "triggerPx": "5.0", "tif": None}, row | {"oid": 52}]
    venue.answers["frontendOpenOrders"] = lambda payload: [] if payload.get("dex") else rows

    async def act(made: Rig) -> Any:
        return await made.gateway.cancel_all()

    assert [outcome.kind for outcome in over_http(venue, tmp_path, act)] == [OutcomeKind.ACCEPTED] * 3
    plain, triggers = (payload["action"] for payload in venue.actions)
    assert plain == {"type": "cancel", "cancels": [{"a": 1, "o": 50}, {"a": 1, "o": 52}], "f": True}
    assert triggers == {"type": "cancel", "cancels": [{"a": 1, "o": 51}]}


def test_triggers_are_canceled_though_the_answer_of_the_others_is_lost(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: the loss of one answer leaving the trigger orders."""
    row = {"coin": "ETH", "side": "B", "limitPx": "1.0", "sz": "1.0", "timestamp": 1}
    rows = [row | {"oid": 50}, row | {"oid": 51, "isTrigger": True, "triggerPx": "5.0", "tif": None}]
    venue.answers["frontendOpenOrders"] = lambda payload: [] if payload.get("dex") else rows

    async def act(made: Rig) -> Any:
        insist = made.gateway._insist

        async def losing(action: Any, items: int, expires_ms: int | None) -> Any:
            told = await insist(action, items, expires_ms)
            if "f" in action:
                raise AnswerLostError(field="post", value="no answer", expected="an answer")
            return told

        monkeypatch.setattr(made.gateway, "_insist", losing)
        return await made.gateway.cancel_all()

    with pytest.raises(AnswerLostError):
        over_http(venue, tmp_path, act)
    assert [payload["action"]["cancels"][0]["o"] for payload in venue.actions] == [50, 51]


@pytest.mark.usefixtures("quick")
def test_a_dex_that_does_not_tell_its_orders_keeps_none_of_the_others(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: orders left resting everywhere because one listing failed."""
    row = {"coin": "ETH", "side": "B", "limitPx": "1.0", "sz": "1.0", "oid": 50, "timestamp": 1}
    venue.answers["frontendOpenOrders"] = lambda payload: {"no": "list"} if payload.get("dex") else [row]

    async def act(made: Rig) -> None:
        with pytest.raises(ValueError, match="frontendOpenOrders"):
            await made.gateway.cancel_all()

    over_http(venue, tmp_path, act)
    assert [payload["action"]["cancels"] for payload in venue.actions] == [[{"a": 1, "o": 50}]]


def test_numbers_of_any_integer_type_are_canceled_and_nothing_goes_out_with_what_is_none(
    venue: FakeExchange, tmp_path: Path
) -> None:
    """Killed by: numpy's numbers passed over, a KeyError after the others were sent."""

    async def act(made: Rig) -> Any:
        gateway, known = made.gateway, CancelOrder("ETH", 5)
        for bad in (True, 5.0, -1, 2**64, None, "5"):
            with pytest.raises(InvalidInputError, match=r"order_id|client_id"):
                await gateway.cancel([known, CancelOrder("ETH", bad)])  # type: ignore[arg-type]
        for call in (
            gateway.cancel([known, CancelOrder("DOGE", 5)]),
            gateway.place([order(2900.0), order(2900.0, coin="DOGE")]),
            gateway.replace([ReplaceOrder(5, order(2900.0, coin="DOGE"))]),
            gateway.update_leverage("DOGE", 3, is_cross=True),
        ):
            with pytest.raises(InvalidInputError, match="coin = DOGE"):
                await call
        assert not venue.actions
        return await gateway.cancel([known, CancelOrder("ETH", np.int64(6))])  # type: ignore[arg-type]

    assert [row.kind for row in over_http(venue, tmp_path, act)] == [OutcomeKind.ACCEPTED] * 2
    assert [row["o"] for row in venue.actions[0]["action"]["cancels"]] == [5, 6]
