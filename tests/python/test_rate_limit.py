"""Budgets are never overdrawn and never kept longer than the venue keeps them; time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermm.exceptions import InvalidInputError
from hypermm.exchange.hyperliquid.rate_limit import (
    AddressBudget,
    IpWeight,
    SlidingWindow,
    SocketCounts,
    SocketLimits,
    exchange_weight,
    info_weight,
    row_weight,
)

S = 1_000_000_000
T0 = 1_700_000_000 * S


@pytest.mark.parametrize(
    ("kind", "weight"),
    [("l2Book", 2), ("clearinghouseState", 2), ("orderStatus", 2), ("userRole", 60), ("meta", 20),
     ("metaAndAssetCtxs", 20), ("openOrders", 20), ("userFillsByTime", 20)],
)  # fmt: skip
def test_weights_of_requests_are_the_published_ones(kind: str, weight: int) -> None:
    assert info_weight(kind) == weight


@pytest.mark.parametrize(("items", "weight"), [(1, 1), (39, 1), (40, 2), (79, 2), (80, 3), (200, 6)])
def test_an_actions_weight_grows_every_forty_items(items: int, weight: int) -> None:
    assert exchange_weight(items) == weight


def test_rows_cost_only_where_the_venue_says_so() -> None:
    assert [row_weight("userFillsByTime", rows) for rows in (0, 19, 20, 2000)] == [0, 0, 1, 100]
    assert row_weight("candleSnapshot", 5000) == 83
    assert row_weight("openOrders", 2000) == 0


@given(st.lists(st.tuples(st.integers(0, 20 * S), st.integers(1, 60)), max_size=80), st.integers(1, 100))
def test_a_window_never_holds_more_than_its_limit(steps: list[tuple[int, int]], limit: int) -> None:
    # Oracle: every sum over every minute, from the list of what was let through. Kills: a window that starts anew on
    # the minute, one that forgets early.
    window, now, through = SlidingWindow(limit), T0, []
    for wait, amount in steps:
        now += wait
        recent = sum(spent for when, spent in through if when > now - 60 * S)
        assert window.used(now) == recent
        allowed = window.try_spend(now, amount)
        assert allowed == (recent + amount <= limit)
        if allowed:
            through.append((now, amount))
    for when, _ in through:
        assert sum(spent for other, spent in through if when - 60 * S < other <= when) <= limit


@given(st.lists(st.tuples(st.integers(0, 20 * S), st.integers(1, 60)), max_size=40), st.integers(1, 120))
def test_free_at_is_the_first_time_it_fits(steps: list[tuple[int, int]], amount: int) -> None:
    window, now = SlidingWindow(100), T0
    for wait, spent in steps:
        now += wait
        window.try_spend(now, spent)
    at = window.free_at_ns(now, amount)
    if amount > 100:
        assert at is None
        return
    assert at is not None
    if at > now:
        assert window.left(at - 1) < amount
    assert window.left(at) >= amount


def test_asking_about_a_time_ahead_forgets_nothing() -> None:
    # Kills: a session that will connect in a while clears the window for all others.
    limits = SocketLimits(SocketCounts(connects_per_minute=3))
    for second in (1, 2, 3):
        limits.connected(T0 + second * S)
    assert limits.connect_at_ns(T0 + 40 * S) == T0 + 61 * S
    assert limits.connect_at_ns(T0 + 65 * S) == T0 + 65 * S
    assert limits.connect_at_ns(T0 + 40 * S) == T0 + 61 * S
    assert limits.connects.used(T0 + 40 * S) == 3


def test_overspending_is_booked_and_waited_off() -> None:
    window = SlidingWindow(10)
    window.spend(T0, 25)
    assert window.left(T0) == 0
    assert window.free_at_ns(T0, 1) == T0 + 60 * S
    assert window.left(T0 + 60 * S) == 10


def test_the_reserve_is_for_urgent_requests_alone() -> None:
    # Kills: cancels that cannot be sent because queries spent the minute.
    weight = IpWeight(1200, reserve=100)
    while weight.try_spend(T0, 20):
        pass
    assert weight.left(T0) == 100
    assert not weight.try_spend(T0, 1)
    assert weight.try_spend(T0, 100, urgent=True)
    assert not weight.try_spend(T0, 1, urgent=True)
    assert weight.free_at_ns(T0, 1) == T0 + 60 * S


def test_rows_of_an_answer_are_charged_afterwards() -> None:
    weight = IpWeight(1200, reserve=0)
    weight.charge_rows(T0, "userFillsByTime", 2000)
    assert weight.left(T0) == 1100


def test_a_spent_account_waits_from_the_last_accepted_action() -> None:
    budget = AddressBudget(used=9_999, cap=10_000)
    assert budget.ready_at_ns(T0, 1) == T0
    budget.accepted(T0, 1)
    assert budget.left() == 0
    assert budget.ready_at_ns(T0 + 1, 1) == T0 + 11 * S
    assert budget.ready_at_ns(T0 + 60 * S, 1) == T0 + 60 * S
    budget.accepted(T0 + 11 * S, 1)
    assert budget.ready_at_ns(T0 + 12 * S, 1) == T0 + 22 * S


@pytest.mark.parametrize(("cap", "limit"), [(10_000, 20_000), (100_000, 200_000), (500_000, 600_000)])
def test_cancels_have_the_larger_limit(cap: int, limit: int) -> None:
    budget = AddressBudget(used=cap, cap=cap)
    assert budget.left() == 0
    assert budget.left(cancels=True) == limit - cap
    budget.accepted(T0, 1)
    assert budget.ready_at_ns(T0 + 1, 1, cancels=True) == T0 + 1


def test_a_batch_larger_than_what_is_left_waits() -> None:
    budget = AddressBudget(used=9_990, cap=10_000)
    budget.accepted(T0, 5)
    assert budget.ready_at_ns(T0 + 1, 5) == T0 + 1
    assert budget.ready_at_ns(T0 + 1, 6) == T0 + 11 * S


def test_volume_buys_requests_and_late_actions_cost_five() -> None:
    budget = AddressBudget()
    budget.traded(1234.9)
    budget.traded(1000.0, growth_mode=True)
    assert budget.left() == 10_000 + 1234 + 100
    budget.expired()
    assert budget.left() == 11_329
    budget.refresh(7, 20_000)
    assert budget.left() == 19_993


def test_the_last_day_counts_what_was_accepted_in_it() -> None:
    budget, day = AddressBudget(), 86_400 * S
    budget.accepted(T0, 3)
    budget.accepted(T0 + 70 * S, 4)
    assert budget.used_last_day(T0 + day - 1) == 7
    assert budget.used_last_day(T0 + day) == 4
    assert budget.used_last_day(T0 + day + 70 * S) == 0
    assert budget.used == 7


@given(st.lists(st.tuples(st.integers(0, 3000 * S), st.integers(1, 40)), max_size=200))
def test_the_last_day_is_right_to_the_minute(steps: list[tuple[int, int]]) -> None:
    # Oracle: sums over the list, a minute shorter and exact. Kills: a bucket dropped or counted twice.
    budget, now, sent = AddressBudget(), T0, []
    for wait, items in steps:
        now += wait
        budget.accepted(now, items)
        sent.append((now, items))
        within = [sum(n for at, n in sent if at > now - span * S) for span in (86_400 - 60, 86_400)]
        assert within[0] <= budget.used_last_day(now) <= within[1]
    assert len(budget._day) <= 24 * 60 + 1


def test_thirty_connections_a_minute_and_no_more() -> None:
    limits, now = SocketLimits(), T0
    times = []
    for _ in range(100):
        now = limits.connect_at_ns(now)
        limits.connected(now)
        times.append(now)
        now += S // 10
    assert all(later - earlier >= 60 * S for earlier, later in zip(times, times[30:], strict=False))
    assert times[29] - times[0] < 60 * S


def test_plans_the_venue_would_not_carry_are_refused() -> None:
    SocketLimits().check_subscriptions(1000, 10)
    for subscriptions, users in ((1001, 1), (1, 11)):
        with pytest.raises(InvalidInputError):
            SocketLimits().check_subscriptions(subscriptions, users)


def test_senseless_budgets_are_refused() -> None:
    for make in (
        lambda: SlidingWindow(0),
        lambda: IpWeight(100, reserve=100),
        lambda: AddressBudget(-1, 5),
    ):
        with pytest.raises(InvalidInputError):
            make()


def test_after_a_429_only_urgent_requests_go_and_each_pause_is_twice_as_long() -> None:
    """Killed by: going on at once after a refusal, a pause that cancels wait for, one that never shortens."""
    weight = IpWeight()
    now = 10 * 60 * S
    for pause_s in (5, 10, 20, 40, 60, 60):
        weight.refused(now)
        assert not weight.try_spend(now + pause_s * S - 1, 2)
        assert weight.free_at_ns(now, 2) == now + pause_s * S
        assert weight.try_spend(now, 2, urgent=True)
        now += pause_s * S
        assert weight.try_spend(now, 2)
    now += 3 * 60 * S
    assert weight.try_spend(now, 2)
    weight.refused(now)
    assert weight.free_at_ns(now, 2) == now + 5 * S
