"""A loopback exchange inside a test, and a raw client of it that knows nothing of the code under test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action

from hypermm.exchange.loopback import (
    AccountSettings,
    EventLog,
    ExchangeSettings,
    Fault,
    FaultPlan,
    LoopbackExchange,
    Server,
    VenueClock,
    World,
    listed,
)

OWNER, OTHER, STRANGER = (Account.from_key("0x" + digit * 64) for digit in "567")
ETH, GOLD, MATIC = 1, 110_000, 0


def address(wallet: Any) -> str:
    lower: str = wallet.address.lower()
    return lower


ACCOUNTS = (AccountSettings(address=address(OWNER), volume_usd=2e6), AccountSettings(address=address(OTHER)))


class Client:
    """Speaks HTTP, signs with the official client's code."""

    def __init__(self, server: Server, venue: LoopbackExchange, session: aiohttp.ClientSession, log: BytesIO) -> None:
        self.server = server
        self.venue = venue
        self.url = server.url
        self.session = session
        self._log = log
        self._nonce = 0

    async def info(self, kind: str, **fields: Any) -> Any:
        async with self.session.post(self.url + "/info", json={"type": kind, **fields}) as response:
            assert response.status == 200, (response.status, await response.text())
            return await response.json()

    def signed(self, action: dict[str, Any], wallet: Any = OWNER, expires_after: int | None = None) -> dict[str, Any]:
        self._nonce = max(self._nonce + 1, self.server.clock.now_ns() // 1_000_000)
        signature = sign_l1_action(wallet, action, None, self._nonce, expires_after, False)
        return {"action": action, "nonce": self._nonce, "signature": signature, "expiresAfter": expires_after}

    async def act(self, action: dict[str, Any], wallet: Any = OWNER, **terms: Any) -> Any:
        async with self.session.post(self.url + "/exchange", json=self.signed(action, wallet, **terms)) as response:
            assert response.status == 200, (response.status, await response.text())
            return await response.json()

    async def order(self, *orders: dict[str, Any], wallet: Any = OWNER) -> list[Any]:
        answer = await self.act({"type": "order", "orders": list(orders), "grouping": "na"}, wallet)
        assert answer["status"] == "ok", answer
        statuses: list[Any] = answer["response"]["data"]["statuses"]
        return statuses

    async def best(self, coin: str = "ETH") -> tuple[float, float]:
        bids, asks = (await self.info("l2Book", coin=coin))["levels"]
        return float(bids[0]["px"]), float(asks[0]["px"])

    def log(self) -> list[dict[str, Any]]:
        """The venue's own log so far."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[Socket]:
        async with self.session.ws_connect(self.url + "/ws") as inner:
            yield Socket(inner)


class Socket:
    """Speaks over a websocket."""

    def __init__(self, inner: aiohttp.ClientWebSocketResponse) -> None:
        self.inner = inner
        self.heard: list[dict[str, Any]] = []

    async def say(self, message: dict[str, Any]) -> None:
        await self.inner.send_str(json.dumps(message))

    async def subscribe(self, kind: str, **fields: Any) -> dict[str, Any]:
        await self.say({"method": "subscribe", "subscription": {"type": kind, **fields}})
        told: dict[str, Any] = (await self.hear("subscriptionResponse"))["data"]
        return told

    async def frame(self, timeout_s: float = 8.0) -> dict[str, Any] | None:
        """The next frame; None when the socket is gone."""
        message = await self.inner.receive(timeout_s)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        frame: dict[str, Any] = json.loads(message.data)
        self.heard.append(frame)
        return frame

    async def hear(
        self, channel: str, wanted: Callable[[Any], bool] = lambda _: True, timeout_s: float = 8.0
    ) -> dict[str, Any]:
        """The next frame of a channel that is wanted; others are passed over."""
        async with asyncio.timeout(timeout_s):
            while True:
                frame = await self.frame(timeout_s)
                assert frame is not None, f"the socket is gone, {channel} was awaited"
                if frame["channel"] == channel and wanted(frame.get("data")):
                    return frame

    async def all_until(self, seconds: float) -> list[dict[str, Any]]:
        """Every frame of so many seconds, or until the socket is gone."""
        frames: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(seconds):
                while (frame := await self.frame(seconds + 1.0)) is not None:
                    frames.append(frame)
        except TimeoutError:
            pass
        return frames


def limit(
    price: float | str,
    *,
    buy: bool = True,
    size: str = "0.01",
    asset: int = ETH,
    tif: str = "Alo",
    reduce_only: bool = False,
    cloid: str | None = None,
) -> dict[str, Any]:
    """An order as it goes over the wire."""
    text = price if isinstance(price, str) else f"{price:.6f}".rstrip("0").rstrip(".")
    order = {"a": asset, "b": buy, "p": text, "s": size, "r": reduce_only, "t": {"limit": {"tif": tif}}}
    return order if cloid is None else order | {"c": cloid}


@asynccontextmanager
async def exchange(
    *faults: Fault,
    accounts: Sequence[AccountSettings] = ACCOUNTS,
    speed: float = 1.0,
    seed: int = 1,
    coins: tuple[str, ...] = ("ETH",),
    port: int = 0,
    **settings: Any,
) -> AsyncIterator[Client]:
    """A running exchange and a client of it."""
    listing, markets = listed(list(coins))
    clock = VenueClock(speed)
    chosen = ExchangeSettings(accounts=tuple(accounts), seed=seed, **settings)
    log = BytesIO()
    world = World(listing, markets, chosen, clock.now_ns())
    venue = LoopbackExchange(world, FaultPlan(list(faults), seed), EventLog(log))
    async with Server(venue, clock, port=port) as server, aiohttp.ClientSession() as session:
        yield Client(server, venue, session, log)


def play(test: Callable[[], Awaitable[None]]) -> None:
    """Runs a test's routine, for thirty seconds at most."""

    async def bounded() -> None:
        async with asyncio.timeout(30.0):
            await test()

    asyncio.run(bounded())
