"""Hyperliquid without sockets and clock: bodies and frames in, replies and frames out, time passed in.

What comes in is looked at once it has arrived, `Latency.order_ms` later; what goes out is told once it is heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from hypermm._core import VenueAnswer
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.hyperliquid.rate_limit import exchange_weight
from hypermm.exchange.loopback.account_info import ACCOUNT_ANSWERS
from hypermm.exchange.loopback.actions import DONE, error, items, send
from hypermm.exchange.loopback.agents import read_approval
from hypermm.exchange.loopback.authority import Authority, Refused, Unreadable, read_envelope
from hypermm.exchange.loopback.feed import Clocks, MarketFeed
from hypermm.exchange.loopback.hub import Hub
from hypermm.exchange.loopback.limits import IpLimits
from hypermm.exchange.loopback.market_info import MARKET_ANSWERS
from hypermm.exchange.loopback.own_feed import OwnFeed
from hypermm.exchange.loopback.requests import InfoRequest, read_info
from hypermm.exchange.loopback.rows import NS_PER_MS
from hypermm.exchange.loopback.world import ServerFault

if TYPE_CHECKING:
    from hypermm.exchange.loopback.event_log import EventLog
    from hypermm.exchange.loopback.faults import FaultPlan
    from hypermm.exchange.loopback.hub import Connection, Post
    from hypermm.exchange.loopback.subscriptions import Subscription
    from hypermm.exchange.loopback.world import World

__all__ = ["Done", "LoopbackExchange", "Reply"]

NS_PER_S = 1_000_000_000
MAX_BLOCKS_AT_ONCE = 400
_NOT_JSON = "Failed to parse the request body as JSON"
_NOT_A_REQUEST = "Failed to deserialize the JSON body into the target type"

Done = Callable[["Reply | None"], None]
Answered = Callable[["Reply | None", int], None]
"""Takes an answer, and when it leaves the venue."""


class Reply(Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes
    is_json: bool = True


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(value))


_TOO_MANY = _json(None, 429)


class LoopbackExchange:
    """The exchange.

    Args:
        world: The venue.
        faults: What goes wrong, when.
        log: Where what it publishes is written down.

    Attributes:
        hub: Its websockets.
    """

    def __init__(self, world: World, faults: FaultPlan, log: EventLog) -> None:
        self._world = world
        self._faults = faults
        self._log = log
        self._authority = Authority(world.settings, world.start_ns // NS_PER_MS)
        self._limits = IpLimits(world.settings.limits)
        latency = world.settings.latency
        coins = frozenset(world.listing.by_coin)
        self.hub = Hub(coins, self._limits, faults, world.start_ns, self._snapshot, latency)
        self._markets = MarketFeed(world, self.hub, log)
        self._own = OwnFeed(world, self.hub, log)
        self._clocks = Clocks(world.start_ns)
        self._order_ns = round(latency.order_ms * NS_PER_MS)
        self._answer_ns = round(latency.answer_ms * NS_PER_MS)
        self._waiting: dict[int, Callable[[VenueAnswer], None]] = {}
        self._arriving: deque[tuple[int, Callable[[int], None]]] = deque()
        self._returning: list[tuple[int, Done, Reply | None]] = []
        self._answers: dict[str, Callable[[InfoRequest], Any]] = {
            "userRole": lambda request: self._authority.role(request.user, world.block_ms),
            "extraAgents": lambda request: self._authority.extra_agents(request.user),
        }

    # --- info ---------------------------------------------------------------------------------------------------

    def ask(self, body: bytes, now_ns: int, done: Done) -> None:
        """Sends the body of an ``info`` request; `done` is called once the answer is heard."""
        self._arrive(now_ns, lambda at_ns: self._return(self.info(body, at_ns), at_ns, done))

    def info(self, body: bytes, now_ns: int) -> Reply:
        """Answers the body of an ``info`` request that has arrived."""
        return self._info(body, now_ns, counts=True)[0]

    def _info(self, body: bytes, now_ns: int, *, counts: bool) -> tuple[Reply, str]:
        try:
            request = read_info(body)
        except msgspec.ValidationError:
            return Reply(422, _NOT_A_REQUEST.encode(), is_json=False), ""
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return Reply(400, _NOT_JSON.encode(), is_json=False), ""
        kind: str = request.kind
        if self._faults.strikes("too_many_requests", self._since_s(now_ns)):
            return _TOO_MANY, kind
        if counts and not self._limits.may_ask(now_ns, kind):
            return _TOO_MANY, kind
        try:
            answer = self._answer(kind, request)
        except ServerFault:
            return _json(None, 500), kind
        if counts and isinstance(answer, list):
            self._limits.answered(now_ns, kind, len(answer))
        return _json(answer), kind

    def _answer(self, kind: str, request: InfoRequest) -> Any:
        own = self._answers.get(kind)
        if own is not None:
            return own(request)
        return (ACCOUNT_ANSWERS.get(kind) or MARKET_ANSWERS[kind])(self._world, request)

    def _since_s(self, now_ns: int) -> float:
        return (now_ns - self._world.start_ns) / NS_PER_S

    # --- actions ------------------------------------------------------------------------------------------------

    def act(self, body: bytes, now_ns: int, done: Done) -> None:
        """Sends the body of an ``exchange`` request.

        Args:
            body: The signed action.
            now_ns: Now.
            done: Called with the answer once it is heard; with None when it gets lost.
        """

        def answered(reply: Reply | None, at_ns: int) -> None:
            self._return(reply, at_ns, done)

        self._arrive(now_ns, lambda at_ns: self._act(body, at_ns, answered, counts=True))

    def _act(self, body: bytes, now_ns: int, done: Answered, *, counts: bool) -> None:
        """Carries out an action that has arrived; `counts`: it has a weight."""
        now_s = self._since_s(now_ns)
        if self._faults.strikes("too_many_requests", now_s):
            done(_TOO_MANY, now_ns)
            return
        try:
            envelope = read_envelope(body)
            if counts and not self._limits.may_act(now_ns, exchange_weight(_count(envelope.action))):
                done(_TOO_MANY, now_ns)
                return
            approval = read_approval(envelope.action)
            if approval is not None:
                self._authority.approve(envelope, approval, now_ns // NS_PER_MS)
                done(_json(DONE), now_ns)
                return
            authorized = self._authority.authorize(envelope, now_ns // NS_PER_MS)
        except Unreadable as unreadable:
            done(Reply(unreadable.status, unreadable.text.encode(), is_json=False), now_ns)
            return
        except Refused as refused:
            done(_json(error(refused.text)), now_ns)
            return
        refuse_post_only = self._faults.strikes("refuse_post_only", now_s)
        is_lost = self._faults.strikes("lose_ack", now_s)
        try:
            sent = send(self._world, authorized, now_ns, refuse_post_only=refuse_post_only)
        except InvalidInputError:
            done(Reply(422, _NOT_A_REQUEST.encode(), is_json=False), now_ns)
            return

        def answered(answer: VenueAnswer | None, at_ns: int) -> None:
            done(None if is_lost else _json(sent.answer(answer)), at_ns)

        if sent.request_id is None:
            answered(None, now_ns)
        else:
            self._waiting[sent.request_id] = lambda answer: answered(answer, answer.time_ns)

    # --- websocket ----------------------------------------------------------------------------------------------

    def receive(self, connection: Connection, frame: bytes | str, now_ns: int) -> None:
        """Takes a frame of a client; what it brings lies ready in the connection."""
        self._arrive(now_ns, lambda at_ns: self._receive(connection, frame, at_ns))

    def _receive(self, connection: Connection, frame: bytes | str, now_ns: int) -> None:
        post = self.hub.receive(connection, frame, now_ns)
        if post is None:
            return
        payload = bytes(post.request.payload)
        if post.request.type == "info":
            reply, kind = self._info(payload, now_ns, counts=False)
            self._answer_post(post, reply, "info", kind, now_ns)
        else:
            self._act(payload, now_ns, lambda reply, at_ns: self._acted(post, reply, at_ns), counts=False)

    def _acted(self, post: Post, reply: Reply | None, now_ns: int) -> None:
        if reply is None:
            self.hub.abandon(post)
        else:
            self._answer_post(post, reply, "action", "", now_ns)

    def _answer_post(self, post: Post, reply: Reply, channel: str, kind: str, now_ns: int) -> None:
        if reply.status != HTTPStatus.OK:
            text = f"{reply.status} {HTTPStatus(reply.status).phrase}"
            self.hub.answer(post, "error", text, now_ns)
        elif channel == "info":
            self.hub.answer(post, "info", {"type": kind, "data": msgspec.Raw(reply.body)}, now_ns)
        else:
            self.hub.answer(post, "action", msgspec.Raw(reply.body), now_ns)

    def _snapshot(self, subscription: Subscription) -> list[Any]:
        return [*self._markets.snapshot(subscription), *self._own.snapshot(subscription)]

    # --- time ---------------------------------------------------------------------------------------------------

    def _arrive(self, now_ns: int, take: Callable[[int], None]) -> None:
        """Has something of a client looked at once it has arrived, which `take` is told the time of."""
        if self._order_ns == 0:
            take(now_ns)
        else:
            self._arriving.append((now_ns + self._order_ns, take))

    def _take_arrived(self, until_ns: int) -> None:
        while self._arriving and self._arriving[0][0] <= until_ns:
            at_ns, take = self._arriving.popleft()
            take(at_ns)

    def _return(self, reply: Reply | None, at_ns: int, done: Done) -> None:
        """Tells an answer once it is heard."""
        if self._answer_ns == 0:
            done(reply)
        else:
            self._returning.append((at_ns + self._answer_ns, done, reply))

    def _tell_heard(self, now_ns: int) -> None:
        heard = [(done, reply) for at_ns, done, reply in self._returning if at_ns <= now_ns]
        self._returning = [entry for entry in self._returning if entry[0] > now_ns]
        for done, reply in heard:
            done(reply)

    def advance(self, now_ns: int) -> float:
        """Makes the blocks due and publishes them.

        Returns:
            Seconds to be away from now on, all sockets cut; 0 to stay.
        """
        venue = self._world.venue
        answers: list[VenueAnswer] = []
        for _ in range(MAX_BLOCKS_AT_ONCE):
            block_ns = venue.next_block_ns
            if block_ns > now_ns:
                break
            self._take_arrived(block_ns)
            self._world.block_ns = block_ns
            events = venue.advance(block_ns)
            due = self._clocks.due(block_ns)
            self._own.publish(events, due, block_ns)
            self._markets.publish(events, due, block_ns)
            answers += [event for event in events if isinstance(event, VenueAnswer)]
        for answer in answers:
            answered = self._waiting.pop(answer.request_id, None)
            if answered is not None:
                answered(answer)
        self._take_arrived(now_ns)
        self._tell_heard(now_ns)
        self._log.flush()
        self.hub.advance(now_ns)
        cut, away_s = self._faults.advance(self._since_s(now_ns))
        if cut:
            self.hub.cut_all()
        return away_s

    def close(self) -> None:
        """Writes the log to its end."""
        self._log.flush()


def _count(action: bytes | msgspec.Raw) -> int:
    """How many items an action has that is not checked yet."""
    try:
        read = msgspec.json.decode(action)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 1
    return items(read) if isinstance(read, dict) else 1
