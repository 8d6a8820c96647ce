"""What the venue lets one address of the internet, and one account, ask for: pure counting, time passed in.

Three budgets, none of which the venue reports while it lasts:

- `IpWeight`: 1200 weight of HTTP requests a minute.
- `AddressBudget`: actions of an account, 10,000 and one for each dollar traded, for ever.
- `SocketLimits`: new connections, messages and subscriptions of all websockets.

A window slides: what was spent counts until a minute after. Times are ns of a clock that does not go back.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from hypermm.exceptions import InvalidInputError

__all__ = ["AddressBudget", "IpWeight", "SlidingWindow", "SocketLimits", "exchange_weight", "info_weight", "row_weight"]

NS_PER_S = 1_000_000_000
MINUTE_NS = 60 * NS_PER_S
FIRST_PAUSE_NS = 5 * NS_PER_S

_LIGHT = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
_ROWS_OF_20 = frozenset(
    {"recentTrades", "historicalOrders", "userFills", "userFillsByTime", "fundingHistory", "userFunding"}
)


def info_weight(kind: str) -> int:
    """Weight of an ``info`` request before its rows are known."""
    if kind in _LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def row_weight(kind: str, rows: int) -> int:
    """What the rows of its answer cost on top: one for every 20 (candles: 60), for the kinds that pay by rows."""
    if kind == "candleSnapshot":
        return rows // 60
    return rows // 20 if kind in _ROWS_OF_20 else 0


def exchange_weight(items: int) -> int:
    """Weight of an action of so many orders, cancels or modifies."""
    return 1 + items // 40


class SlidingWindow:
    """At most `limit` in any `span_ns`.

    Args:
        limit: 1 or more.
        span_ns: Length of the window, ns.
    """

    def __init__(self, limit: int, span_ns: int = MINUTE_NS) -> None:
        if limit < 1 or span_ns < 1:
            raise InvalidInputError(field="limit", value=(limit, span_ns), expected="1 or more, in a span above 0 ns")
        self.limit = limit
        self.span_ns = span_ns
        self._spent: deque[tuple[int, int]] = deque()
        self._sum = 0

    def used(self, now_ns: int) -> int:
        """Spent within the window that ends now; what is older is forgotten."""
        while self._spent and self._spent[0][0] <= now_ns - self.span_ns:
            self._sum -= self._spent.popleft()[1]
        return self._sum

    def left(self, now_ns: int) -> int:
        """What may still be spent now; 0 when more was spent than the limit."""
        return max(0, self.limit - self.used(now_ns))

    def spend(self, now_ns: int, amount: int) -> None:
        """Books what was sent, whether it was allowed or not; what the venue charged afterwards too."""
        if amount > 0:
            self.used(now_ns)
            self._spent.append((now_ns, amount))
            self._sum += amount

    def try_spend(self, now_ns: int, amount: int) -> bool:
        """Books it if there is room for all of it."""
        if amount > self.left(now_ns):
            return False
        self.spend(now_ns, amount)
        return True

    def free_at_ns(self, now_ns: int, amount: int) -> int | None:
        """First time from `now_ns` on, which may lie ahead, at which `amount` fits if nothing else is spent.

        None when it never does.
        """
        if amount > self.limit:
            return None
        # Nothing is forgotten here: others may ask for an earlier time afterwards.
        excess = self._sum + amount - self.limit
        for spent_ns, spent in self._spent:
            if excess <= 0:
                break
            excess -= spent
            now_ns = max(now_ns, spent_ns + self.span_ns)
        return now_ns


class IpWeight:
    """Weight of requests. Charge posts of a websocket too: whether they share it nobody has measured.

    Args:
        limit: Weight a minute.
        reserve: Weight kept for cancels: ordinary requests may not spend it.
    """

    def __init__(self, limit: int = 1200, *, reserve: int = 100) -> None:
        if not 0 <= reserve < limit:
            raise InvalidInputError(field="reserve", value=reserve, expected=f"0 to {limit - 1}")
        self._window = SlidingWindow(limit)
        self._reserve = reserve
        self._paused_until_ns = 0
        self._refused = 0

    def refused(self, now_ns: int) -> None:
        """The venue said 429, whatever was counted here: a pause for all but urgent requests, twice as long each time.

        It tells no time to wait; its own window is a minute.
        """
        pause_ns = min(MINUTE_NS, FIRST_PAUSE_NS << min(self._refused, 8))
        self._refused += 1
        self._paused_until_ns = max(self._paused_until_ns, now_ns + pause_ns)

    def left(self, now_ns: int) -> int:
        """Weight left now, the reserve included."""
        return self._window.left(now_ns)

    def try_spend(self, now_ns: int, weight: int, *, urgent: bool = False) -> bool:
        """Books a request if it fits; only urgent ones may use the reserve."""
        if not urgent and (now_ns < self._paused_until_ns or weight > self._window.left(now_ns) - self._reserve):
            return False
        if self._refused and now_ns >= self._paused_until_ns + MINUTE_NS:
            self._refused = 0
        return self._window.try_spend(now_ns, weight)

    def charge_rows(self, now_ns: int, kind: str, rows: int) -> None:
        """Books what an answer's rows cost."""
        self._window.spend(now_ns, row_weight(kind, rows))

    def free_at_ns(self, now_ns: int, weight: int, *, urgent: bool = False) -> int | None:
        """First time at which the request fits; None when it never does."""
        at_ns = self._window.free_at_ns(now_ns, weight + (0 if urgent else self._reserve))
        return at_ns if urgent or at_ns is None else max(at_ns, self._paused_until_ns)


class AddressBudget:
    """Actions of an account: a batch of n counts n, refused items too, an action refused whole nothing.

    Cancels have a limit of their own, min(limit + 100,000, 2·limit), so that a spent account can still leave the
    market. Beyond the limit one action goes through every `pause_ns`, counted from the last that was accepted.

    Args:
        used: Requests since inception (``userRateLimit``).
        cap: Requests granted.
        pause_ns: Between two actions when spent; the venue's 10 s were measured as 11.
    """

    def __init__(self, used: int = 0, cap: int = 10_000, *, pause_ns: int = 11 * NS_PER_S) -> None:
        self._pause_ns = pause_ns
        self._accepted_ns: int | None = None
        self._day: deque[tuple[int, int]] = deque()
        self._day_sum = 0
        self.refresh(used, cap)

    def refresh(self, used: int, cap: int) -> None:
        """Takes over the venue's own count."""
        if used < 0 or cap < 0:
            raise InvalidInputError(field="used, cap", value=(used, cap), expected="0 or more")
        self.used = used
        self.cap = cap

    def traded(self, notional_usd: float, *, growth_mode: bool = False) -> None:
        """One more request for each dollar traded, a tenth of it in growth mode; whole dollars only, to be careful."""
        self.cap += int(notional_usd * (0.1 if growth_mode else 1.0))

    def left(self, *, cancels: bool = False) -> int:
        """Requests left before the venue makes us wait."""
        limit = min(self.cap + 100_000, 2 * self.cap) if cancels else self.cap
        return max(0, limit - self.used)

    def ready_at_ns(self, now_ns: int, items: int, *, cancels: bool = False) -> int:
        """When an action of so many items may be sent: now within the budget, else when the pause is over."""
        if items <= self.left(cancels=cancels) or self._accepted_ns is None:
            return now_ns
        return max(now_ns, self._accepted_ns + self._pause_ns)

    def accepted(self, now_ns: int, items: int) -> None:
        """Books an action that the venue took, whatever became of its items."""
        self.used += items
        self._accepted_ns = now_ns
        # One entry a minute keeps a day small.
        since = now_ns
        if self._day and now_ns - self._day[-1][0] < MINUTE_NS:
            since, before = self._day.pop()
            items += before
            self._day_sum -= before
        self._day.append((since, items))
        self._day_sum += items

    def expired(self, items: int = 1) -> None:
        """Books an action of so many items that came too late: five each."""
        self.used += 5 * items

    def used_last_day(self, now_ns: int) -> int:
        """Items of actions accepted in the last 24 hours, to the minute, for the engine's price of a request."""
        while self._day and self._day[0][0] <= now_ns - 24 * 60 * MINUTE_NS:
            self._day_sum -= self._day.popleft()[1]
        return self._day_sum


class SocketCounts(Struct, frozen=True):
    """The venue's limits for all websockets of one address of the internet together; `posts` are those under way."""

    connects_per_minute: int = 30
    messages_per_minute: int = 2000
    subscriptions: int = 1000
    users: int = 10
    posts: int = 100


class SocketLimits:
    """Counts what the websockets of this machine do; share one between sessions.

    Args:
        counts: The limits; those published in August 2026 by default.
    """

    def __init__(self, counts: SocketCounts | None = None) -> None:
        self.counts = SocketCounts() if counts is None else counts
        self.connects = SlidingWindow(self.counts.connects_per_minute)
        self.messages = SlidingWindow(self.counts.messages_per_minute)

    def connect_at_ns(self, now_ns: int) -> int:
        """First time at which another connection may be opened."""
        at_ns = self.connects.free_at_ns(now_ns, 1)
        return now_ns if at_ns is None else at_ns

    def connected(self, now_ns: int) -> None:
        """Books a connection, or the attempt at one."""
        self.connects.spend(now_ns, 1)

    def check_subscriptions(self, subscriptions: int, users: int) -> None:
        """Refuses a plan the venue would not carry.

        Raises:
            InvalidInputError: Too many subscriptions or accounts.
        """
        for field, wanted, limit in (
            ("subscriptions", subscriptions, self.counts.subscriptions),
            ("users", users, self.counts.users),
        ):
            if wanted > limit:
                raise InvalidInputError(field=field, value=wanted, expected=f"at most {limit}")
