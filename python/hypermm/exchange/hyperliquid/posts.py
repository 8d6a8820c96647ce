"""Requests over the websocket: which are under way, which wait to be asked, and what their silence means."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypermm.exchange.hyperliquid import encode
from hypermm.exchange.hyperliquid.notices import ActionLost, RequestFailed
from hypermm.exchange.hyperliquid.rate_limit import info_weight
from hypermm.exchange.hyperliquid.streams import NS_PER_S

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable

    import msgspec

    from hypermm.exchange.hyperliquid.account import Query
    from hypermm.exchange.hyperliquid.notices import Notice
    from hypermm.exchange.hyperliquid.rate_limit import IpWeight

__all__ = ["ANSWER_WITHIN_NS", "ASK_AGAIN_NS", "Post", "Posts"]

ANSWER_WITHIN_NS = 10 * NS_PER_S
ASK_AGAIN_NS = 2 * NS_PER_S
# One that fails again and again is asked ever less often: its weight is that of orders too.
_MOST_DOUBLINGS = 3


@dataclass(slots=True)
class Post:
    """A request under way: one of the account's queries, or an action of the keeper's."""

    query: Query | None
    answer_by_ns: int


class Posts:
    """Numbers requests and keeps them until they are answered; a query that fails is asked again, an action is lost.

    Args:
        outgoing: Where frames to send are put.
        notices: Where failures are told.
        weight: Charged for queries, when given; those it has no room for wait.
        limit: Requests the venue takes before it has answered; queries leave a fifth of them to actions.
    """

    def __init__(self, outgoing: deque[bytes], notices: deque[Notice], weight: IpWeight | None, limit: int) -> None:
        self._outgoing = outgoing
        self._notices = notices
        self._weight = weight
        self._next_id = 1
        self._under_way: dict[int, Post] = {}
        self._later: list[tuple[int, Query]] = []
        self._most_with_queries = max(1, limit * 4 // 5)
        self._crowded_out: list[Query] = []
        self._failures: Counter[Query] = Counter()

    def __len__(self) -> int:
        """Requests without an answer yet."""
        return len(self._under_way)

    @property
    def queries(self) -> list[Query]:
        """Queries without an answer yet, those that wait to be asked included."""
        asked = [post.query for post in self._under_way.values() if post.query is not None]
        return asked + [query for _, query in self._later] + self._crowded_out

    def act(self, now_ns: int, envelope: encode.Action | msgspec.Raw) -> int:
        """Sends an action; gives its number."""
        return self._post(now_ns, "action", envelope, None)

    def ask(self, now_ns: int, queries: Iterable[Query], delay_ns: int = 0) -> None:
        """Sends queries, or keeps them: for `delay_ns`, until there is weight for them, until others are answered."""
        for query in queries:
            weight = info_weight(query.kind)
            free_ns = now_ns if self._weight is None else self._weight.free_at_ns(now_ns, weight)
            at_ns = max(now_ns + delay_ns, now_ns if free_ns is None else free_ns)
            if at_ns > now_ns:
                self._later.append((at_ns, query))
                continue
            if len(self._under_way) >= self._most_with_queries:
                self._crowded_out.append(query)
                continue
            if self._weight is not None:
                self._weight.try_spend(now_ns, weight)
            self._post(now_ns, "info", encode.info_request(query.kind, **dict(query.fields)), query)

    def ask_again(self, now_ns: int, query: Query, reason: str) -> None:
        """Tells that a query failed and keeps it for later: 2 s, then 4, 8 and 16."""
        at_ns = now_ns + (ASK_AGAIN_NS << min(self._failures[query], _MOST_DOUBLINGS))
        self._failures[query] += 1
        self._notices.append(RequestFailed(query.kind, reason, at_ns))
        self._later.append((at_ns, query))

    def ask_crowded_out(self, now_ns: int) -> None:
        """Something was answered: there may be room for queries that were kept back."""
        waiting, self._crowded_out = self._crowded_out, []
        self.ask(now_ns, waiting)

    def fail(self, now_ns: int, number: int, post: Post, reason: str) -> None:
        """Tells that a request was refused or not answered; a query is asked again."""
        if post.query is None:
            self._notices.append(ActionLost(number, reason))
        else:
            self.ask_again(now_ns, post.query, reason)

    def take(self, number: int) -> Post | None:
        """The request that is answered; None for one that nobody waits for."""
        return self._under_way.pop(number, None)

    def forget(self, query: Query) -> None:
        """It is answered by another way."""
        self._drop([number for number, post in self._under_way.items() if post.query == query])
        self._later = [(at_ns, later) for at_ns, later in self._later if later != query]
        self._crowded_out = [other for other in self._crowded_out if other != query]

    def forget_queries(self) -> None:
        """No query is wanted any more; actions are."""
        self._drop([number for number, post in self._under_way.items() if post.query is not None])
        self._later.clear()
        self._crowded_out.clear()
        self._failures.clear()

    def gone(self) -> tuple[int, ...]:
        """The connection is lost and all requests with it; gives the numbers of actions without an answer."""
        lost = tuple(number for number, post in self._under_way.items() if post.query is None)
        self._under_way.clear()
        self._later.clear()
        self._crowded_out.clear()
        self._failures.clear()
        return lost

    def advance(self, now_ns: int) -> None:
        """Asks what is due, and gives up waiting for what should have been answered."""
        due = [query for at_ns, query in self._later if at_ns <= now_ns]
        self._later = [(at_ns, query) for at_ns, query in self._later if at_ns > now_ns]
        self.ask(now_ns, due)
        for number in [number for number, post in self._under_way.items() if post.answer_by_ns <= now_ns]:
            self.fail(now_ns, number, self._under_way.pop(number), "no answer")
        self.ask_crowded_out(now_ns)

    def wake_times_ns(self) -> list[int]:
        """When `advance` has something to do."""
        return [at_ns for at_ns, _ in self._later] + [post.answer_by_ns for post in self._under_way.values()]

    def _post(self, now_ns: int, kind: str, payload: encode.Action | msgspec.Raw, query: Query | None) -> int:
        number = self._next_id
        self._next_id += 1
        self._under_way[number] = Post(query, now_ns + ANSWER_WITHIN_NS)
        self._outgoing.append(encode.post(number, kind, payload))
        return number

    def _drop(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._under_way[number]
