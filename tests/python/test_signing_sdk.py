"""The official SDK as oracle: the same bytes, hashes and signatures for ten thousand random actions."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgpack
import pytest
from eth_account import Account
from hyperliquid.utils import signing as sdk
from hyperliquid.utils.types import Cloid

from hypermm._core import Action, Signer, recover_signer, wire_number
from hypermm.exceptions import InvalidInputError

KEY = "0x8f2a559490cc2a7ab61c32ed3d8060216ee02e4960a83f97bde6ceb39d4b4d5e"
NUMBERS = 50_000


def _number(draw: random.Random) -> float:
    """A price or size of 0 or more with up to eight decimals, of any magnitude the venue knows."""
    places = draw.randrange(9)
    return draw.randrange(1, 10 ** draw.randrange(1, 15)) / 10**places


def _cloid(draw: random.Random) -> str:
    return f"0x{draw.getrandbits(128):032x}"


def _asset(draw: random.Random) -> int:
    return draw.choice([draw.randrange(200), 10_000 + draw.randrange(500), 110_000 + draw.randrange(90_000)])


def _oid(draw: random.Random) -> int:
    return draw.getrandbits(draw.choice([7, 8, 16, 31, 33, 40, 63]))


def _order(draw: random.Random) -> Any:
    trigger = {"isMarket": draw.random() < 0.5, "triggerPx": _number(draw), "tpsl": draw.choice(["tp", "sl"])}
    limit = {"tif": draw.choice(["Alo", "Ioc", "Gtc"])}
    request: dict[str, Any] = {
        "coin": "ETH",
        "is_buy": draw.random() < 0.5,
        "sz": _number(draw),
        "limit_px": _number(draw),
        "reduce_only": draw.random() < 0.3,
        "order_type": {"limit": limit} if draw.random() < 0.8 else {"trigger": trigger},
    }
    if draw.random() < 0.6:
        request["cloid"] = Cloid(_cloid(draw))
    return sdk.order_request_to_order_wire(request, _asset(draw))  # type: ignore[arg-type]


def _action(draw: random.Random) -> dict[str, Any]:
    """One action as the SDK's `Exchange` would build it, or by its words where it has no call for it."""
    count = draw.choice([1, 1, 2, 5, 16, 40])
    flag = draw.random() < 0.5
    kind = draw.choice(["order"] * 4 + ["cancel", "cancelByCloid", "modify", "batchModify", "scheduleCancel", "rest"])
    action: dict[str, Any]
    if kind == "order":
        builder = {"b": f"0x{draw.getrandbits(160):040x}", "f": draw.randrange(1000)} if draw.random() < 0.2 else None
        grouping: Any = draw.choice(["na", "na", "normalTpsl", "positionTpsl", {"p": draw.randrange(10**8)}])
        action = sdk.order_wires_to_order_action([_order(draw) for _ in range(count)], builder, grouping)
    elif kind == "cancel":
        action = {"type": kind, "cancels": [{"a": _asset(draw), "o": _oid(draw)} for _ in range(count)]}
        action |= {"f": True} if flag else {}
    elif kind == "cancelByCloid":
        action = {"type": kind, "cancels": [{"asset": _asset(draw), "cloid": _cloid(draw)} for _ in range(count)]}
        action |= {"f": True} if flag else {}
    elif kind == "modify":
        action = {"type": kind, "oid": _oid(draw), "order": _order(draw)} | ({"a": True} if flag else {})
    elif kind == "batchModify":
        targets = [_cloid(draw) if draw.random() < 0.5 else _oid(draw) for _ in range(count)]
        action = {"type": kind, "modifies": [{"oid": target, "order": _order(draw)} for target in targets]}
        action |= {"a": True} if flag else {}
    elif kind == "scheduleCancel":
        action = {"type": kind} | ({"time": draw.getrandbits(42)} if flag else {})
    else:
        leverage = draw.randrange(1, 60)
        amount = draw.randrange(-(10**12), 10**12) if flag else draw.randrange(-40_000, 300)
        action = draw.choice(
            [
                {"type": "updateLeverage", "asset": _asset(draw), "isCross": flag, "leverage": leverage},
                {"type": "updateIsolatedMargin", "asset": _asset(draw), "isBuy": True, "ntli": amount},
                {"type": "topUpIsolatedOnlyMargin", "asset": _asset(draw), "leverage": sdk.float_to_wire(leverage / 2)},
                {"type": "noop"},
                {"type": "reserveRequestWeight", "weight": _oid(draw)},
            ]
        )
    return action


def _shuffled(draw: random.Random, value: Any) -> Any:
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        return {key: _shuffled(draw, value[key]) for key in draw.sample(list(value), len(value))}
    return [_shuffled(draw, item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.verify)])
def test_random_actions_are_packed_and_signed_as_by_the_sdk(count: int, tmp_path: Path) -> None:
    # Kills: a field out of place, an integer or string header of another length, a term hashed otherwise.
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    wallet = Account.from_key(KEY)
    signers = {flag: Signer.from_file(path, is_mainnet=flag) for flag in (True, False)}
    assert signers[True].address == wallet.address.lower()
    draw = random.Random(20261121)  # noqa: S311  # not for keys
    kinds: dict[str, int] = {}
    for _ in range(count):
        action = _action(draw)
        is_mainnet = draw.random() < 0.5
        nonce = draw.choice([draw.getrandbits(64), 1_760_000_000_000 + draw.randrange(10**9)])
        vault = f"0x{draw.getrandbits(160):040x}" if draw.random() < 0.3 else None
        expires = draw.getrandbits(42) if draw.random() < 0.3 else None
        ours = Action.from_json(json.dumps(_shuffled(draw, action)))
        assert ours.to_msgpack() == msgpack.packb(action), action
        terms: dict[str, Any] = {"vault_address": vault, "expires_after_ms": expires}
        assert ours.connection_id(nonce, **terms) == sdk.action_hash(action, vault, nonce, expires)
        signature = sdk.sign_l1_action(wallet, action, vault, nonce, expires, is_mainnet)
        r, s, v = signers[is_mainnet].sign(ours, nonce, **terms)
        assert (int(r, 16), int(s, 16), v) == (int(signature["r"], 16), int(signature["s"], 16), signature["v"])
        assert len(r) == len(s) == 66
        # The SDK drops leading zeros; its signature must be read all the same.
        theirs = (signature["r"], signature["s"], signature["v"])
        assert recover_signer(ours, theirs, nonce, is_mainnet=is_mainnet, **terms) == signers[True].address
        kinds[action["type"]] = kinds.get(action["type"], 0) + 1
    print(f"\n{count:,} actions as by the SDK: {dict(sorted(kinds.items()))}")
    assert len(kinds) == 11


def test_numbers_are_written_as_by_the_sdk() -> None:
    # Kills: another rounding, another limit of what counts as eight decimals, an exponent.
    draw = random.Random(7)  # noqa: S311  # not for keys
    refused = 0
    for _ in range(NUMBERS):
        exact = _number(draw)
        value = draw.choice([exact, exact + draw.choice([1e-9, 2e-12, 9e-13, -9e-13]), draw.uniform(0, 1e6), exact * 3])
        try:
            expected = sdk.float_to_wire(value)
        except ValueError:
            refused += 1
            with pytest.raises(InvalidInputError):
                wire_number(value)
        else:
            assert wire_number(value) == expected
    print(f"\n{NUMBERS - refused} numbers as by the SDK, {refused} refused by both")
    assert refused > NUMBERS / 20
    for value in (1e-8, 123456.0, 1e15, 0.1 + 0.2, 100.10, 0.0):
        assert wire_number(value) == sdk.float_to_wire(value)
    assert wire_number(-0.0) == "0", "the SDK writes -0"
    for value in (1e-9, float("nan"), float("inf"), -1.0, 1e19):
        with pytest.raises(InvalidInputError):
            wire_number(value)
