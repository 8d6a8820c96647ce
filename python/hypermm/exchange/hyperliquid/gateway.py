"""Orders to the venue: over the websocket, over HTTP when there is none, each action once.

An order whose answer is lost is looked up by its name until it is found or can no longer arrive; it is never sent
again. A cancel is harmless twice, so it is sent again, by the other way.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from hypermm._core import Action, OrderStatus
from hypermm.exceptions import AnswerLostError, InvalidInputError, VenueError, WireError
from hypermm.exchange.hyperliquid import encode
from hypermm.exchange.hyperliquid.answers import read_outcomes, refused
from hypermm.exchange.hyperliquid.clock import CLOCK_TOLERANCE_S
from hypermm.exchange.hyperliquid.decode import NS_PER_MS, own_order
from hypermm.exchange.hyperliquid.notices import AccountLimits, ActionAnswered, ActionLost, Disconnected, Notice
from hypermm.exchange.hyperliquid.posts import ANSWER_WITHIN_NS
from hypermm.exchange.hyperliquid.rate_limit import NS_PER_S, AddressBudget, exchange_weight
from hypermm.exchange.orders import CancelOrder, NewOrder, OrderOutcome, OutcomeKind, Refusal, ReplaceOrder

if TYPE_CHECKING:
    from hypermm._core import NonceCounter, Signer
    from hypermm.exchange.hyperliquid.assets import Asset
    from hypermm.exchange.hyperliquid.http import HttpClient
    from hypermm.exchange.hyperliquid.websocket import Websocket
    from hypermm.exchange.hyperliquid.wire_info import StatusRow

__all__ = ["Gateway"]

EXPIRES_AFTER_S = 10.0
LOOK_AGAIN_S = 0.5
GIVE_UP_AFTER_S = 20.0
RECOUNT_NS = 10 * NS_PER_S
RECOUNT_WITHIN_S = 0.5
LOST_AFTER_S = ANSWER_WITHIN_NS / NS_PER_S + 2.0
_CUMULATIVE = re.compile(r"Too many cumulative requests sent \((\d+) > (\d+)\)")
_MOST_SIZE_DECIMALS = 8
_LOST_HINT = "the account's events will tell"

Batch: TypeAlias = tuple[encode.Action, list[int]]
Finder: TypeAlias = Callable[[Sequence[int], int], Awaitable[list[OrderOutcome]]]


class Gateway:
    """Carries out approved orders of one account; an `OrderGateway`.

    A refusal is an outcome. `AnswerLostError` is raised when nothing could be learned of what became of an item.

    Args:
        account: Address of the account or sub-account traded for.
        assets: Assets we trade, by coin.
        signer: Signs.
        nonces: Its counter.
        names: Names of orders that come without one.
        http: Second way, and how lost orders are looked up.
        websocket: First way; None to use HTTP alone.
        vault_address: The account, when it is a vault or sub-account that the signer's master controls.
        budget: What the account may ask for; kept up to date from the websocket's notices.
        expires_after_s: After so long the venue drops an order that is still under way, s.
        clock_tolerance_s: How far the venue's clock and ours may be apart, s.
    """

    def __init__(
        self,
        account: str,
        assets: Mapping[str, Asset],
        signer: Signer,
        nonces: NonceCounter,
        names: encode.ClientIds,
        http: HttpClient,
        *,
        websocket: Websocket | None = None,
        vault_address: str | None = None,
        budget: AddressBudget | None = None,
        expires_after_s: float = EXPIRES_AFTER_S,
        clock_tolerance_s: float = CLOCK_TOLERANCE_S,
    ) -> None:
        if not expires_after_s > 0.0:
            raise InvalidInputError(field="expires_after_s", value=expires_after_s, expected="above 0 s")
        self.budget = AddressBudget() if budget is None else budget
        self._account = encode.address(account)
        self._assets = dict(assets)
        self._signer = signer
        self._nonces = nonces
        self._names = names
        self._http = http
        self._websocket = websocket
        self._vault = None if vault_address is None else encode.address(vault_address)
        self._expires_ns = round(expires_after_s * NS_PER_S)
        self._tolerance_ns = round(clock_tolerance_s * NS_PER_S)
        self._recount_at_ns = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._clock: Callable[[], int] = http.clock
        if websocket is not None:
            websocket.listeners.append(self._on_notice)

    @property
    def vault_address(self) -> str | None:
        """The vault or sub-account that signed actions name; None when the signer's own account trades."""
        return self._vault

    # --- OrderGateway -------------------------------------------------------------------------------------------

    async def place(self, orders: Sequence[NewOrder]) -> list[OrderOutcome]:
        """Places orders, post-only ones in actions of their own. One without a name is given one.

        Raises:
            InvalidInputError: A price, size or name is not legal; nothing was sent.
            AnswerLostError: The answer is lost, and the venue does not say what became of an order.
        """
        named = [self._named(order) for order in orders]

        async def find(places: Sequence[int], expired_ns: int) -> list[OrderOutcome]:
            return await self._look_up([str(named[place].client_id) for place in places], expired_ns)

        return await self._carry_out(encode.order_actions(named, self._assets), len(orders), find)

    async def cancel(self, orders: Sequence[CancelOrder]) -> list[OrderOutcome]:
        """Cancels orders; fast, and by the second way when there is no answer by the first.

        Raises:
            InvalidInputError: A name is malformed; nothing was sent.
            AnswerLostError: No answer by either way.
        """
        return await self._carry_out(encode.cancel_actions(orders, self._assets), len(orders), None)

    async def replace(self, orders: Sequence[ReplaceOrder]) -> list[OrderOutcome]:
        """Replaces orders by post-only ones.

        Raises:
            InvalidInputError: A replacement is not legal; nothing was sent.
            AnswerLostError: As `place`.
        """
        named = [msgspec.structs.replace(row, order=self._named(row.order)) for row in orders]

        async def find(places: Sequence[int], expired_ns: int) -> list[OrderOutcome]:
            return await self._look_up([str(named[place].order.client_id) for place in places], expired_ns)

        return await self._carry_out(encode.replace_actions(named, self._assets), len(orders), find)

    async def cancel_all(self) -> list[OrderOutcome]:
        """Cancels what the venue says rests of ours, in the coins we trade.

        Raises:
            VenueError: The venue does not say what rests, or does not answer the cancels.
        """
        cancels: list[CancelOrder] = []
        for dex in sorted({asset.dex for asset in self._assets.values()}):
            rows = await self._http.info("openOrders", urgent=True, user=self._account, dex=dex or None)
            cancels += [CancelOrder(row.coin, row.oid) for row in rows if row.coin in self._assets]
        return await self.cancel(cancels)

    # --- the rest -----------------------------------------------------------------------------------------------

    async def schedule_cancel(self, time_ms: int | None) -> OrderOutcome:
        """Lets the venue cancel everything of the account at a time, at least 5 s ahead; None takes it back."""
        return (await self._carry_out([(encode.schedule_cancel_action(time_ms), [0])], 1, None))[0]

    async def update_leverage(self, coin: str, leverage: int, *, is_cross: bool) -> OrderOutcome:
        """Sets leverage and margin mode of a coin.

        Raises:
            InvalidInputError: More than the venue grants, or cross where it grants none.
        """
        action = encode.leverage_action(self._assets[coin], leverage, is_cross=is_cross)
        return (await self._carry_out([(action, [0])], 1, None))[0]

    async def no_operation(self) -> OrderOutcome:
        """Does nothing but prove that the venue takes our signature."""
        return (await self._carry_out([({"type": "noop"}, [0])], 1, None))[0]

    # --- sending ------------------------------------------------------------------------------------------------

    def _named(self, order: NewOrder) -> NewOrder:
        return order if order.client_id is not None else msgspec.structs.replace(order, client_id=self._names())

    async def _carry_out(
        self,
        batches: Sequence[Batch],
        count: int,
        find: Finder | None,
    ) -> list[OrderOutcome]:
        """Sends all batches at once; `find` learns what became of items whose answer is lost."""
        outcomes: dict[int, OrderOutcome] = {}
        results = await asyncio.gather(
            *(self._batch(action, places, find) for action, places in batches), return_exceptions=True
        )
        for (_, places), result in zip(batches, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            outcomes.update(zip(places, result, strict=True))
        return [outcomes[place] for place in range(count)]

    async def _batch(self, action: encode.Action, places: Sequence[int], find: Finder | None) -> list[OrderOutcome]:
        items = len(places)
        is_cancel = action["type"].startswith("cancel")
        refusal = await self._afford(items, is_cancel=is_cancel)
        if refusal is not None:
            return [refusal] * items
        expires_ns = self._clock() + self._expires_ns
        try:
            return self._booked(await self._send(action, items, expires_ns), items)
        except AnswerLostError:
            if find is not None:
                return self._booked(await find(places, expires_ns), items)
            if not is_cancel:
                raise
        except VenueError as error:
            return [refused(error.value)] * items
        # Canceling twice is harmless; what the first did is "gone" to the second.
        try:
            answer = await self._over_http(action, items, self._clock() + self._expires_ns)
            return self._booked(read_outcomes(answer, items), items)
        except (VenueError, WireError) as error:
            raise AnswerLostError(
                field=error.field, value=error.value, expected="an answer", hint=_LOST_HINT
            ) from error

    async def _afford(self, items: int, *, is_cancel: bool) -> OrderOutcome | None:
        """The account's own limit: cancels wait for their turn, orders are refused here and not by the venue."""
        now_ns = self._clock()
        at_ns = self.budget.ready_at_ns(now_ns, items, cancels=is_cancel)
        if at_ns > now_ns:
            # What was traded since grants more: the venue's count decides, not ours. No cancel waits long for it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECOUNT_WITHIN_S if is_cancel else None):
                    await self._recount(urgent=is_cancel)
            now_ns = self._clock()
            at_ns = self.budget.ready_at_ns(now_ns, items, cancels=is_cancel)
        if at_ns <= now_ns:
            return None
        wait_s = (at_ns - now_ns) / NS_PER_S
        if not is_cancel:
            text = f"not sent: the account's requests are used up, next in {wait_s:.1f} s"
            hint = "one request every 10 s until more volume is traded"
            return OrderOutcome(OutcomeKind.REFUSED, refusal=Refusal.RATE_LIMIT, text=text, hint=hint)
        await asyncio.sleep(wait_s)
        return None

    async def _recount(self, *, urgent: bool) -> None:
        """Takes over the venue's count of the account's requests, at most every ten seconds."""
        if self._clock() < self._recount_at_ns:
            return
        self._recount_at_ns = self._clock() + RECOUNT_NS
        try:
            told = await self._http.info("userRateLimit", urgent=urgent, user=self._account)
        except (VenueError, WireError):
            return
        self.budget.refresh(told.nRequestsUsed, told.nRequestsCap)

    async def _send(self, action: encode.Action, items: int, expires_ns: int) -> list[OrderOutcome]:
        """By the first way there is.

        Raises:
            VenueError: Not sent, or refused unread.
            AnswerLostError: It may have been carried out.
        """
        urgent = action["type"].startswith("cancel")
        weight = exchange_weight(items)
        try:
            number = self._post(action, expires_ns, weight, urgent=urgent)
            if number is None:
                return read_outcomes(await self._over_http(action, items, expires_ns), items)
            future = asyncio.get_running_loop().create_future()
            self._waiting[number] = future
            try:
                # The session gives an action up itself; this is for one that is no longer driven.
                async with asyncio.timeout(LOST_AFTER_S):
                    answer = await future
                return read_outcomes(answer, items)
            except TimeoutError as error:
                raise AnswerLostError(field="post", value="no answer", expected="an answer", hint=_LOST_HINT) from error
            finally:
                del self._waiting[number]
        except WireError as error:
            raise AnswerLostError(
                field=error.field, value=error.value, expected="a readable answer", hint=_LOST_HINT
            ) from error

    def _post(self, action: encode.Action, expires_ns: int, weight: int, *, urgent: bool) -> int | None:
        """Id of the post; None when the websocket cannot take it."""
        if self._websocket is None or not self._websocket.is_connected:
            return None
        if not self._http.weight.try_spend(self._clock(), weight, urgent=urgent):
            return None
        try:
            return self._websocket.send_action(msgspec.Raw(self._signed(action, expires_ns)))
        except InvalidInputError:
            return None

    async def _over_http(self, action: encode.Action, items: int, expires_ns: int) -> bytes:
        urgent = action["type"].startswith("cancel")
        return await self._http.exchange(self._signed(action, expires_ns), exchange_weight(items), urgent=urgent)

    def _signed(self, action: encode.Action, expires_ns: int) -> bytes:
        canonical = Action.from_json(msgspec.json.encode(action))
        nonce = self._nonces.next(self._clock() // NS_PER_MS)
        expires_ms = expires_ns // NS_PER_MS
        return self._signer.request(canonical, nonce, vault_address=self._vault, expires_after_ms=expires_ms)

    # --- answers ------------------------------------------------------------------------------------------------

    def _on_notice(self, now_ns: int, notice: Notice) -> None:
        del now_ns
        if isinstance(notice, ActionAnswered):
            self._settle(notice.request_id, bytes(notice.payload))
        elif isinstance(notice, ActionLost):
            text = notice.reason.strip('"')
            # The venue's own refusals of a post are HTTP statuses; those of 4xx were not carried out.
            kind = VenueError if text[:1] == "4" else AnswerLostError
            self._settle(notice.request_id, kind(field="post", value=text, expected="an answer", hint=_LOST_HINT))
        elif isinstance(notice, Disconnected):
            for number in notice.lost_actions:
                lost = AnswerLostError(field="post", value=notice.reason, expected="an answer", hint=_LOST_HINT)
                self._settle(number, lost)
        elif isinstance(notice, AccountLimits):
            self.budget.refresh(notice.used, notice.cap)

    def _settle(self, number: int, result: bytes | Exception) -> None:
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    def _booked(self, outcomes: list[OrderOutcome], items: int) -> list[OrderOutcome]:
        """Counts what the venue counted."""
        whole = outcomes[0] if outcomes and all(outcome is outcomes[0] for outcome in outcomes) else None
        if whole is not None and whole.refusal is Refusal.RATE_LIMIT:
            told = _CUMULATIVE.match(whole.text)
            if told is not None:
                self.budget.refresh(int(told[1]), int(told[2]))
        elif whole is not None and whole.refusal is Refusal.EXPIRED:
            self.budget.expired(items)
        else:
            self.budget.accepted(self._clock(), items)
        return outcomes

    async def _look_up(self, names: Sequence[str], expires_ns: int) -> list[OrderOutcome]:
        """What became of orders by name: asked until each is known, or too late to arrive.

        Raises:
            AnswerLostError: The venue does not say.
        """
        known: dict[str, OrderOutcome] = {}
        give_up_ns = expires_ns + round(GIVE_UP_AFTER_S * NS_PER_S)
        while True:
            # An order that is unknown after it has expired by the venue's clock too cannot come any more.
            is_last = self._clock() > expires_ns + self._tolerance_ns
            try:
                for name in names:
                    if name not in known:
                        told = await self._http.info("orderStatus", user=self._account, oid=name)
                        if told.order is not None:
                            known[name] = _outcome_of(told.order)
                        elif is_last:
                            known[name] = OrderOutcome(
                                OutcomeKind.REFUSED,
                                refusal=Refusal.EXPIRED,
                                text="never arrived: no order has its name",
                            )
            except (VenueError, WireError) as error:
                if self._clock() > give_up_ns:
                    text = f"{error.value} (looking up {', '.join(name for name in names if name not in known)})"
                    raise AnswerLostError(field="orders", value=text, expected="an answer", hint=_LOST_HINT) from error
            if len(known) == len(set(names)):
                return [known[name] for name in names]
            await asyncio.sleep(LOOK_AGAIN_S)


def _outcome_of(row: StatusRow) -> OrderOutcome:
    """What an order's status says of its placing; what traded is the original size less the remaining one.

    The mean price is not told. Of a reduce-only order that the venue shrank before it filled, the original size says
    too much: the account's fills and position are the truth there.
    """
    order = own_order(row.order, row.status, row.statusTimestamp)
    if order.status is OrderStatus.REJECTED:
        told = refused(order.status_text)
        return msgspec.structs.replace(told, venue_id=order.venue_id)
    filled = max(0.0, round((order.original_size or 0.0) - order.remaining_size, _MOST_SIZE_DECIMALS))
    kind = OutcomeKind.RESTING
    if order.status is OrderStatus.FILLED or (order.status is OrderStatus.CANCELED and filled > 0.0):
        kind = OutcomeKind.FILLED
    elif order.status is OrderStatus.CANCELED:
        kind = OutcomeKind.ACCEPTED
    text = order.status_text if order.status is OrderStatus.CANCELED else ""
    return OrderOutcome(kind, venue_id=order.venue_id, filled_size=filled, text=text)
