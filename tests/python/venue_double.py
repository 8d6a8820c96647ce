"""A venue of one coin and one account behind a bad wire, for the session's tests; keeps a log of all that happened.

It answers as the protocol sheet says Hyperliquid does and knows nothing of the code under test. Between it and the
session `Wire` drops the socket, loses what was under way, repeats frames and lets neighbors overtake one another.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

COIN = "ETH"
USER = "0x" + "ab" * 20
LOT = 10_000
START_MS = 1_788_490_065_000
REPLAYED_TRADES = 30
SNAPSHOT_FILLS = 200


def number(lots: int) -> str:
    text = f"{lots / LOT:.4f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


@dataclass
class Venue:
    """The truth: clock, tape, fills, orders, position; and the frames its one connection is to get."""

    rng: random.Random
    now_ms: int = START_MS
    trades: list[dict[str, Any]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    ended: dict[int, tuple[dict[str, Any], str, int]] = field(default_factory=dict)
    position: int = 0
    next_id: int = 1
    outbox: list[dict[str, Any]] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)
    state_lags: bool = False
    lagging: tuple[int, int] = (0, 0)

    def number_for(self) -> int:
        self.next_id += 1
        return self.next_id

    def send(self, channel: str, data: Any) -> None:
        if channel in self.subscribed:
            self.outbox.append({"channel": channel, "data": data})

    def connect(self) -> None:
        self.outbox.clear()
        self.subscribed.clear()

    # --- what happens -------------------------------------------------------------------------------------------

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms

    def book(self) -> None:
        levels = [[{"px": f"{price}", "sz": "1.0", "n": 1}] for price in (2999.9, 3000.1)]
        self.send("l2Book", {"coin": COIN, "time": self.now_ms, "levels": levels, "fast": True})

    def print_trades(self, count: int) -> None:
        row = {"coin": COIN, "px": "3000.0", "sz": "0.5", "time": self.now_ms, "hash": "0x00"}
        rows = [row | {"side": self.rng.choice("BA"), "tid": self.number_for()} for _ in range(count)]
        self.trades += rows
        self.send("trades", rows)

    def place(self) -> None:
        oid = self.number_for()
        row = {
            "coin": COIN, "side": self.rng.choice("BA"), "limitPx": "3000.0", "sz": "1.0", "oid": oid,
            "timestamp": self.now_ms, "origSz": "1.0", "cloid": f"0x{oid:032x}",
        }  # fmt: skip
        self.orders[oid] = row
        self.update(row, "open")

    def update(self, row: dict[str, Any], status: str) -> None:
        self.send("orderUpdates", [{"order": dict(row), "status": status, "statusTimestamp": self.now_ms}])

    def end(self, oid: int, status: str) -> None:
        row = self.orders.pop(oid)
        self.ended[oid] = (row, status, self.now_ms)
        self.update(row, status)

    def fill(self) -> None:
        if not self.orders:
            return
        oid = self.rng.choice(sorted(self.orders))
        row = self.orders[oid]
        left = round(float(row["sz"]) * LOT)
        lots = self.rng.randint(1, left) if self.rng.random() < 0.5 else left
        self.lagging = (self.position, self.now_ms)
        self.fills.append({
            "coin": COIN, "px": "3000.0", "sz": number(lots), "side": row["side"], "time": self.now_ms,
            "startPosition": number(self.position), "dir": "Open Long", "closedPnl": "0.0", "hash": "0x00", "oid": oid,
            "crossed": False, "fee": "0.01", "tid": self.number_for(), "feeToken": "USDC", "cloid": row["cloid"],
        })  # fmt: skip
        self.position += lots if row["side"] == "B" else -lots
        row["sz"] = number(left - lots)
        self.send("userFills", {"user": USER, "fills": self.fills[-1:]})
        if left == lots:
            self.end(oid, "filled")

    def cancel(self) -> None:
        if self.orders:
            self.end(self.rng.choice(sorted(self.orders)), self.rng.choice(["canceled", "marginCanceled"]))

    # --- what it is asked ---------------------------------------------------------------------------------------

    def handle(self, frame: bytes) -> None:
        asked = json.loads(frame)
        if asked["method"] == "ping":
            self.outbox.append({"channel": "pong"})
        elif asked["method"] == "subscribe":
            subscription = asked["subscription"]
            self.subscribed.add(subscription["type"])
            told = {"nSigFigs": None} | subscription
            self.outbox.append({
                "channel": "subscriptionResponse",
                "data": {"method": "subscribe", "subscription": told},
            })  # fmt: skip
            self.snapshot(subscription["type"])
        elif asked["method"] == "post":
            request = asked["request"]
            answer = self.info(request["payload"])
            payload = {"type": request["payload"]["type"], "data": answer}
            response = {"type": "info", "payload": payload}
            self.outbox.append({"channel": "post", "data": {"id": asked["id"], "response": response}})

    def snapshot(self, kind: str) -> None:
        if kind == "trades" and self.trades:
            self.send("trades", self.trades[-REPLAYED_TRADES:])
        elif kind == "l2Book":
            self.book()
        elif kind == "userFills":
            self.send("userFills", {"isSnapshot": True, "user": USER, "fills": self.fills[-SNAPSHOT_FILLS:]})
        elif kind == "userFundings":
            self.send("userFundings", {"isSnapshot": True, "user": USER, "fundings": []})

    def info(self, payload: dict[str, Any]) -> Any:
        kind = payload["type"]
        if kind == "frontendOpenOrders":
            extra = {"orderType": "Limit", "tif": "Alo", "isTrigger": False, "children": []}
            return [row | extra for row in reversed(self.orders.values())]
        if kind == "userFillsByTime":
            return [row for row in self.fills if row["time"] >= payload["startTime"]][:2000]
        if kind == "orderStatus":
            oid = payload["oid"]
            if oid in self.orders:
                row, status, since = self.orders[oid], "open", self.orders[oid]["timestamp"]
            elif oid in self.ended:
                row, status, since = self.ended[oid]
            else:
                return {"status": "unknownOid"}
            return {"status": "order", "order": {"order": row, "status": status, "statusTimestamp": since}}
        if kind == "userRateLimit":
            return {"cumVlm": "1.0", "nRequestsUsed": 5, "nRequestsCap": 10001, "nRequestsSurplus": 0}
        return self.state()

    def state(self) -> dict[str, Any]:
        summary = {"accountValue": "1.0", "totalNtlPos": "1.0", "totalRawUsd": "1.0", "totalMarginUsed": "1.0"}
        position = self.position
        if self.state_lags and self.now_ms - self.lagging[1] < 300:
            position = self.lagging[0]
        held = {"coin": COIN, "szi": number(position), "leverage": {"type": "cross", "value": 5}, "entryPx": "3000.0"}
        positions = [{"type": "oneWay", "position": held}] if position else []
        return {
            "crossMarginSummary": summary, "withdrawable": "1.0", "assetPositions": positions, "time": self.now_ms,
        }  # fmt: skip


@dataclass
class Wire:
    """What is under way to the client, in order; and the ways in which it goes wrong."""

    rng: random.Random
    repeat: float = 0.0
    overtake: float = 0.0
    lose_fills: float = 0.0
    queue: list[dict[str, Any]] = field(default_factory=list)

    def take_from(self, venue: Venue) -> None:
        for frame in venue.outbox:
            if (
                frame["channel"] == "userFills"
                and self.rng.random() < self.lose_fills
                and not frame["data"].get("isSnapshot")
            ):
                continue
            self.queue.append(frame)
            if self.rng.random() < self.repeat:
                self.queue.append(self.rng.choice(self.queue[-4:]))
            # One stream keeps its order, as TCP does; answers and other streams overtake.
            neighbors = self.queue[-2:]
            if {f["channel"] for f in neighbors} != {"trades"} and self.rng.random() < self.overtake:
                self.queue[-2:] = reversed(neighbors)
        venue.outbox.clear()

    def deliver(self, count: int) -> list[dict[str, Any]]:
        frames, self.queue = self.queue[:count], self.queue[count:]
        return frames
