"""A connection's life without the connection: bytes and times in, events, notices and bytes out.

    disconnected → connecting → subscribing → reconciling → ready
         ↑______________________________________________________|

The keeper of the socket does what it is told, in a loop:

- while `connect_at_ns` is set: wait until then, call `connecting`, open a socket, call `connected` or `disconnected`;
- hand every frame to `receive` and apply the events it returns whole (`events.apply_frame`); call `advance` at
  `wake_at_ns`; read `notices` after either;
- call `held_up` when it stops reading because its consumer is slow, and `resumed` when it goes on;
- call `reconcile` when an engine refuses events of the account: orders and positions are then told anew, fills are not;
- send what `take_outgoing` gives; close the socket when `close_reason` is set; when it is gone, call `disconnected`.

Events flow before the session is ready, so that engines are warm; quoting may begin at `Ready`. When the connection is
lost, orders that rest at the venue are taken to be alive. Times are ns since 1970 and do not go back.

The account's channels say nothing when nothing happens, so that their death is silent. Every now and then the account
is read anew beside them, ready all the while; what they should have told gives the socket up.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from hypermm.exceptions import InvalidInputError, WireError
from hypermm.exchange.hyperliquid import encode, wire
from hypermm.exchange.hyperliquid.account import Account, Query
from hypermm.exchange.hyperliquid.answers import OwnAnswer, read_own, unwrap_post
from hypermm.exchange.hyperliquid.decode import UNREADABLE, read_unchecked, translate
from hypermm.exchange.hyperliquid.feeds import MarketFeeds
from hypermm.exchange.hyperliquid.notices import (
    AccountLimits,
    ActionAnswered,
    Disconnected,
    FillRefused,
    FrameRefused,
    Notice,
    Ready,
    StreamTurned,
    VenueText,
)
from hypermm.exchange.hyperliquid.posts import ASK_AGAIN_NS, Posts
from hypermm.exchange.hyperliquid.rate_limit import IpWeight, SocketLimits
from hypermm.exchange.hyperliquid.reconciliation import Reconciliation
from hypermm.exchange.hyperliquid.streams import NS_PER_S, Stream, StreamAge

if TYPE_CHECKING:
    from hypermm.exchange.events import EngineEvent
    from hypermm.exchange.hyperliquid.assets import Universe

__all__ = ["Phase", "Session"]

GREETING = "Websocket connection established."
PING_AFTER_NS = 20 * NS_PER_S
PONG_WITHIN_NS = 15 * NS_PER_S
ACKNOWLEDGE_WITHIN_NS = 15 * NS_PER_S
BOOKS_SILENT_NS = 20 * NS_PER_S
STEADY_NS = 30 * NS_PER_S
FIRST_BACKOFF_S = 0.25
LAST_BACKOFF_S = 30.0

ACCOUNT_CHANNELS = ("orderUpdates", "userFills", "userFundings")
# What a frame of these said, queries can tell; one without a channel may have been of any.
RECONCILED_CHANNELS = ("orderUpdates", "userFills", "")
_TOO_MANY_POSTS = re.compile(r"too many pending post requests id=(\d+)")


class Phase(enum.Enum):
    """How far the session has come."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    RECONCILING = "reconciling"
    READY = "ready"


def _pass_over(_now_ns: int, _data: Any) -> list[EngineEvent]:
    return []


class Session:
    """One websocket, for the markets of some coins and, with an address, our account in them.

    Args:
        universe: The venue's assets, fresh.
        coins: Coins we trade.
        jitter: Draws from [0, 1), of the keeper's own seeded source; spreads reconnections.
        user: Our account's address; None for market data alone.
        references: Coins, spot ones too, of which only the market is wanted.
        limits: Shared by all sessions of this machine.
        weight: Charged for queries, when given.
        fills_since_ms: See `Account`.
        check_every_s: Read the account beside its channels so often while ready, s. Each time costs a weight of 40, 22
            for each dex and 1 for every 20 fills since the last, of the 1200 a minute.

    Raises:
        UnknownCoinError: A coin the venue does not know or has delisted. Asked for, it would cost us the socket.
        InvalidInputError: No coin, one twice, a malformed address, a time that is not positive, or more than one
            websocket may carry.
    """

    def __init__(
        self,
        universe: Universe,
        coins: Sequence[str],
        jitter: Callable[[], float],
        *,
        user: str | None = None,
        references: Sequence[str] = (),
        limits: SocketLimits | None = None,
        weight: IpWeight | None = None,
        fills_since_ms: int | None = None,
        check_every_s: float = 300.0,
    ) -> None:
        if not check_every_s > 0.0:
            raise InvalidInputError(field="check_every_s", value=check_every_s, expected="above 0 s")
        feeds = [*coins, *references]
        if not coins or len(set(feeds)) != len(feeds):
            raise InvalidInputError(field="coins", value=feeds, expected="at least one coin, each once")
        assets = {coin: universe.asset(coin) for coin in coins}
        for coin in references:
            universe.check_feed(coin)
        self._user = None if user is None else encode.address(user)
        self._account = None if self._user is None else Account(self._user, assets, fills_since_ms)
        self._limits = SocketLimits() if limits is None else limits
        self._weight = weight
        self._jitter = jitter
        self._feeds = MarketFeeds(feeds)
        self._streams = dict(self._feeds.streams)
        if self._account is not None:
            self._streams |= {(channel, ""): Stream(channel, "") for channel in ACCOUNT_CHANNELS}
        self._limits.check_subscriptions(len(self._streams), 1 if user else 0)
        self._faults = self._feeds.faults
        self._handlers: dict[type[msgspec.Struct], Callable[[int, Any], list[EngineEvent]]] = {
            **dict.fromkeys(wire.CHANNELS.values(), _pass_over),
            **self._feeds.handlers,
            wire.CHANNELS["orderUpdates"]: self._on_orders,
            wire.CHANNELS["userFills"]: self._on_fills,
            wire.CHANNELS["userFundings"]: self._on_fundings,
            wire.CHANNELS["subscriptionResponse"]: self._on_acknowledgement,
            wire.CHANNELS["post"]: self._on_post,
            wire.CHANNELS["error"]: self._on_error,
        }
        self.notices: deque[Notice] = deque()
        self.phase = Phase.DISCONNECTED
        self.close_reason: str | None = None
        self.connect_at_ns: int | None = 0
        self.connections = 0
        self.reconciliations = 0
        self._failures = 0
        self._outgoing: deque[bytes] = deque()
        self._posts = Posts(self._outgoing, self.notices, weight, self._limits.counts.posts)
        self._reconciliation: Reconciliation | None = None
        self._check_every_ns = round(min(check_every_s, 1e9) * NS_PER_S)
        self._checked_ns = 0
        self._heard_ns = 0
        self._pinged_ns: int | None = None
        self._blocked_ns: int | None = None
        self._held_ns: int | None = None
        self._since_ns = 0

    # --- the socket ---------------------------------------------------------------------------------------------

    def connecting(self, now_ns: int) -> None:
        """The keeper opens a socket."""
        self._limits.connected(now_ns)
        self.connect_at_ns = None
        self.phase = Phase.CONNECTING

    def connected(self, now_ns: int) -> None:
        """The socket is open: everything is subscribed to anew."""
        self.connections += 1
        self.phase = Phase.SUBSCRIBING
        self._since_ns = self._heard_ns = now_ns
        self._held_ns = None
        for stream in self._streams.values():
            stream.reset()
            self._send(self._subscription(stream))
        self._feeds.connected()

    def disconnected(self, now_ns: int, reason: str) -> None:
        """The socket is gone, or could not be opened."""
        steady = self.phase is Phase.READY and now_ns - self._since_ns >= STEADY_NS
        self._failures = 1 if steady else self._failures + 1
        ceiling_s = min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._failures - 1, 16))
        wait_ns = round(ceiling_s * (0.5 + 0.5 * self._jitter()) * NS_PER_S)
        self.connect_at_ns = self._limits.connect_at_ns(now_ns + wait_ns)
        silent = [f"{s.channel} {s.coin}".strip() for s in self._streams.values() if not s.acknowledged]
        suspects = tuple(silent) if self.phase is Phase.SUBSCRIBING else ()
        lost = self._posts.gone()
        self.notices.append(Disconnected(self.close_reason or reason, self.connect_at_ns, suspects, lost))
        self.phase = Phase.DISCONNECTED
        self.close_reason = None
        self._outgoing.clear()
        self._reconciliation = None
        self._pinged_ns = None
        if self._account is not None:
            self._account.interrupted()

    def take_outgoing(self, now_ns: int) -> list[bytes]:
        """Frames to send now; what would pass the venue's limit of messages is kept for later."""
        frames = []
        while self._outgoing and self._limits.messages.try_spend(now_ns, 1):
            frames.append(self._outgoing.popleft())
        self._blocked_ns = self._limits.messages.free_at_ns(now_ns, 1) if self._outgoing else None
        return frames

    @property
    def has_outgoing(self) -> bool:
        """True when `take_outgoing` may have something, now or later."""
        return bool(self._outgoing)

    def _send(self, frame: bytes) -> None:
        self._outgoing.append(frame)

    def _subscription(self, stream: Stream) -> bytes:
        if stream.coin == "":
            return encode.subscribe(stream.channel, user=self._user)
        fast = True if stream.channel == "l2Book" else None
        return encode.subscribe(stream.channel, coin=stream.coin, fast=fast)

    # --- frames -------------------------------------------------------------------------------------------------

    def receive(self, now_ns: int, frame: bytes | str) -> list[EngineEvent]:
        """Takes a frame; what cannot be read becomes a notice and changes nothing.

        Returns:
            What it says to engines, to be applied whole.
        """
        self._heard_ns = now_ns
        self._pinged_ns = None
        try:
            message = read_unchecked(frame)
            events = self._handlers[type(message)](now_ns, message.data)
        except UNREADABLE as error:
            return self._refuse(now_ns, frame, translate(error, frame))
        except WireError as error:
            return self._refuse(now_ns, frame, error)
        if self._faults:
            self.notices.extend(self._faults)
            self._faults.clear()
        return events

    def _refuse(self, now_ns: int, frame: bytes | str, error: WireError) -> list[EngineEvent]:
        if frame in (GREETING, GREETING.encode()):
            return []
        self.notices.append(FrameRefused(error))
        if self._account is not None and error.channel in RECONCILED_CHANNELS:
            self._account.missed()
            self._reconcile_if_settled(now_ns)
        return []

    def _reconcile_if_settled(self, now_ns: int) -> None:
        """Something is missing; before the first reconciliation that goes without saying."""
        if self.phase in (Phase.RECONCILING, Phase.READY):
            self.reconcile(now_ns)

    def _on_orders(self, now_ns: int, rows: list[wire.OrderUpdate]) -> list[EngineEvent]:
        if self._account is None:
            return []
        self._heard_of("orderUpdates", now_ns)
        return self._account.on_order_rows(rows)

    def _on_fills(self, now_ns: int, data: wire.UserFills) -> list[EngineEvent]:
        if self._account is None or data.user.lower() != self._user:
            return []
        self._heard_of("userFills", now_ns)
        events = self._account.on_fills(data.fills, is_snapshot=data.isSnapshot)
        if self._account.gaps:
            self.notices.extend(self._account.gaps)
            self._account.gaps.clear()
            self._reconcile_if_settled(now_ns)
        return events

    def _on_fundings(self, now_ns: int, data: wire.UserFundings) -> list[EngineEvent]:
        if self._account is None or data.user.lower() != self._user:
            return []
        self._heard_of("userFundings", now_ns)
        return self._account.on_fundings(data.fundings, is_snapshot=data.isSnapshot)

    def _heard_of(self, channel: str, now_ns: int) -> None:
        self._streams[channel, ""].last_ns = now_ns

    # --- subscriptions ------------------------------------------------------------------------------------------

    def _on_acknowledgement(self, now_ns: int, data: wire.SubscriptionResponse) -> list[EngineEvent]:
        if data.method == "subscribe":
            self._acknowledge(now_ns, data.subscription)
        return []

    def _acknowledge(self, now_ns: int, subscription: wire.Subscription) -> None:
        kind = "activeAssetCtx" if subscription.type == "activeSpotAssetCtx" else subscription.type
        stream = self._streams.get((kind, subscription.coin or ""))
        if stream is not None and not stream.acknowledged:
            stream.acknowledge(now_ns)
        if self.phase is Phase.SUBSCRIBING and all(stream.acknowledged for stream in self._streams.values()):
            if self._account is None:
                self._ready(now_ns)
            else:
                self.reconcile(now_ns)

    def _on_error(self, now_ns: int, text: str) -> list[EngineEvent]:
        self.notices.append(VenueText(text))
        if refused := _TOO_MANY_POSTS.search(text):
            number = int(refused[1])
            post = self._posts.take(number)
            if post is not None:
                self._posts.fail(now_ns, number, post, text)
        if text.startswith("Already subscribed"):
            try:
                told = msgspec.json.decode(text.partition(":")[2], type=wire.Subscription, strict=False)
            except msgspec.MsgspecError:
                return []
            self._acknowledge(now_ns, told)
        return []

    # --- posts --------------------------------------------------------------------------------------------------

    def send_action(self, now_ns: int, envelope: encode.Action | msgspec.Raw) -> int:
        """Sends a signed action.

        Args:
            now_ns: The clock, ns.
            envelope: As `encode.envelope` or `Signer.request` makes it.

        Returns:
            Its id, which `ActionAnswered`, `ActionLost` or `Disconnected` will name.

        Raises:
            InvalidInputError: There is no connection, or as many posts are under way as the venue takes.
        """
        if self.phase not in (Phase.SUBSCRIBING, Phase.RECONCILING, Phase.READY):
            raise InvalidInputError(field="phase", value=self.phase.value, expected="a connection")
        limit = self._limits.counts.posts
        if len(self._posts) >= limit:
            raise InvalidInputError(field="posts", value=len(self._posts), expected=f"below {limit}", hint="use HTTP")
        return self._posts.act(now_ns, envelope)

    def _on_post(self, now_ns: int, data: wire.PostAnswer) -> list[EngineEvent]:
        post = self._posts.take(data.id)
        if post is None:
            return []
        events: list[EngineEvent] = []
        response, query = data.response, post.query
        if response.type != ("action" if query is None else "info"):
            self._posts.fail(now_ns, data.id, post, bytes(response.payload).decode(errors="replace"))
        elif query is None:
            self.notices.append(ActionAnswered(data.id, response.payload))
        else:
            try:
                events = self._answered(now_ns, query, self._read(query, unwrap_post(query.kind, response.payload)))
            except WireError as error:
                self.notices.append(FrameRefused(error))
                self._posts.ask_again(now_ns, query, "unreadable answer")
        self._posts.ask_crowded_out(now_ns)
        return events

    def answer_over_http(self, now_ns: int, query: Query, body: bytes) -> list[EngineEvent]:
        """Takes the answer to one of `open_queries` that the keeper asked for over HTTP instead.

        Raises:
            WireError: It cannot be read; the query stays open.
        """
        if query not in self.open_queries:
            return []
        answer = self._read(query, body)
        self._posts.forget(query)
        try:
            events = self._answered(now_ns, query, answer)
        except WireError:
            self._posts.ask(now_ns, [query], ASK_AGAIN_NS)
            raise
        self._posts.ask_crowded_out(now_ns)
        return events

    def _read(self, query: Query, payload: bytes | msgspec.Raw) -> OwnAnswer:
        return read_own(query.kind, payload, () if self._account is None else self._account.assets)

    @property
    def open_queries(self) -> list[Query]:
        """Queries without an answer yet, those that wait to be asked again included."""
        return self._posts.queries

    # --- reconciliation -----------------------------------------------------------------------------------------

    def reconcile(self, now_ns: int) -> None:
        """Reads orders, fills and positions anew; not ready until they agree. For a keeper who has doubts, too.

        Raises:
            InvalidInputError: There is no account, or the streams are not acknowledged.
        """
        if self._account is None or self.phase not in (Phase.SUBSCRIBING, Phase.RECONCILING, Phase.READY):
            raise InvalidInputError(field="phase", value=self.phase.value, expected="a connected account")
        self.phase = Phase.RECONCILING
        self._read_account(now_ns, self._account)

    def _read_account(self, now_ns: int, account: Account) -> None:
        self.reconciliations += 1
        self._posts.forget_queries()
        self._reconciliation = Reconciliation(account, self._feeds.venue_ns)
        limits = Query("userRateLimit", (("user", self._user),))
        self._posts.ask(now_ns, [*self._reconciliation.start(), limits])

    def _answered(self, now_ns: int, query: Query, answer: OwnAnswer) -> list[EngineEvent]:
        value = answer.value
        if query.kind == "userRateLimit":
            self.notices.append(AccountLimits(value.nRequestsUsed, value.nRequestsCap))
            return []
        account, reconciliation = self._account, self._reconciliation
        if account is None or reconciliation is None:
            return []
        if self._weight is not None:
            self._weight.charge_rows(now_ns, query.kind, answer.rows)
        events, queries = reconciliation.answer(query, value, answer.rows)
        self.notices.extend(FillRefused(error) for error in answer.refused)
        self._posts.ask(now_ns, queries, ASK_AGAIN_NS if reconciliation.attempts else 0)
        if self.phase is Phase.READY and reconciliation.unheard:
            self.close_reason = "the account's channels did not tell what a reading of it did"
        if reconciliation.attempts > 1:
            # Of a check while ready, too: position and fills contradict each other, and not by a fill on its way.
            self.phase = Phase.RECONCILING
        if reconciliation.done:
            self.notices.extend(reconciliation.mismatches)
            account.gaps.clear()
            self._reconciliation = None
            self._checked_ns = now_ns
            if self.phase is not Phase.READY:
                self._ready(now_ns)
        return events

    def _ready(self, now_ns: int) -> None:
        self.phase = Phase.READY
        self._since_ns = now_ns
        self.notices.append(Ready(self.connections))

    # --- clocks -------------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Lets time pass: pings, repeats queries, tells streams that fell silent, gives a dead socket up."""
        if self.phase in (Phase.DISCONNECTED, Phase.CONNECTING) or self.close_reason is not None:
            return
        self._posts.advance(now_ns)
        if self._held_ns is not None:
            return
        check_ns = self._check_at_ns()
        if self._account is not None and check_ns is not None and now_ns >= check_ns:
            self._read_account(now_ns, self._account)
        for stream in self._streams.values():
            late = stream.turned(now_ns)
            if late is not None:
                age_s = stream.age_s(now_ns) or 0.0
                self.notices.append(StreamTurned(stream.channel, stream.coin, late, age_s))
        self._watch(now_ns)

    def _check_at_ns(self) -> int | None:
        """When the account is to be read beside its channels; None while it is, or is not ready."""
        if self._account is None or self._reconciliation is not None or self.phase is not Phase.READY:
            return None
        return self._checked_ns + self._check_every_ns

    def _watch(self, now_ns: int) -> None:
        """Ping rule, and the reasons to give the socket up."""
        if self._pinged_ns is not None and now_ns - self._pinged_ns >= PONG_WITHIN_NS:
            self.close_reason = "no answer to a ping"
        elif self._pinged_ns is None and now_ns - self._heard_ns >= PING_AFTER_NS:
            self._pinged_ns = now_ns
            self._send(encode.PING)
        if self.phase is Phase.SUBSCRIBING and now_ns - self._since_ns >= ACKNOWLEDGE_WITHIN_NS:
            self.close_reason = "subscriptions not acknowledged"
        silent_ns = self._feeds.silent_at_ns(BOOKS_SILENT_NS)
        if silent_ns is not None and now_ns >= silent_ns:
            self.close_reason = "connected, but every book is silent"

    def held_up(self, now_ns: int) -> None:
        """Nothing is read from now on, by the keeper's choice: silence is no longer the venue's."""
        if self._held_ns is None:
            self._held_ns = now_ns

    def resumed(self, now_ns: int) -> None:
        """Reading goes on: the time since `held_up` counts neither as silence nor as a missing pong."""
        if self._held_ns is None:
            return
        held_ns = now_ns - self._held_ns
        self._held_ns = None
        self._feeds.resumed(now_ns)
        self._heard_ns += held_ns
        if self._pinged_ns is not None:
            self._pinged_ns += held_ns
        if self.phase is Phase.SUBSCRIBING:
            self._since_ns += held_ns
        for stream in self._streams.values():
            if stream.acknowledged:
                stream.last_ns += held_ns

    def wake_at_ns(self) -> int | None:
        """When `advance` has something to do next; None while there is no connection, or nothing to do."""
        if self.phase in (Phase.DISCONNECTED, Phase.CONNECTING):
            return None
        times = self._posts.wake_times_ns()
        if self._blocked_ns is not None:
            times.append(self._blocked_ns)
        if self._held_ns is not None:
            return min(times, default=None)
        times += [at for stream in self._streams.values() if (at := stream.late_at_ns()) and not stream.is_late]
        silent_ns = self._feeds.silent_at_ns(BOOKS_SILENT_NS)
        times += [at_ns for at_ns in (silent_ns, self._check_at_ns()) if at_ns is not None]
        if self._pinged_ns is None:
            times.append(self._heard_ns + PING_AFTER_NS)
        else:
            times.append(self._pinged_ns + PONG_WITHIN_NS)
        if self.phase is Phase.SUBSCRIBING:
            times.append(self._since_ns + ACKNOWLEDGE_WITHIN_NS)
        return min(times)

    def ages(self, now_ns: int) -> list[StreamAge]:
        """Every stream as of now."""
        return [stream.report(now_ns) for stream in self._streams.values()]

    @property
    def account(self) -> Account | None:
        """What is known of our account; None for market data alone."""
        return self._account
