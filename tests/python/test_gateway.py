"""Orders reach the venue once, signed; an answer lost on the way is found out by name, never by sending again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fake_exchange import FakeExchange
from hypermm import Side
from hypermm._core import Action, NonceCounter, Signer, recover_signer
from hypermm.exceptions import AnswerLostError, InvalidInputError
from hypermm.exchange.hyperliquid import gateway as gateway_module
from hypermm.exchange.hyperliquid import http as http_module
from hypermm.exchange.hyperliquid import lost_orders as lost_orders_module
from hypermm.exchange.hyperliquid import posts
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.clock import WallClock
from hypermm.exchange.hyperliquid.encode import ClientIds
from hypermm.exchange.hyperliquid.endpoint import endpoint
from hypermm.exchange.hyperliquid.gateway import Gateway
from hypermm.exchange.hyperliquid.http import HttpClient, load_universe
from hypermm.exchange.hyperliquid.notices import Ready
from hypermm.exchange.hyperliquid.rate_limit import AddressBudget
from hypermm.exchange.hyperliquid.session import Session
from hypermm.exchange.hyperliquid.websocket import Websocket
from hypermm.exchange.orders import CancelOrder, NewOrder, OutcomeKind, Refusal, ReplaceOrder, TimeInForce
from hypermm.exchange.protocols import MarketDataSource, OrderGateway

KEY = "4c" * 32
ACCOUNT = "0x" + "ab" * 20


@dataclass
class Rig:
    gateway: Gateway
    websocket: Websocket | None
    http: HttpClient
    signer: Signer


@contextlib.asynccontextmanager
async def rig(venue: FakeExchange, folder: Path, *, websocket: bool = True, **settings: Any) -> AsyncIterator[Rig]:
    folder.mkdir(exist_ok=True)
    key_file = folder / "agent.key"
    key_file.touch(0o600)
    key_file.write_text(KEY)
    signer = Signer.from_file(key_file, is_mainnet=False)
    nonces = NonceCounter(folder / "nonces", signer.address)
    draw = random.Random(0).random  # noqa: S311 - a seeded test
    clock = WallClock()
    async with HttpClient(endpoint(venue.url), clock, draw, timeout_s=2.0) as http:
        universe = await load_universe(http, ["ETH", "BTC", "xyz:GOLD"])
        assets = {coin: universe.asset(coin) for coin in ("ETH", "BTC", "xyz:GOLD")}
        socket = None
        running: list[asyncio.Task[Any]] = []
        if websocket:
            session = Session(universe, ["ETH"], draw, user=ACCOUNT)
            socket = Websocket(session, http.venue, clock, http=http)
            ready = asyncio.Event()
            socket.listeners.append(lambda _, notice: ready.set() if isinstance(notice, Ready) else None)

            async def drain(source: Websocket) -> None:
                async for _ in source.received():
                    pass

            running = [asyncio.create_task(socket.run()), asyncio.create_task(drain(socket))]
            async with asyncio.timeout(10.0):
                await ready.wait()
        gateway = Gateway(
            ACCOUNT,
            assets,
            signer,
            nonces,
            ClientIds(7),
            http,
            websocket=socket,
            **({"expires_after_s": 5.0} | settings),
        )
        try:
            yield Rig(gateway, socket, http, signer)
        finally:
            if socket is not None:
                socket.stop()
            await asyncio.gather(*running)
            nonces.close()


def order(price: float = 3000.0, **changes: Any) -> NewOrder:
    plain = {"coin": "ETH", "side": Side.BUY, "price_units": round(price * 100), "lots": 10_000}
    return NewOrder(**(plain | changes))


def sent(venue: FakeExchange, kind: str) -> list[dict[str, Any]]:
    return [row for row in venue.actions if row["action"]["type"] == kind]


def run(venue: FakeExchange, folder: Path, act: Callable[[Rig], Any], **settings: Any) -> Any:
    async def main() -> Any:
        async with rig(venue, folder, **settings) as made:
            async with asyncio.timeout(20.0):
                return await act(made)

    return asyncio.run(main())


@pytest.fixture
def venue() -> Any:
    with FakeExchange(seed=11) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second for an answer, so that a lost one is lost soon."""
    monkeypatch.setattr(posts, "ANSWER_WITHIN_NS", 500_000_000)
    monkeypatch.setattr(http_module, "FIRST_PAUSE_S", 0.02)


@pytest.mark.parametrize("websocket", [True, False])
def test_orders_are_placed_replaced_and_canceled_by_either_way(
    venue: FakeExchange, tmp_path: Path, websocket: bool
) -> None:
    """Killed by: an unsigned action, a nonce twice, answers given to the wrong items, post-only mixed with others."""

    async def act(made: Rig) -> None:
        gateway = made.gateway
        orders = [
            order(2900.0),
            order(2800.0, time_in_force=TimeInForce.GOOD_TILL_CANCELED),
            order(2700.0, client_id="0x" + "0" * 31 + "1"),
        ]
        placed = await gateway.place(orders)
        assert [outcome.kind for outcome in placed] == [OutcomeKind.RESTING] * 3
        by_price = {row["order"]["limitPx"]: row["order"] for row in venue.known_orders.values()}
        assert [outcome.venue_id for outcome in placed] == [by_price[px]["oid"] for px in ("2900", "2800", "2700")]
        replaced = await gateway.replace([ReplaceOrder(placed[0].venue_id or 0, order(2901.0))])
        assert replaced[0].venue_id not in (None, placed[0].venue_id)
        canceled = await gateway.cancel(
            [CancelOrder("ETH", placed[1].venue_id or 0), CancelOrder("ETH", "0x" + "0" * 31 + "1")]
        )
        assert [outcome.kind for outcome in canceled] == [OutcomeKind.ACCEPTED] * 2
        assert (await gateway.schedule_cancel(2_000_000_000_000)).kind is OutcomeKind.ACCEPTED
        assert (await gateway.update_leverage("xyz:GOLD", 5, is_cross=True)).kind is OutcomeKind.ACCEPTED
        assert (await gateway.no_operation()).kind is OutcomeKind.ACCEPTED
        for row in venue.actions:
            signature = (row["signature"]["r"], row["signature"]["s"], row["signature"]["v"])
            action = Action.from_json(json.dumps(row["action"]))
            terms = {"is_mainnet": False, "expires_after_ms": row.get("expiresAfter")}
            assert recover_signer(action, signature, row["nonce"], **terms) == made.signer.address

    run(venue, tmp_path, act, websocket=websocket)
    assert [len(row["action"]["orders"]) for row in sent(venue, "order")] == [2, 1]
    assert {item["t"]["limit"]["tif"] for item in sent(venue, "order")[0]["action"]["orders"]} == {"Alo"}
    assert all(row["action"]["f"] for row in sent(venue, "cancel") + sent(venue, "cancelByCloid"))
    assert len({row["nonce"] for row in venue.actions}) == len(venue.actions) == 8
    assert not [row for row in venue.asked if row.startswith("http order")]


@pytest.mark.usefixtures("impatient")
def test_an_order_whose_answer_is_lost_is_looked_up_and_not_sent_again(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: sending again, by either way; taking silence for a refusal."""

    async def act(made: Rig) -> Any:
        venue.lose_answers = True
        return await made.gateway.place([order(2900.0), order(2800.0)])

    placed = run(venue, tmp_path, act)
    assert len(sent(venue, "order")) == 1
    names = [item["c"] for item in sent(venue, "order")[0]["action"]["orders"]]
    assert len(set(names)) == 2
    assert [outcome.kind for outcome in placed] == [OutcomeKind.RESTING] * 2
    assert [outcome.venue_id for outcome in placed] == [venue.known_orders[name]["order"]["oid"] for name in names]
    assert venue.asked["http orderStatus"] >= 2


@pytest.mark.parametrize(
    ("status", "remaining", "kind", "filled", "refusal"),
    [
        ("open", "0.7", OutcomeKind.RESTING, 0.3, None),
        ("canceled", "0.7", OutcomeKind.FILLED, 0.3, None),
        ("canceled", "1.0", OutcomeKind.ACCEPTED, 0.0, None),
        ("filled", "0.0", OutcomeKind.FILLED, 1.0, None),
        ("badAloPxRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.WOULD_CROSS),
        ("perpMarginRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.MARGIN),
        ("tickRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.BAD_PRICE),
        ("minTradeNtlRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.MIN_NOTIONAL),
        ("reduceOnlyRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.REDUCE_ONLY),
        ("iocCancelRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.NO_LIQUIDITY),
        ("perpMaxPositionRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.POSITION_LIMIT),
        ("somethingNewRejected", "1.0", OutcomeKind.REFUSED, 0.0, Refusal.OTHER),
    ],
)
def test_a_looked_up_order_tells_what_it_traded_and_why_it_was_refused(
    status: str, remaining: str, kind: OutcomeKind, filled: float, refusal: Refusal | None
) -> None:
    """Killed by: the fill of a killed or resting order dropped; every rejection OTHER."""
    row = {
        "coin": "ETH", "side": "B", "limitPx": "2900", "sz": remaining, "origSz": "1.0", "oid": 7, "timestamp": 1,
    }  # fmt: skip
    told = {"status": "order", "order": {"order": row, "status": status, "statusTimestamp": 2}}
    outcome = lost_orders_module._outcome_of(read_info("orderStatus", json.dumps(told)).order)
    assert (outcome.kind, outcome.filled_size, outcome.refusal, outcome.venue_id) == (kind, filled, refusal, 7)


def test_without_anybody_to_tell_it_an_answer_is_lost_after_all(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: an action that waits for ever for a session that nobody drives."""
    monkeypatch.setattr(gateway_module, "LOST_AFTER_S", 0.1)

    async def act(made: Rig) -> Any:
        assert made.websocket is not None
        made.websocket.listeners.clear()
        async with asyncio.timeout(2.0):
            return await made.gateway.place([order(2900.0)])

    assert run(venue, tmp_path, act)[0].kind is OutcomeKind.RESTING
    assert len(sent(venue, "order")) == 1


@pytest.mark.usefixtures("impatient")
def test_cancels_do_not_wait_for_questions(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: a listing kept to what ordinary questions may use; a cancel that waits for a count of requests."""
    monkeypatch.setattr(gateway_module, "RECOUNT_WITHIN_S", 0.05)
    row = {"coin": "ETH", "side": "B", "limitPx": "1.0", "sz": "1.0", "oid": 50, "timestamp": 1}
    venue.answers["frontendOpenOrders"] = lambda payload: [] if payload.get("dex") else [row]

    async def act(made: Rig) -> None:
        gateway, weight = made.gateway, made.http.weight
        while weight.try_spend(made.http.clock(), 1):
            pass
        weight.refused(made.http.clock())
        async with asyncio.timeout(1.0):
            assert [outcome.kind for outcome in await gateway.cancel_all()] == [OutcomeKind.ACCEPTED]
        gateway.budget = AddressBudget(30_000, 10_000, pause_ns=100_000_000)
        gateway.budget.accepted(made.http.clock(), 1)
        monkeypatch.setattr(made.http, "info", lambda *_, **__: asyncio.sleep(60.0))
        async with asyncio.timeout(1.0):
            assert (await gateway.cancel([CancelOrder("ETH", 5)]))[0].kind is OutcomeKind.ACCEPTED

    run(venue, tmp_path, act)
    assert [row["action"]["cancels"][0]["o"] for row in sent(venue, "cancel")] == [50, 5]


def test_a_batch_that_came_too_late_is_booked_five_times_each_item(venue: FakeExchange, tmp_path: Path) -> None:
    async def act(made: Rig) -> None:
        venue.answers["order"] = {"status": "err", "response": "Action already expired"}
        before = made.gateway.budget.used
        placed = await made.gateway.place([order(2900.0), order(2800.0), order(2700.0)])
        assert [outcome.refusal for outcome in placed] == [Refusal.EXPIRED] * 3
        assert made.gateway.budget.used == before + 15

    run(venue, tmp_path, act, websocket=False)


@pytest.mark.usefixtures("impatient")
def test_an_order_that_never_arrives_is_refused_once_it_has_expired_and_not_before(
    venue: FakeExchange, tmp_path: Path
) -> None:
    """Killed by: believing the first "unknown", which an order still under way gets too."""

    async def act(made: Rig) -> Any:
        venue.silent_posts = True
        clock = asyncio.get_running_loop().time
        begin = clock()
        placed = await made.gateway.place([order(2900.0)])
        return placed, clock() - begin

    placed, took_s = run(venue, tmp_path, act, expires_after_s=0.7, clock_tolerance_s=1.0)
    assert not venue.actions
    assert (placed[0].kind, placed[0].refusal) == (OutcomeKind.REFUSED, Refusal.EXPIRED)
    assert 1.7 <= took_s < 6.0


@pytest.mark.usefixtures("impatient")
def test_what_the_venue_does_not_tell_is_raised_as_lost(
    venue: FakeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: calling an order refused that may rest."""
    monkeypatch.setattr(lost_orders_module, "GIVE_UP_AFTER_S", 0.1)

    async def act(made: Rig) -> None:
        venue.lose_answers = True
        venue.statuses = {"orderStatus": [500] * 100}
        with pytest.raises(AnswerLostError, match="looking up 0x"):
            await made.gateway.place([order(2900.0)])
        with pytest.raises(AnswerLostError):
            await made.gateway.update_leverage("ETH", 3, is_cross=True)

    run(venue, tmp_path, act, expires_after_s=0.3, clock_tolerance_s=1.0)
    assert len(sent(venue, "order")) == len(sent(venue, "updateLeverage")) == 1


@pytest.mark.usefixtures("impatient")
def test_a_dropped_socket_and_a_bad_gateway_lose_answers_and_no_orders(venue: FakeExchange, tmp_path: Path) -> None:
    async def dropped(made: Rig) -> Any:
        venue.lose_answers = True
        placing = asyncio.create_task(made.gateway.place([order(2900.0)]))
        while not venue.actions:
            await asyncio.sleep(0.01)
        venue.drop()
        return await placing

    assert run(venue, tmp_path / "a", dropped)[0].kind is OutcomeKind.RESTING
    venue.lose_answers = False
    venue.statuses = {"order": [502]}

    async def stumbled(made: Rig) -> Any:
        return await made.gateway.place([order(2800.0)])

    assert run(venue, tmp_path / "b", stumbled, websocket=False)[0].kind is OutcomeKind.RESTING
    assert len(sent(venue, "order")) == 2


@pytest.mark.usefixtures("impatient")
def test_a_cancel_without_an_answer_is_sent_again_by_the_other_way(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: a cancel given up after one way; killed too by a third attempt."""

    async def act(made: Rig) -> Any:
        venue.lose_answers = True
        canceled = await made.gateway.cancel([CancelOrder("ETH", 5)])
        venue.statuses = {"cancel": [502]}
        with pytest.raises(AnswerLostError):
            await made.gateway.cancel([CancelOrder("ETH", 6)])
        return canceled

    assert run(venue, tmp_path, act)[0].kind is OutcomeKind.ACCEPTED
    assert [row["action"]["cancels"][0]["o"] for row in sent(venue, "cancel")] == [5, 5, 6, 6]
    assert len({row["nonce"] for row in venue.actions}) == 4


def test_refusals_are_outcomes_each_with_its_reason(venue: FakeExchange, tmp_path: Path) -> None:
    async def act(made: Rig) -> Any:
        gateway = made.gateway
        statuses = [{"resting": {"oid": 9}}, {"error": "Insufficient margin to place order. asset=1"}]
        venue.answers["order"] = {"status": "ok", "response": {"type": "order", "data": {"statuses": statuses}}}
        mixed = await gateway.place([order(2900.0), order(2800.0)])
        venue.answers["order"] = {"status": "err", "response": "Signed action over weight limit of 200."}
        whole = await gateway.place([order(2900.0), order(2800.0)])
        text = "Too many cumulative requests sent (10050 > 10001) for cumulative volume traded $1."
        venue.answers["order"] = {"status": "err", "response": text}
        spent = await gateway.place([order(2900.0)])
        count = len(venue.actions)
        rows = {"cumVlm": "1.0", "nRequestsUsed": 10_050, "nRequestsCap": 10_001, "nRequestsSurplus": 0}
        venue.answers["userRateLimit"] = rows
        waiting = await gateway.place([order(2900.0)])
        assert len(venue.actions) == count
        # Trading has granted more, as the venue counts: that is asked for before an order is refused.
        venue.answers["userRateLimit"] = rows | {"nRequestsCap": 20_000}
        del venue.answers["order"]
        gateway._recount_at_ns = 0
        assert (await gateway.place([order(2900.0)]))[0].kind is OutcomeKind.RESTING
        canceled = await gateway.cancel([CancelOrder("ETH", 5)])
        return mixed, whole, spent, waiting, canceled

    mixed, whole, spent, waiting, canceled = run(venue, tmp_path, act)
    assert [outcome.kind for outcome in mixed] == [OutcomeKind.RESTING, OutcomeKind.REFUSED]
    assert mixed[1].refusal is Refusal.MARGIN
    assert [outcome.refusal for outcome in whole] == [Refusal.BATCH_TOO_LARGE] * 2
    assert spent[0].refusal is waiting[0].refusal is Refusal.RATE_LIMIT
    assert "next in" in waiting[0].text
    assert canceled[0].kind is OutcomeKind.ACCEPTED


def test_over_http_429_and_a_venue_that_is_away_refuse_and_nothing_is_lost(venue: FakeExchange, tmp_path: Path) -> None:
    async def act(made: Rig) -> Any:
        venue.statuses = {"order": [429]}
        first = await made.gateway.place([order(2900.0)])
        paused = await made.gateway.place([order(2900.0)])
        made.http.venue = endpoint("http://127.0.0.1:9")
        made.http.weight = type(made.http.weight)()
        away = await made.gateway.place([order(2900.0)])
        return first, paused, away

    first, paused, away = run(venue, tmp_path, act, websocket=False)
    assert not venue.actions
    assert first[0].refusal is paused[0].refusal is Refusal.RATE_LIMIT
    assert "before it was sent" in paused[0].text
    assert away[0].kind is OutcomeKind.REFUSED
    assert "127.0.0.1" in away[0].text


def test_four_hundred_orders_go_in_three_actions_and_answers_come_in_order(venue: FakeExchange, tmp_path: Path) -> None:
    orders = [
        order(2000.0 + i, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL if i % 4 == 0 else TimeInForce.POST_ONLY)
        for i in range(400)
    ]

    async def act(made: Rig) -> Any:
        return await made.gateway.place(orders)

    placed = run(venue, tmp_path, act)
    assert sorted(len(row["action"]["orders"]) for row in sent(venue, "order")) == [100, 100, 200]
    by_oid = {row["order"]["oid"]: row["order"]["limitPx"] for row in venue.known_orders.values()}
    assert [by_oid[outcome.venue_id] for outcome in placed] == [f"{2000 + i}" for i in range(400)]


def test_a_bad_order_refuses_its_batch_before_anything_is_sent(venue: FakeExchange, tmp_path: Path) -> None:
    async def act(made: Rig) -> None:
        with pytest.raises(InvalidInputError, match="price_units"):
            await made.gateway.place([order(2900.0), order(price_units=300_001_1)])

    run(venue, tmp_path, act)
    assert not venue.actions


def test_a_caller_that_is_canceled_leaves_nothing_behind(venue: FakeExchange, tmp_path: Path) -> None:
    """Killed by: an answer to a future nobody holds that ends the reader; a future that is never let go."""

    async def act(made: Rig) -> None:
        venue.lose_answers = True
        for _ in range(3):
            placing = asyncio.create_task(made.gateway.place([order(2900.0)]))
            await asyncio.sleep(0.05)
            placing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await placing
        assert not made.gateway._waiting
        venue.lose_answers = False
        placed = await made.gateway.place([order(2901.0)])
        assert placed[0].kind is OutcomeKind.RESTING

    run(venue, tmp_path, act)


def test_everything_of_ours_that_rests_is_canceled_and_nothing_of_other_coins(
    venue: FakeExchange, tmp_path: Path
) -> None:
    rows = [
        {"coin": coin, "side": "B", "limitPx": "1.0", "sz": "1.0", "oid": oid, "timestamp": 1}
        for oid, coin in enumerate(("ETH", "SOL", "BTC", "ETH"), start=50)
    ]
    venue.answers["frontendOpenOrders"] = lambda payload: [] if payload.get("dex") else rows

    async def act(made: Rig) -> Any:
        return await made.gateway.cancel_all()

    assert [outcome.kind for outcome in run(venue, tmp_path, act)] == [OutcomeKind.ACCEPTED] * 3
    assert [row["o"] for row in sent(venue, "cancel")[0]["action"]["cancels"]] == [50, 52, 53]


def test_the_key_is_in_no_log_file_message_or_frame(
    venue: FakeExchange, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed by: the key in a repr, an exception, a log line or a file other than its own."""
    caplog.set_level(logging.DEBUG)

    async def act(made: Rig) -> list[str]:
        await made.gateway.place([order(2900.0)])
        venue.answers["order"] = {"status": "err", "response": "User or API Wallet 0x12 does not exist."}
        refused = await made.gateway.place([order(2900.0)])
        return [repr(refused), repr(made), repr(vars(made.gateway)), str(made.signer)]

    said = run(venue, tmp_path, act)
    frames = [text for connection in venue.connections for text in connection.sent]
    texts = [*said, *frames, caplog.text, json.dumps(venue.actions)]
    texts += [
        path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file() and path.name != "agent.key"
    ]
    assert len(texts) > 20
    assert not [text for text in texts if KEY in text.lower() or bytes.fromhex(KEY).decode("latin1") in text]
    assert threading.active_count() < 20


def test_they_have_the_shapes_every_venue_has() -> None:
    assert issubclass(Gateway, OrderGateway)
    assert issubclass(Websocket, MarketDataSource)
