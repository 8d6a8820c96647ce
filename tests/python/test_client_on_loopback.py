"""The live client against the loopback exchange: orders, fills, lost answers, dropped sockets, mistakes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hypermm import Instrument, QuoteEngine, Side
from hypermm._core import NonceCounter, Signer
from hypermm.cli.root import run
from hypermm.exchange import loopback
from hypermm.exchange.events import EngineEvent, OwnFill, apply_frame
from hypermm.exchange.hyperliquid import clock as clock_module
from hypermm.exchange.hyperliquid import http as http_module
from hypermm.exchange.hyperliquid import posts
from hypermm.exchange.hyperliquid.clock import WallClock
from hypermm.exchange.hyperliquid.encode import ClientIds
from hypermm.exchange.hyperliquid.endpoint import endpoint
from hypermm.exchange.hyperliquid.gateway import Gateway
from hypermm.exchange.hyperliquid.http import HttpClient, load_universe
from hypermm.exchange.hyperliquid.notices import PositionMismatch
from hypermm.exchange.hyperliquid.session import Phase, Session
from hypermm.exchange.hyperliquid.websocket import Websocket
from hypermm.exchange.orders import CancelOrder, NewOrder, OutcomeKind, Refusal, ReplaceOrder, TimeInForce
from loopback_exchange import exchange_thread

FUNDED, EMPTY, SUB = "0x" + "ab" * 20, "0x" + "cd" * 20, "0x" + "ef" * 20
KEYS = {"funded": "a7" * 32, "empty": "b8" * 32, "nobody": "c9" * 32}


@dataclass
class Place:
    """A running exchange, key files, and the addresses of the keys."""

    folder: Path
    url: str
    files: dict[str, Path]
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("loopback")
    files, addresses = {}, {}
    for name, key in KEYS.items():
        files[name] = folder / f"{name}.key"
        files[name].touch(0o600)
        files[name].write_text(key)
        addresses[name] = Signer.from_file(files[name], is_mainnet=False).address
    # Its own limits would make thirty questions a minute wait: the client's side of them is tested elsewhere.
    settings = loopback.ExchangeSettings(
        accounts=(
            *(
                loopback.AccountSettings(
                    address=address,
                    deposit_usd=deposit,
                    agents=(loopback.AgentSettings(address=addresses[name], name="mm"),),
                )
                for name, address, deposit in (("funded", FUNDED, 100_000.0), ("empty", EMPTY, 0.0))
            ),
            loopback.AccountSettings(address=SUB, deposit_usd=5_000.0, master=FUNDED),
        ),
        limits=loopback.Limits(weight_per_minute=1_000_000),
    )
    faults = [loopback.Fault(kind="lose_ack", at_s=0.0)]
    with exchange_thread(folder, settings, faults) as url:
        yield Place(folder, url, files, addresses)


# --- trading ----------------------------------------------------------------------------------------------------


@dataclass
class Trader:
    gateway: Gateway
    websocket: Websocket
    http: HttpClient
    engine: QuoteEngine
    events: list[EngineEvent] = field(default_factory=list)
    mismatches: int = 0

    async def ready(self) -> None:
        async with asyncio.timeout(20.0):
            while self.websocket.session.phase is not Phase.READY:
                await asyncio.sleep(0.02)

    async def until(self, what: Any) -> None:
        async with asyncio.timeout(15.0):
            while not what():
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def trader(place: Place, account: str = FUNDED, vault: str | None = None) -> AsyncIterator[Trader]:
    signer = Signer.from_file(place.files["funded"], is_mainnet=False, account_address=FUNDED)
    nonces = NonceCounter(place.folder / "nonces", signer.address)
    draw = random.Random(0).random  # noqa: S311 - a seeded test
    async with HttpClient(endpoint(place.url), WallClock(), draw) as http:
        universe = await load_universe(http, ["ETH"])
        assets = {"ETH": universe.asset("ETH")}
        websocket = Websocket(
            Session(universe, ["ETH"], draw, user=account, weight=http.weight), http.venue, http.clock
        )
        names = ClientIds(random.SystemRandom().getrandbits(64))
        gateway = Gateway(
            account, assets, signer, nonces, names, http, websocket=websocket, vault_address=vault, expires_after_s=4.0
        )
        made = Trader(gateway, websocket, http, QuoteEngine(Instrument("ETH", 4, 25)))

        async def consume() -> None:
            async for item in websocket.received():
                apply_frame(item.events, {"ETH": made.engine}, item.time_ns)
                made.events += item.events
                made.mismatches += sum(isinstance(notice, PositionMismatch) for notice in item.notices)

        tasks = [asyncio.create_task(websocket.run()), asyncio.create_task(consume())]
        try:
            await made.ready()
            yield made
            await gateway.cancel_all()
        finally:
            websocket.stop()
            await asyncio.gather(*tasks)
            nonces.close()


def order(trader: Trader, factor: float, side: Side = Side.BUY, **changes: Any) -> NewOrder:
    middle = trader.engine.mid_price or 0.0
    return NewOrder(coin="ETH", side=side, price_units=round(round(middle * factor)) * 100, lots=1_000, **changes)


def test_a_lost_answer_orders_fills_and_a_dropped_socket_leave_one_truth(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by: an order sent twice, a fill told twice or not, a position that does not follow the fills."""
    monkeypatch.setattr(posts, "ANSWER_WITHIN_NS", 2_000_000_000)

    async def main() -> None:
        async with trader(place) as made:
            gateway = made.gateway
            # The exchange carries out its first action and never answers: it is found by its name.
            begin_s = time.monotonic()
            lost = await gateway.place([order(made, 0.9), order(made, 1.1, Side.SELL)])
            assert time.monotonic() - begin_s >= 2.0
            assert [outcome.kind for outcome in lost] == [OutcomeKind.RESTING] * 2
            rows = await made.http.info("openOrders", user=FUNDED)
            assert {row.oid for row in rows} == {outcome.venue_id for outcome in lost}
            await made.until(lambda: len(made.engine.open_orders) == 2)
            moved = await gateway.replace([ReplaceOrder(lost[0].venue_id or 0, order(made, 0.92))])
            assert moved[0].kind is OutcomeKind.RESTING
            crossing = await gateway.place([order(made, 1.05)])
            assert crossing[0].refusal is Refusal.WOULD_CROSS
            tiny = await gateway.place([NewOrder("ETH", Side.BUY, 100_000, 1)])
            assert tiny[0].refusal is Refusal.MIN_NOTIONAL
            assert (await gateway.update_leverage("ETH", 5, is_cross=True)).kind is OutcomeKind.ACCEPTED
            early = await gateway.schedule_cancel(time.time_ns() // 1_000_000 + 60_000)
            assert "Cannot set scheduled cancel time" in early.text
            taken = await gateway.place([order(made, 1.01, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)])
            assert taken[0].kind is OutcomeKind.FILLED
            await made.until(lambda: made.engine.position > 0.0)
            bought = taken[0].filled_size
            assert made.engine.position == pytest.approx(bought, abs=1e-9)
            # The socket is cut; a fill happens meanwhile, over HTTP.
            made.websocket.session.close_reason = "cut by the test"
            made.websocket._poke.set()
            await made.until(lambda: made.websocket.session.phase is not Phase.READY)
            sold = await gateway.place([order(made, 0.99, Side.SELL, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)])
            assert sold[0].kind is OutcomeKind.FILLED
            await made.ready()
            await made.until(lambda: abs(made.engine.position - bought + sold[0].filled_size) < 1e-9)
            fills = [event for event in made.events if isinstance(event, OwnFill)]
            assert len({fill.fill_id for fill in fills}) == len(fills) >= 2
            assert made.mismatches == 0
            gone = await gateway.cancel([CancelOrder("ETH", lost[1].venue_id or 0), CancelOrder("ETH", 1)])
            assert [outcome.refusal for outcome in gone] == [None, Refusal.ORDER_GONE]
            await gateway.cancel_all()
            assert await made.http.info("openOrders", user=FUNDED) == []
            await made.until(lambda: not made.engine.open_orders)

    asyncio.run(main())


def test_a_sub_account_has_its_own_orders_fills_and_money(place: Place) -> None:
    """Killed by: an action without vaultAddress, which is the master's; questions about the master."""

    async def main() -> None:
        async with trader(place, SUB, SUB) as made:
            await made.until(lambda: made.engine.mid_price)
            placed = await made.gateway.place([order(made, 0.9)])
            assert placed[0].kind is OutcomeKind.RESTING
            taken = await made.gateway.place([order(made, 1.01, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)])
            assert taken[0].kind is OutcomeKind.FILLED
            await made.until(lambda: made.engine.position > 0.0 and len(made.engine.open_orders) == 1)
            state = await made.http.info("clearinghouseState", user=SUB)
            assert [row.position.szi for row in state.assetPositions] == [pytest.approx(taken[0].filled_size)]
            assert 4_000.0 < state.marginSummary.accountValue < 5_001.0
            assert not (await made.http.info("openOrders", user=FUNDED))
            assert [row.kind for row in await made.gateway.cancel_all()] == [OutcomeKind.ACCEPTED]
            assert not (await made.http.info("openOrders", user=SUB))

    asyncio.run(main())


def test_a_sub_account_without_vault_address_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = connect(place, capsys, account=SUB)
    assert code == 2
    assert f"{SUB} is a sub-account, and actions are not signed for it" in told
    code, told = connect(place, capsys, f"--set=exchange.vault_address={SUB}")
    assert code == 0
    assert f"{SUB} is a subAccount on testnet" in told


@pytest.mark.verify
def test_a_spent_account_leaves_the_market(place: Place, tmp_path: Path) -> None:
    """Killed by: a batch that waits for a slot of one and is refused whole, for ever."""
    settings = loopback.ExchangeSettings(
        accounts=(
            loopback.AccountSettings(
                address=FUNDED,
                deposit_usd=100_000.0,
                agents=(loopback.AgentSettings(address=place.addresses["funded"], name="mm"),),
            ),
        ),
        limits=loopback.Limits(weight_per_minute=1_000_000),
        initial_requests=3,
    )

    async def main(url: str) -> None:
        async with trader(Place(tmp_path, url, place.files, place.addresses)) as made:
            await made.until(lambda: made.engine.mid_price)
            for factor in (0.9, 0.91, 0.92):
                assert (await made.gateway.place([order(made, factor)]))[0].kind is OutcomeKind.RESTING
            refused = await made.gateway.place([order(made, 0.93)])
            assert refused[0].refusal is Refusal.RATE_LIMIT
            await asyncio.sleep(11.0)
            assert (await made.gateway.place([order(made, 0.93)]))[0].kind is OutcomeKind.RESTING
            # Six in all, and two are left: two at once, two in 11 s each.
            begin_s = time.monotonic()
            assert [row.kind for row in await made.gateway.cancel_all()] == [OutcomeKind.ACCEPTED] * 4
            took_s = time.monotonic() - begin_s
            print(f"a spent account canceled 4 orders, 2 beyond its limit, in {took_s:.1f} s")
            assert 20.0 < took_s < 30.0
            assert await made.http.info("openOrders", user=FUNDED) == []

    with exchange_thread(tmp_path, settings, []) as url:
        asyncio.run(main(url))


# --- mistakes ---------------------------------------------------------------------------------------------------


def connect(
    place: Place, capsys: pytest.CaptureFixture[str], *arguments: str, key: str = "funded", account: str = FUNDED
) -> tuple[int, str]:
    settings = {"base_url": place.url, "coins": "ETH", "account_address": account, "key_file": str(place.files[key])}
    line = [f"--set=exchange.{name}={value}" for name, value in settings.items() if value]
    code = run(["connect", "--check", *line, *arguments])
    told = capsys.readouterr()
    return code, " ".join((told.out + told.err).split())


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_everything_right(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = connect(place, capsys)
    assert code == 0
    assert "the venue takes our signature" in told
    assert "approval ends in 89 d" in told


@pytest.mark.parametrize(
    ("mistake", "given", "said"),
    [
        ("wrong key", {"key": "nobody"}, "it is no agent here"),
        ("another's agent", {"key": "empty"}, f"is an agent of {EMPTY}, not of {FUNDED}"),
        ("agent of an empty master", {"key": "empty", "account": EMPTY}, f"{EMPTY} is not funded on the first dex"),
        ("account left out", {"account": ""}, f"nobody to trade for; this key is an agent of {FUNDED}"),
        ("unknown account", {"account": "0x" + "12" * 20}, "it was never funded here"),
        ("wrong network", {"options": ("--set=exchange.network=mainnet",)}, "wrong network: signed for mainnet"),
        ("mistyped coin", {"options": ("--set=exchange.coins=ETHH",)}, "did you mean ETH?"),
        ("delisted coin", {"options": ("--set=exchange.coins=MATIC",)}, "MATIC is delisted"),
        ("dex without the prefix", {"options": ("--set=exchange.coins=GOLD",)}, "did you mean xyz:GOLD?"),
        ("nobody there", {"options": ("--set=exchange.base_url=http://127.0.0.1:9",)}, "an answer of http://127.0.0.1:9"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_line(
    place: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    mistake: str,
    given: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setattr(http_module, "FIRST_PAUSE_S", 0.01)
    who = {name: value for name, value in given.items() if name != "options"}
    code, told = connect(place, capsys, *given.get("options", ()), **who)
    assert code == 2, mistake
    assert said in told


def test_an_agent_given_as_the_account_is_told_its_master(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = connect(place, capsys, account=place.addresses["funded"])
    assert code == 2
    assert f"set account_address to the account it signs for: {FUNDED}" in told


@pytest.mark.parametrize("offset_s", [120, -120])
def test_a_clock_two_minutes_off_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, offset_s: int
) -> None:
    class Shifted:
        monotonic_ns = staticmethod(time.monotonic_ns)

        @staticmethod
        def time_ns() -> int:
            return time.time_ns() + offset_s * 1_000_000_000

    monkeypatch.setattr(clock_module, "time", Shifted)
    code, told = connect(place, capsys)
    assert code == 2
    assert ("s ahead of the venue" if offset_s > 0 else "s behind the venue") in told
    assert "timedatectl" in told


def test_no_key_is_in_a_log_a_file_or_what_was_printed(
    place: Place, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Killed by: a key in a log line, an answer, the exchange's log, the nonce file. Reads what the others left too."""
    caplog.set_level(logging.DEBUG)
    told = [connect(place, capsys, "--json", key=key)[1] for key in KEYS]
    files = [path for folder in (place.folder, tmp_path) for path in folder.rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in files if path.suffix != ".key"]
    texts += [text.encode() for text in (*told, caplog.text)]
    assert any(path.name == "log" for path in files)
    for key in KEYS.values():
        forms = [key.encode(), key.upper().encode(), bytes.fromhex(key), json.dumps(list(bytes.fromhex(key))).encode()]
        assert not [text for text in texts for form in forms if form in text]
