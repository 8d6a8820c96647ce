"""A loopback exchange without sockets and without a clock: time is the test's."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action

from hypermm.exchange.loopback import (
    AccountSettings,
    EventLog,
    ExchangeSettings,
    Fault,
    FaultPlan,
    Latency,
    Limits,
    LoopbackExchange,
    World,
    listed,
)
from loopback_session import limit

if TYPE_CHECKING:
    from hypermm.exchange.loopback.hub import Connection

NS = 1_000_000_000
HOUR = 3600 * NS
# A minute before a full hour.
START = 1_788_490_800 // 3600 * 3600 * NS + HOUR - 60 * NS
OWNER = Account.from_key("0x" + "5" * 64)
USER = OWNER.address.lower()
NO_WEIGHT = Limits(weight_per_minute=10**9)


class Venue:
    """An exchange at a time of ours."""

    def __init__(
        self,
        *faults: Fault,
        seed: int = 1,
        volume_usd: float = 0.0,
        limits: Limits = NO_WEIGHT,
        latency: Latency = Latency(),  # noqa: B008 - frozen
    ) -> None:
        listing, coins = listed(["ETH"])
        account = AccountSettings(address=USER, volume_usd=volume_usd)
        chosen = ExchangeSettings(accounts=(account,), seed=seed, limits=limits, latency=latency)
        self.now_ns = START
        self.log = BytesIO()
        world = World(listing, coins, chosen, START)
        self.exchange = LoopbackExchange(world, FaultPlan(list(faults), seed), EventLog(self.log))
        self._nonce = START // 1_000_000
        self.connections: dict[int, Connection] = {}
        self.sent: dict[int, list[bytes]] = {}

    def connect(self) -> Connection:
        connection = self.exchange.hub.connect(self.now_ns)
        assert connection is not None
        self.connections[connection.number] = connection
        return connection

    def subscribe(self, connection: Connection, kind: str, **fields: Any) -> None:
        message = {"method": "subscribe", "subscription": {"type": kind, **fields}}
        self.exchange.receive(connection, json.dumps(message), self.now_ns)

    def ask(self, kind: str, **fields: Any) -> Any:
        reply = self.exchange.info(json.dumps({"type": kind, **fields}).encode(), self.now_ns)
        assert reply.status == 200
        return json.loads(reply.body)

    def signed(self, action: dict[str, Any]) -> bytes:
        """The body of an action."""
        self._nonce += 1
        signature = sign_l1_action(OWNER, action, None, self._nonce, None, False)
        return json.dumps({"action": action, "nonce": self._nonce, "signature": signature}).encode()

    def act(self, action: dict[str, Any]) -> Any:
        """Sends an action and lets half a second pass."""
        body = self.signed(action)
        replies: list[Any] = []
        self.exchange.act(body, self.now_ns, replies.append)
        self.run(0.5)
        [reply] = replies
        return json.loads(reply.body)

    def run(self, seconds: float, step_s: float = 0.07) -> None:
        end_ns = self.now_ns + round(seconds * NS)
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + round(step_s * NS), end_ns)
            self.exchange.advance(self.now_ns)
            for number, connection in self.connections.items():
                self.sent.setdefault(number, []).extend(connection.take(self.now_ns))

    def frames(self, connection: Connection, channel: str) -> list[Any]:
        """What a connection was sent on a channel."""
        read = [json.loads(frame) for frame in self.sent.get(connection.number, [])]
        return [frame["data"] for frame in read if frame["channel"] == channel]


def taker(asset: int, price: float, size: str) -> dict[str, Any]:
    return {"type": "order", "orders": [limit(price, size=size, tif="Ioc", asset=asset)], "grouping": "na"}
