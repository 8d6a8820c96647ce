"""A minute and a half of BTCUSDT as Binance sent it, as a recording.

Prices are stated from 60,000 on: 61800.2 has more digits than Hyperliquid's grid holds, 1800.2 has not.
"""

from __future__ import annotations

import gzip
import heapq
import json
import pathlib
from typing import Any

import numpy as np

from hypermm.recording import Recording

ROOT = pathlib.Path(__file__).parents[2]
NAME = "shared/data/binance/usdm_btcusdt_20240808_first20000.gz"
FEED = next((folder / NAME for folder in (ROOT.parent, ROOT.parent.parent) if (folder / NAME).exists()), None)
TICK, LOT, DEPTH = 0.1, 0.001, 20
ORIGIN = 60_000.0


def messages() -> list[tuple[int, int, dict[str, Any]]]:
    """Depth changes and prints as (venue time, receive time, message), in order of arrival.

    The venue's clock runs ahead of the collector's by more than a second: receive times are moved so that the fastest
    message took 1 ms. Messages of one millisecond are told apart by a nanosecond each, in order of arrival.
    """
    assert FEED is not None
    lines = gzip.decompress(FEED.read_bytes()).decode().splitlines()
    parsed = []
    for line in lines:
        data = json.loads(line[20:])
        data = data.get("data", data)
        if "lastUpdateId" in data:
            data |= {"e": "snapshot", "b": data["bids"], "a": data["asks"]}
        if data["e"] in ("depthUpdate", "snapshot") or (data["e"] == "trade" and data["X"] == "MARKET"):
            parsed.append((int(line[:19]), data))
    shift = 1_000_000 - min(received - data["T"] * 1_000_000 for received, data in parsed)
    seen: dict[int, int] = {}
    found = []
    for received, data in parsed:
        seen[data["T"]] = seen.get(data["T"], -1) + 1
        found.append((data["T"] * 1_000_000 + seen[data["T"]], received + shift, data))
    return found


def recording(feed: list[tuple[int, int, dict[str, Any]]]) -> Recording:
    """The same feed as books of twenty levels and prints, from when both sides have as many."""
    sides: dict[str, dict[float, float]] = {"b": {}, "a": {}}
    columns: dict[str, list[Any]] = {name: [] for name in ("time", "exchange", "bp", "bs", "ap", "as")}
    trades: dict[str, list[Any]] = {name: [] for name in ("time", "exchange", "price", "size", "aggressor", "id")}
    for exchange, local, data in feed:
        if data["e"] == "trade":
            values = (local, exchange, float(data["p"]) - ORIGIN, float(data["q"]), -1 if data["m"] else 1, data["t"])
            for name, value in zip(trades, values, strict=True):
                trades[name].append(value)
            continue
        if data["e"] == "snapshot":
            sides = {"b": {}, "a": {}}
        for side, other, sign in (("b", "a", 1.0), ("a", "b", -1.0)):
            for price, size in data[side]:
                level, quantity = float(price), float(size)
                if quantity == 0.0:
                    sides[side].pop(level, None)
                    continue
                sides[side][level] = quantity
                # Who stands at or beyond a new price is gone, though the feed has yet to say so.
                for stale in [p for p in sides[other] if sign * (p - level) <= 0.0]:
                    del sides[other][stale]
        # The snapshot shows the book before a change already told: no book may be older than the row above.
        is_late = columns["exchange"] and exchange < columns["exchange"][-1]
        if is_late or min(len(sides["b"]), len(sides["a"])) < DEPTH:
            continue
        bids = heapq.nlargest(DEPTH, sides["b"])
        asks = heapq.nsmallest(DEPTH, sides["a"])
        columns["time"].append(local)
        columns["exchange"].append(exchange)
        for name, levels, side in (("b", bids, "b"), ("a", asks, "a")):
            columns[f"{name}p"].append([round(level - ORIGIN, 1) for level in levels])
            columns[f"{name}s"].append([sides[side][level] for level in levels])
    return Recording.from_columns(
        "BTC",
        {
            "book_time_ns": columns["time"], "book_exchange_time_ns": columns["exchange"],
            "bid_prices": columns["bp"], "bid_sizes": columns["bs"], "ask_prices": columns["ap"],
            "ask_sizes": columns["as"],
            "trade_time_ns": trades["time"], "trade_exchange_time_ns": trades["exchange"],
            "trade_price": np.round(trades["price"], 1), "trade_size": trades["size"],
            "trade_aggressor": trades["aggressor"], "trade_id": np.array(trades["id"], np.uint64),
        },
    )  # fmt: skip
