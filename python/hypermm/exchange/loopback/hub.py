"""The websockets of the venue, without sockets: frames in, frames out, each with the time it may leave.

Subscriptions, acknowledgements, errors, pings, posts and the rule of silence are the venue's; what is published comes
from outside. Between a frame and its socket stand the faults.
"""

from __future__ import annotations

from bisect import bisect_right, insort_right
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from hypermm.exchange.loopback import subscriptions as wanted
from hypermm.exchange.loopback.rows import NS_PER_MS
from hypermm.exchange.loopback.settings import Latency
from hypermm.exchange.loopback.subscriptions import is_fatal, read_message, spelled_out

if TYPE_CHECKING:
    from hypermm.exchange.loopback.faults import FaultPlan
    from hypermm.exchange.loopback.limits import IpLimits
    from hypermm.exchange.loopback.subscriptions import Message, PostRequest, Subscription

__all__ = ["Connection", "Hub", "Post"]

NS_PER_S = 1_000_000_000
SILENCE_NS = 60 * NS_PER_S
MAX_QUEUED = 20_000
_ANSWERS = frozenset({"pong", "post", "error"})
"""Channels as late as answers; all others are as late as what is published, acknowledgements to stay ahead of it."""
Kind = TypeVar("Kind", bound=msgspec.Struct)


class Post(NamedTuple):
    """A request that came by websocket, to be answered by `Hub.answer`."""

    connection: Connection
    id: int
    request: PostRequest


class Connection:
    """A websocket.

    Attributes:
        is_cut: The venue dropped it without a word; whoever holds the socket has to.
    """

    def __init__(self, number: int, now_ns: int) -> None:
        self.number = number
        self.is_cut = False
        self.subscriptions: dict[Subscription, None] = {}
        self._queue: list[tuple[int, bytes]] = []
        self._held: list[bytes] = []
        self._free_ns = 0
        self._sent_ns = now_ns

    def put(
        self,
        now_ns: int,
        frame: bytes,
        *,
        copies: int = 1,
        behind_next: bool = False,
        delay_ns: int = 0,
        latency_ns: int = 0,
    ) -> None:
        """Queues a frame; frames are heard in order of time, those of one time in the order they were queued in.

        Args:
            now_ns: Now.
            frame: What to send.
            copies: How many times.
            behind_next: Only after the next one.
            delay_ns: How long it is held up, with all behind it.
            latency_ns: How long it then takes; frames that take less overtake it.
        """
        self._free_ns = max(self._free_ns, now_ns + delay_ns)
        if behind_next:
            self._held.append(frame)
            return
        heard_ns = self._free_ns + latency_ns
        for queued in [frame] * copies + self._held:
            insort_right(self._queue, (heard_ns, queued), key=itemgetter(0))
        self._held.clear()
        if len(self._queue) > MAX_QUEUED:
            self.is_cut = True

    def take(self, now_ns: int) -> list[bytes]:
        """Frames heard by now."""
        due = bisect_right(self._queue, now_ns, key=itemgetter(0))
        frames = [frame for _, frame in self._queue[:due]]
        if frames:
            del self._queue[:due]
            self._sent_ns = now_ns
        return frames

    def is_silent(self, now_ns: int) -> bool:
        """The venue has sent nothing for so long that it closes the socket."""
        return now_ns - self._sent_ns >= SILENCE_NS


class Hub:
    """All websockets.

    Args:
        coins: Every coin that can be subscribed to, delisted ones too.
        limits: Limits of the address they come from.
        faults: What goes wrong, when.
        start_ns: Time at which the exchange started; faults count from it.
        snapshot: Called with a new subscription: the payloads of its channel that come at once.
        latency: How late what is said back and what is published is heard.
    """

    def __init__(
        self,
        coins: frozenset[str],
        limits: IpLimits,
        faults: FaultPlan,
        start_ns: int,
        snapshot: Callable[[Subscription], list[Any]],
        latency: Latency = Latency(),  # noqa: B008 - frozen
    ) -> None:
        self._coins = coins
        self._dexes = {coin.rpartition(":")[0] for coin in coins}
        self._limits = limits
        self._faults = faults
        self._start_ns = start_ns
        self._snapshot = snapshot
        self._answer_ns = round(latency.answer_ms * NS_PER_MS)
        self._feed_ns = round(latency.feed_ms * NS_PER_MS)
        self._connections: dict[int, Connection] = {}
        self._listeners: dict[Subscription, dict[int, Connection]] = {}
        self._pending: set[tuple[int, int]] = set()
        self._next = 1

    # --- sockets ------------------------------------------------------------------------------------------------

    def connect(self, now_ns: int) -> Connection | None:
        """A new websocket; None when there are too many."""
        if not self._limits.may_connect(now_ns, len(self._connections)):
            return None
        connection = Connection(self._next, now_ns)
        self._connections[self._next] = connection
        self._next += 1
        return connection

    def disconnect(self, connection: Connection) -> None:
        """The socket is gone."""
        connection.is_cut = True
        self._connections.pop(connection.number, None)
        for subscription in connection.subscriptions:
            self._forget(subscription, connection)
        connection.subscriptions.clear()
        self._pending = {post for post in self._pending if post[0] != connection.number}

    def cut_all(self) -> None:
        """Drops every websocket."""
        for connection in self._connections.values():
            connection.is_cut = True

    def advance(self, now_ns: int) -> None:
        """Drops the websockets the venue has been silent on for too long."""
        for connection in self._connections.values():
            if connection.is_silent(now_ns):
                connection.is_cut = True

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        return list(self._connections.values())

    # --- frames in ----------------------------------------------------------------------------------------------

    def receive(self, connection: Connection, frame: bytes | str, now_ns: int) -> Post | None:
        """Takes a client's frame; a post comes out, to be answered."""
        if connection.is_cut:
            return None
        if not self._limits.may_say(now_ns):
            limit = self._limits.limits.messages_per_minute
            self._error(connection, now_ns, f"Cannot send more than {limit} messages per minute.")
            return None
        message = read_message(frame)
        if message is None:
            shown = frame if isinstance(frame, str) else frame.decode(errors="replace")
            self._error(connection, now_ns, f"Error parsing JSON into valid websocket request: {shown}")
        elif message.method == "ping":
            self._send(connection, now_ns, "pong", None, b'{"channel":"pong"}')
        elif message.method == "post":
            return self._post(connection, message, now_ns)
        elif message.method == "subscribe":
            self._subscribe(connection, message.subscription, now_ns)
        else:
            self._unsubscribe(connection, message.subscription, now_ns)
        return None

    def _post(self, connection: Connection, message: Message, now_ns: int) -> Post | None:
        if isinstance(message.id, msgspec.UnsetType) or isinstance(message.request, msgspec.UnsetType):
            return None
        if len(self._pending) >= self._limits.limits.pending_posts:
            self._error(connection, now_ns, f"too many pending post requests id={message.id}")
            return None
        self._pending.add((connection.number, message.id))
        return Post(connection, message.id, message.request)

    def _subscribe(self, connection: Connection, subscription: Any, now_ns: int) -> None:
        if is_fatal(subscription, self._coins):
            connection.is_cut = True
            return
        refusal = self._refusal(connection, subscription)
        if refusal is not None:
            self._error(connection, now_ns, refusal)
            return
        connection.subscriptions[subscription] = None
        self._listeners.setdefault(subscription, {})[connection.number] = connection
        self._acknowledge(connection, "subscribe", subscription, now_ns)
        for payload in self._snapshot(subscription):
            self._to(connection, subscription, payload, now_ns)

    def _refusal(self, connection: Connection, subscription: Subscription) -> str | None:
        limits = self._limits.limits
        if subscription in connection.subscriptions:
            return f"Already subscribed: {_json(spelled_out(subscription)).decode()}"
        is_odd = isinstance(subscription, wanted.Candle) and subscription.interval not in wanted.INTERVALS_MS
        if is_odd or (getattr(subscription, "dex", None) or "") not in self._dexes:
            return f"Invalid subscription {_json(spelled_out(subscription)).decode()}"
        if sum(len(each.subscriptions) for each in self._connections.values()) >= limits.subscriptions:
            return f"Cannot subscribe to more than {limits.subscriptions} channels."
        users = {getattr(each, "user", None) for each in self._listeners} | {getattr(subscription, "user", None)}
        if len(users - {None}) > limits.users:
            return f"Cannot track more than {limits.users} total users."
        return None

    def _unsubscribe(self, connection: Connection, subscription: Any, now_ns: int) -> None:
        if subscription not in connection.subscriptions:
            shown = _json(spelled_out(subscription)).decode()
            self._error(connection, now_ns, f"Already unsubscribed: {shown}")
            return
        del connection.subscriptions[subscription]
        self._forget(subscription, connection)
        self._acknowledge(connection, "unsubscribe", subscription, now_ns)

    def _forget(self, subscription: Subscription, connection: Connection) -> None:
        listeners = self._listeners.get(subscription, {})
        listeners.pop(connection.number, None)
        if not listeners:
            self._listeners.pop(subscription, None)

    # --- frames out ---------------------------------------------------------------------------------------------

    def wanted(self, kind: type[Kind]) -> Iterator[Kind]:
        """Subscriptions of a kind that somebody has."""
        return (each for each in list(self._listeners) if isinstance(each, kind))

    def publish(self, subscription: Subscription, payload: Any, now_ns: int) -> None:
        """Sends a payload to all who have the subscription."""
        listeners = self._listeners.get(subscription)
        if listeners:
            frame = _json({"channel": subscription.channel, "data": payload})
            coin = getattr(subscription, "coin", None)
            for connection in list(listeners.values()):
                self._send(connection, now_ns, subscription.channel, coin, frame)

    def answer(self, post: Post, kind: str, payload: Any, now_ns: int) -> None:
        """Answers a post: "info", "action" or "error" with its payload."""
        self._pending.discard((post.connection.number, post.id))
        data = {"id": post.id, "response": {"type": kind, "payload": payload}}
        self._send(post.connection, now_ns, "post", None, _json({"channel": "post", "data": data}))

    def abandon(self, post: Post) -> None:
        """Never answers a post."""
        self._pending.discard((post.connection.number, post.id))

    def _to(self, connection: Connection, subscription: Subscription, payload: Any, now_ns: int) -> None:
        frame = _json({"channel": subscription.channel, "data": payload})
        self._send(connection, now_ns, subscription.channel, getattr(subscription, "coin", None), frame)

    def _acknowledge(self, connection: Connection, method: str, subscription: Subscription, now_ns: int) -> None:
        data = {"method": method, "subscription": spelled_out(subscription)}
        frame = _json({"channel": "subscriptionResponse", "data": data})
        self._send(connection, now_ns, "subscriptionResponse", None, frame)

    def _error(self, connection: Connection, now_ns: int, text: str) -> None:
        self._send(connection, now_ns, "error", None, _json({"channel": "error", "data": text}))

    def _send(self, connection: Connection, now_ns: int, channel: str, coin: str | None, frame: bytes) -> None:
        if connection.is_cut:
            return
        fate = self._faults.fate((now_ns - self._start_ns) / NS_PER_S, channel, coin)
        if fate.drop_socket:
            connection.is_cut = True
        elif not fate.swallowed:
            connection.put(
                now_ns,
                frame,
                copies=fate.copies,
                behind_next=fate.behind_next,
                delay_ns=round(fate.delay_s * NS_PER_S),
                latency_ns=self._answer_ns if channel in _ANSWERS else self._feed_ns,
            )


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
