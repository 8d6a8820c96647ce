"""Signing against the official SDK with coincurve, in one run.

    make bench        or        python -m pytest benches/python/bench_signing.py -o addopts="" -s

Both start from an action as the client builds it, a dict of the venue's words. The SDK gives a dict of r, s and v;
ours is taken twice: the signature alone, and the whole request as it goes out, which the SDK would still have to
encode. Processor time, least of many rounds, taken in turns: other work on the machine then counts for neither.
"""

from __future__ import annotations

import timeit
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import pytest
from eth_account import Account
from eth_keys.backends import get_backend
from hyperliquid.utils import signing as sdk

from hypermm._core import Action, NonceCounter, Signer

KEY = "0x" + "11" * 32
NONCE = 1_760_000_000_000
ROUNDS, CALLS = 60, 20
LEAST_RATIO = 5.0


def order(row: int) -> dict[str, Any]:
    limit = {"limit": {"tif": "Alo"}}
    cloid = f"0x{row:032x}"
    return {"a": 4, "b": row % 2 == 0, "p": f"{3000.1 + row:.1f}", "s": "0.123", "r": False, "t": limit, "c": cloid}


@pytest.mark.parametrize("count", [1, 8, 16])
def test_signing_is_five_times_faster_than_the_sdk_with_coincurve(tmp_path: Path, count: int) -> None:
    assert type(get_backend()).__name__ == "CoinCurveECCBackend", "the slow backend would flatter us"
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    signer, wallet = Signer.from_file(path, is_mainnet=True), Account.from_key(KEY)
    action = {
        "type": "order",
        "orders": [order(row) for row in range(count)],
        "grouping": "na",
    }
    ready = Action.from_json(msgspec.json.encode(action))
    calls = {
        "SDK": lambda: sdk.sign_l1_action(wallet, action, None, NONCE, None, True),
        "dict to signature": lambda: signer.sign(Action.from_json(msgspec.json.encode(action)), NONCE),
        "dict to request": lambda: signer.request(Action.from_json(msgspec.json.encode(action)), NONCE),
        "ready action to signature": lambda: signer.sign(ready, NONCE),
    }
    theirs = calls["SDK"]()
    r, s, v = calls["dict to signature"]()
    assert (int(r, 16), int(s, 16), v) == (int(theirs["r"], 16), int(theirs["s"], 16), theirs["v"])
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            least[name] = min(least[name], timeit.timeit(call, timer=process_time, number=CALLS) / CALLS)
    print(f"\n{count} orders in one action")
    for name, time in least.items():
        print(f"  {name:<28} {time * 1e6:8.1f} µs   {least['SDK'] / time:5.1f} x")
    assert least["SDK"] / least["dict to signature"] >= LEAST_RATIO
    assert least["SDK"] / least["dict to request"] >= LEAST_RATIO


def test_a_nonce_costs_less_than_a_microsecond_between_writes(tmp_path: Path) -> None:
    counter = NonceCounter(tmp_path, "0x" + "42" * 20)
    counter.next(NONCE)
    least = min(timeit.repeat(lambda: counter.next(NONCE), number=100, repeat=20)) / 100
    writes = [timeit.timeit(lambda at=at: counter.next(NONCE + at * 20_000), number=1) for at in range(1, 30)]
    print(f"\nnonce {least * 1e6:.2f} µs; with its write to the disk, once in ten seconds, {min(writes) * 1e6:.0f} µs")
    assert least < 1e-6
