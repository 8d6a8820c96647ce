"""Orders to the venue: over the websocket, over HTTP when there is none, each action once.

An order whose answer is lost is looked up by its name until it is found or can no longer arrive; it is never sent
again. A cancel is harmless twice and never too late: it is sent again, by the other way, and does not expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from hypermm._core import Action
from hypermm.exceptions import AnswerLostError, InvalidInputError, NonceError, VenueError, WireError
from hypermm.exchange.hyperliquid import encode
from hypermm.exchange.hyperliquid.answers import read_outcomes, refused
from hypermm.exchange.hyperliquid.clock import CLOCK_TOLERANCE_S, machine_ns
from hypermm.exchange.hyperliquid.decode import NS_PER_MS
from hypermm.exchange.hyperliquid.lost_orders import LOST_HINT, Deadline, find_orders
from hypermm.exchange.hyperliquid.notices import AccountLimits, ActionAnswered, ActionLost, Disconnected, Notice
from hypermm.exchange.hyperliquid.posts import ANSWER_WITHIN_NS
from hypermm.exchange.hyperliquid.rate_limit import NS_PER_S, AddressBudget, exchange_weight
from hypermm.exchange.orders import CancelOrder, NewOrder, OrderOutcome, OutcomeKind, Refusal, ReplaceOrder

if TYPE_CHECKING:
    from hypermm._core import NonceCounter, Signer
    from hypermm.exchange.hyperliquid.assets import Asset
    from hypermm.exchange.hyperliquid.http import HttpClient
    from hypermm.exchange.hyperliquid.websocket import Websocket

__all__ = ["Gateway"]

EXPIRES_AFTER_S = 10.0
RECOUNT_NS = 10 * NS_PER_S
RECOUNT_WITHIN_S = 0.5
LOST_AFTER_S = ANSWER_WITHIN_NS / NS_PER_S + 2.0
AGAIN_AFTER_S = 0.25
AGAIN_WITHIN_S = 5.0
AGAIN_WHEN_SPENT_S = 2.5
TRIES_WHEN_SPENT = 8
_CUMULATIVE = re.compile(r"Too many cumulative requests sent \((\d+) > (\d+)\)")
_log = logging.getLogger(__name__)

Batch: TypeAlias = tuple[encode.Action, list[int]]
Carrier: TypeAlias = Callable[[encode.Action, Sequence[int]], Awaitable[list[OrderOutcome]]]


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
        clock_tolerance_s: How far the venue's clock must be past an order's end before it cannot arrive any more, s.
        machine_clock: ns since 1970, may go back; what the venue is told when orders end.

    Raises:
        InvalidInputError: `vault_address` is another than `account`: orders would be its own, and all that is asked
            would be told of `account`.
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
        machine_clock: Callable[[], int] = machine_ns,
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
        if self._vault not in (None, self._account):
            raise InvalidInputError(field="vault_address", value=self._vault, expected=f"the account, {self._account}")
        self._expires_ns = round(expires_after_s * NS_PER_S)
        self._tolerance_ms = round(clock_tolerance_s * 1e3)
        self._machine_clock = machine_clock
        self._recount_at_ns = 0
        self._one_at_a_time = asyncio.Lock()
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

        They expire some seconds after the call, whatever they wait for.

        Raises:
            InvalidInputError: A coin, price, size or name is not legal; nothing was sent.
            NonceError: The nonce counter cannot be written; nothing was sent of a batch that it befell.
            AnswerLostError: The answer is lost, and the venue does not say what became of an order.
        """
        deadline = self._deadline()
        named = [self._named(order) for order in orders]
        names = [str(order.client_id) for order in named]
        carrier = self._order_carrier(names, deadline)
        return await self._carry_out(encode.order_actions(named, self._assets), len(orders), carrier)

    async def cancel(self, orders: Sequence[CancelOrder]) -> list[OrderOutcome]:
        """Cancels orders; fast, and by the second way when the first does not take them or brings no answer.

        When the account's requests are used up this takes as long as the venue makes it: one order every 11 s.

        Raises:
            InvalidInputError: A coin, name or number is not legal; nothing was sent.
            AnswerLostError: No answer by either way.
        """
        return await self._cancel(orders, fast=True)

    async def replace(self, orders: Sequence[ReplaceOrder]) -> list[OrderOutcome]:
        """Replaces orders by post-only ones.

        Raises:
            InvalidInputError: A replacement is not legal; nothing was sent.
            NonceError: As `place`.
            AnswerLostError: As `place`.
        """
        deadline = self._deadline()
        named = [msgspec.structs.replace(row, order=self._named(row.order)) for row in orders]
        names = [str(row.order.client_id) for row in named]
        carrier = self._order_carrier(names, deadline)
        return await self._carry_out(encode.replace_actions(named, self._assets), len(orders), carrier)

    async def cancel_all(self) -> list[OrderOutcome]:
        """Cancels what the venue says rests of ours, in the coins we trade; trigger orders last, and not fast.

        Raises:
            VenueError: The venue does not say what rests on a dex, or does not answer the cancels. What was told of
                other dexes was canceled.
        """
        dexes = sorted({asset.dex for asset in self._assets.values()})
        asked = [
            self._http.info("frontendOpenOrders", urgent=True, user=self._account, dex=dex or None) for dex in dexes
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        rows = [row for told in answers if isinstance(told, list) for row in told if row.coin in self._assets]
        outcomes: list[OrderOutcome] = []
        failures = [told for told in answers if isinstance(told, BaseException)]
        for is_trigger in (False, True):
            cancels = [CancelOrder(row.coin, row.oid) for row in rows if row.isTrigger is is_trigger]
            try:
                outcomes += await self._cancel(cancels, fast=not is_trigger)
            except AnswerLostError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return outcomes

    # --- the rest -----------------------------------------------------------------------------------------------

    async def schedule_cancel(self, time_ms: int | None) -> OrderOutcome:
        """Lets the venue cancel everything of the account at a time, at least 5 s ahead; None takes it back.

        Sent like a cancel: urgent, again by the second way, and whatever the account has left to ask for.

        Raises:
            AnswerLostError: No answer by either way.
        """
        # A late one that takes back would take a later one back.
        expires_ms = self._deadline().expires_ms if time_ms is None else None
        return (await self._insist(encode.schedule_cancel_action(time_ms), 1, expires_ms))[0]

    async def update_leverage(self, coin: str, leverage: int, *, is_cross: bool) -> OrderOutcome:
        """Sets leverage and margin mode of a coin.

        Raises:
            InvalidInputError: An unknown coin, more than the venue grants, or cross where it grants none.
        """
        asset = encode.known_asset(self._assets, coin)
        return await self._plain(encode.leverage_action(asset, leverage, is_cross=is_cross))

    async def no_operation(self) -> OrderOutcome:
        """Does nothing but prove that the venue takes our signature."""
        return await self._plain({"type": "noop"})

    # --- orders -------------------------------------------------------------------------------------------------

    def _named(self, order: NewOrder) -> NewOrder:
        return order if order.client_id is not None else msgspec.structs.replace(order, client_id=self._names())

    def _deadline(self) -> Deadline:
        """Of what is decided now."""
        # Our own clock runs ahead of the machine's once that was set back: the venue would wait as much longer.
        expires_ms = (self._machine_clock() + self._expires_ns) // NS_PER_MS
        return Deadline(self._clock() + self._expires_ns, expires_ms)

    async def _carry_out(self, batches: Sequence[Batch], count: int, carrier: Carrier) -> list[OrderOutcome]:
        """Sends all batches at once."""
        outcomes: dict[int, OrderOutcome] = {}
        results = await asyncio.gather(*(carrier(action, places) for action, places in batches), return_exceptions=True)
        for (_, places), result in zip(batches, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            outcomes.update(zip(places, result, strict=True))
        return [outcomes[place] for place in range(count)]

    def _order_carrier(self, names: Sequence[str], deadline: Deadline) -> Carrier:
        async def carry(action: encode.Action, places: Sequence[int]) -> list[OrderOutcome]:
            items = len(places)
            refusal = await self._afford(items)
            if refusal is None and self._clock() >= deadline.late_ns:
                refusal = refused("Action already expired before it was sent")
            if refusal is not None:
                return [refusal] * items
            try:
                return self._booked(await self._send(action, items, deadline.expires_ms), items)
            except AnswerLostError:
                sought = [names[place] for place in places]
                found = await find_orders(self._http, self._account, sought, deadline, self._tolerance_ms)
                return self._booked(found, items)
            except VenueError as error:
                return [refused(error.value)] * items

        return carry

    async def _plain(self, action: encode.Action) -> OrderOutcome:
        """An action of one item whose answer, when it is lost, nobody can tell."""
        deadline = self._deadline()
        refusal = await self._afford(1)
        if refusal is not None:
            return refusal
        try:
            return self._booked(await self._send(action, 1, deadline.expires_ms), 1)[0]
        except AnswerLostError:
            raise
        except VenueError as error:
            return refused(error.value)

    async def _afford(self, items: int) -> OrderOutcome | None:
        """The account's own limit: what is beyond it is refused here and not by the venue."""
        now_ns = self._clock()
        if self.budget.ready_at_ns(now_ns, items) > now_ns:
            # What was traded since grants more: the venue's count decides, not ours.
            await self._recount_soon(urgent=False)
            now_ns = self._clock()
        wait_ns = self.budget.ready_at_ns(now_ns, items) - now_ns
        if wait_ns <= 0:
            return None
        text = f"not sent: the account's requests are used up, next in {wait_ns / NS_PER_S:.1f} s"
        hint = "one request every 10 s until more volume is traded"
        return OrderOutcome(OutcomeKind.REFUSED, refusal=Refusal.RATE_LIMIT, text=text, hint=hint)

    async def _recount_soon(self, *, urgent: bool) -> None:
        """Nothing waits long for a count: prices get old, and orders rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECOUNT_WITHIN_S):
                await self._recount(urgent=urgent)

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

    # --- cancels ------------------------------------------------------------------------------------------------

    async def _cancel(self, orders: Sequence[CancelOrder], *, fast: bool) -> list[OrderOutcome]:
        batches = encode.cancel_actions(orders, self._assets, fast=fast)
        return await self._carry_out(batches, len(orders), self._cancel_batch)

    async def _cancel_batch(self, action: encode.Action, places: Sequence[int]) -> list[OrderOutcome]:
        """At once within the account's limit; beyond it what is left, then one at a time as the venue lets them."""
        if len(places) <= self.budget.left(cancels=True):
            outcomes = await self._insist(action, len(places), None)
            if not _is_spent(outcomes):
                return outcomes
        async with self._one_at_a_time:
            return await self._cancel_slowly(action)

    async def _cancel_slowly(self, action: encode.Action) -> list[OrderOutcome]:
        rows, outcomes, refusals = action["cancels"], list[OrderOutcome](), 0
        lost: AnswerLostError | None = None
        while len(outcomes) < len(rows):
            rest = rows[len(outcomes) :]
            await self._recount_soon(urgent=True)
            # Once it was refused the count is not to be trusted; a single one passes in any case, in its time.
            some = rest[: 1 if refusals else max(1, self.budget.left(cancels=True))]
            wait_ns = self.budget.ready_at_ns(self._clock(), len(some), cancels=True) - self._clock()
            if refusals:
                # Whose request holds us up we do not know; what is refused costs nothing and does not prolong it.
                wait_ns = max(wait_ns, round(AGAIN_WHEN_SPENT_S * NS_PER_S))
            await asyncio.sleep(max(0, wait_ns) / NS_PER_S)
            try:
                told = await self._insist(action | {"cancels": some}, len(some), None)
            except AnswerLostError as error:
                # The others are still to be tried; that one was lost is said in the end.
                lost = error
                outcomes += [refused("no answer")] * len(some)
                continue
            refusals = refusals + 1 if _is_spent(told) else 0
            if refusals == TRIES_WHEN_SPENT:
                outcomes += told[:1] * len(rest)
            elif not refusals:
                outcomes += told
        if lost is not None:
            raise lost
        return outcomes

    async def _insist(self, action: encode.Action, items: int, expires_ms: int | None) -> list[OrderOutcome]:
        """What does no harm twice: by the first way, and over HTTP when that does not take it or nothing is heard."""
        try:
            return self._booked(await self._send(action, items, expires_ms), items, is_cancel=True)
        except AnswerLostError:
            may_be_done = True
        except VenueError:
            may_be_done = False
            now_ns = self._clock()
            free_ns = self._http.weight.free_at_ns(now_ns, exchange_weight(items), urgent=True) or now_ns
            await asyncio.sleep(min(AGAIN_WITHIN_S, max(AGAIN_AFTER_S, (free_ns - now_ns) / NS_PER_S)))
        try:
            # What the first did is "gone" to the second.
            answer = await self._over_http(action, items, expires_ms)
            return self._booked(read_outcomes(answer, items), items, is_cancel=True)
        except (VenueError, WireError) as error:
            if not may_be_done and type(error) is VenueError:
                return [refused(error.value)] * items
            raise AnswerLostError(field=error.field, value=error.value, expected="an answer", hint=LOST_HINT) from error

    # --- sending ------------------------------------------------------------------------------------------------

    async def _send(self, action: encode.Action, items: int, expires_ms: int | None) -> list[OrderOutcome]:
        """By the first way there is.

        Raises:
            VenueError: Not sent, or refused unread.
            AnswerLostError: It may have been carried out.
        """
        try:
            number = self._post(action, items, expires_ms)
            if number is None:
                return read_outcomes(await self._over_http(action, items, expires_ms), items)
            future = asyncio.get_running_loop().create_future()
            self._waiting[number] = future
            try:
                # The session gives an action up itself; this is for one that is no longer driven.
                async with asyncio.timeout(LOST_AFTER_S):
                    answer = await future
                return read_outcomes(answer, items)
            except TimeoutError as error:
                raise AnswerLostError(field="post", value="no answer", expected="an answer", hint=LOST_HINT) from error
            finally:
                del self._waiting[number]
        except WireError as error:
            raise AnswerLostError(
                field=error.field, value=error.value, expected="a readable answer", hint=LOST_HINT
            ) from error

    def _post(self, action: encode.Action, items: int, expires_ms: int | None) -> int | None:
        """Id of the post; None when the websocket cannot take it."""
        if self._websocket is None or not self._websocket.is_connected:
            return None
        if not self._http.weight.try_spend(self._clock(), exchange_weight(items), urgent=_is_urgent(action)):
            return None
        try:
            return self._websocket.send_action(msgspec.Raw(self._signed(action, expires_ms)))
        except InvalidInputError:
            return None

    async def _over_http(self, action: encode.Action, items: int, expires_ms: int | None) -> bytes:
        signed, weight = self._signed(action, expires_ms), exchange_weight(items)
        return await self._http.exchange(signed, weight, urgent=_is_urgent(action))

    def _signed(self, action: encode.Action, expires_ms: int | None) -> bytes:
        canonical = Action.from_json(msgspec.json.encode(action))
        nonce = self._nonce(self._clock() // NS_PER_MS, must_go_out=_is_urgent(action))
        return self._signer.request(canonical, nonce, vault_address=self._vault, expires_after_ms=expires_ms)

    def _nonce(self, now_ms: int, *, must_go_out: bool) -> int:
        try:
            return self._nonces.next(now_ms)
        except NonceError as error:
            if not must_go_out:
                raise
            nonce = self._nonces.next_unwritten(now_ms)
            _log.warning("a cancel goes out, orders do not: %s", error)
            return nonce

    # --- answers ------------------------------------------------------------------------------------------------

    def _on_notice(self, now_ns: int, notice: Notice) -> None:
        del now_ns
        if isinstance(notice, ActionAnswered):
            self._settle(notice.request_id, bytes(notice.payload))
        elif isinstance(notice, ActionLost):
            text = notice.reason.strip('"')
            # The venue's own refusals of a post are HTTP statuses; those of 4xx were not carried out, but for 408.
            kind = VenueError if text[:1] == "4" and text[:3] != "408" else AnswerLostError
            self._settle(notice.request_id, kind(field="post", value=text, expected="an answer", hint=LOST_HINT))
        elif isinstance(notice, Disconnected):
            for number in notice.lost_actions:
                lost = AnswerLostError(field="post", value=notice.reason, expected="an answer", hint=LOST_HINT)
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

    def _booked(self, outcomes: list[OrderOutcome], items: int, *, is_cancel: bool = False) -> list[OrderOutcome]:
        """Counts what the venue counted."""
        whole = outcomes[0] if outcomes and all(outcome is outcomes[0] for outcome in outcomes) else None
        if whole is not None and whole.refusal is Refusal.RATE_LIMIT:
            told = _CUMULATIVE.match(whole.text)
            if told is not None and not is_cancel:
                self.budget.refresh(int(told[1]), int(told[2]))
            elif told is not None:
                # Its numbers may be those of the cancels' own limit.
                self._recount_at_ns = 0
        elif whole is not None and whole.refusal is Refusal.EXPIRED:
            self.budget.expired(items)
        else:
            self.budget.accepted(self._clock(), items)
        return outcomes


def _is_urgent(action: encode.Action) -> bool:
    """It takes orders out of the market."""
    kind: str = action["type"]
    return kind.startswith(("cancel", "scheduleCancel"))


def _is_spent(outcomes: Sequence[OrderOutcome]) -> bool:
    return bool(outcomes) and _CUMULATIVE.match(outcomes[0].text) is not None
