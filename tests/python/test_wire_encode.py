"""What we send: the venue's key order, exact numbers, batches it takes, names that never repeat."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import beside
from hypermm import Instrument, Side
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.hyperliquid import encode
from hypermm.exchange.hyperliquid.assets import Asset
from hypermm.exchange.hyperliquid.encode import ClientIds, decimal_text
from hypermm.exchange.orders import CancelOrder, NewOrder, ReplaceOrder, TimeInForce

HYPE = Asset(coin="hyna:HYPE", asset_id=140002, dex="hyna", size_decimals=2, max_leverage=10)
BTC = Asset(coin="BTC", asset_id=0, dex="", size_decimals=5, max_leverage=40)
LOCKED = Asset(coin="xyz:X", asset_id=110000, dex="xyz", size_decimals=0, max_leverage=5, margin_mode="isolated")
ASSETS = {asset.coin: asset for asset in (HYPE, BTC, LOCKED)}
NAME = "0x" + "0" * 30 + "aa"


def order(**changes: Any) -> NewOrder:
    settings = {"coin": "BTC", "side": Side.BUY, "price_units": 600_000, "lots": 100} | changes
    return NewOrder(**settings)


def keys(node: Any) -> Any:
    """The payload's keys in order, without values."""
    if isinstance(node, dict):
        return [(key, keys(value)) for key, value in node.items()]
    return [keys(value) for value in node] if isinstance(node, list) else None


def vectors() -> dict[str, Any]:
    listed = json.loads((beside("signing") / "vectors.json").read_text())["vectors"]
    return {vector["name"]: vector["action"] for vector in listed}


@given(st.integers(0, 10**18), st.integers(0, 8))
def test_numbers_are_written_exactly_plain_and_without_trailing_zeros(units: int, decimals: int) -> None:
    # Oracle: decimal arithmetic. Kills: floats on the way, exponents, "1.", ".5", "1.50".
    text = decimal_text(units, decimals)
    assert Decimal(text) == Decimal(units).scaleb(-decimals)
    assert set(text) <= set("0123456789.")
    assert text[0].isdigit()
    assert text[-1].isdigit()
    assert "." not in text or not text.endswith("0")
    assert text == "0" or text.startswith("0.") or not text.startswith("0")


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [(10010, 2, "100.1"), (1, 8, "0.00000001"), (123456, 0, "123456"), (10**15, 0, "1" + "0" * 15), (0, 6, "0"),
     (-15, 1, "-1.5"), (-50, 1, "-5")],
)  # fmt: skip
def test_numbers_of_the_protocol_sheet(units: int, decimals: int, text: str) -> None:
    assert decimal_text(units, decimals) == text


def test_actions_are_those_of_the_signed_vectors_key_by_key() -> None:
    # The vectors were made with the venue's own SDK. Kills: a key out of place, which changes the signature's bytes.
    known = vectors()
    two = [
        NewOrder("hyna:HYPE", Side.BUY, 381_230, 150, NAME),
        NewOrder("hyna:HYPE", Side.SELL, 384_560, 150, known["X1 hip3 two-sided alo"]["orders"][1].get("c")),
    ]
    taker = NewOrder("BTC", Side.BUY, 600_000, 100, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    cancels = [CancelOrder("BTC", 123456789012), CancelOrder("hyna:HYPE", 42)]
    named = CancelOrder("BTC", "0x" + "0" * 31 + "1")
    moves = known["X11 batchModify"]["modifies"]
    replacements = [
        ReplaceOrder(move["oid"], order(side=Side.BUY if move["order"]["b"] else Side.SELL,
                     price_units=int(Decimal(move["order"]["p"]) * 10), client_id=move["order"].get("c")))
        for move in moves
    ]  # fmt: skip
    made = {
        "X1 hip3 two-sided alo": encode.order_actions(two, ASSETS),
        "X5 priority": encode.order_actions([taker], ASSETS),
        "X9 cancelByCloid fast": encode.cancel_actions([named], ASSETS),
        "X11 batchModify": encode.replace_actions(replacements, ASSETS),
        "schedcancel": [(encode.schedule_cancel_action(None), [])],
        "schedcancel t": [(encode.schedule_cancel_action(123456789), [])],
        "X13 updateLeverage": [(encode.leverage_action(HYPE, 3, is_cross=False), [])],
    }
    for name, actions in made.items():
        wanted = known[name] | ({"grouping": "na"} if name == "X5 priority" else {})
        ((action, _),) = actions
        assert action == wanted, name
        assert keys(action) == keys(wanted), name
    ((fast, _),) = encode.cancel_actions(cancels, ASSETS)
    assert fast == {"type": "cancel", "cancels": known["X6 cancel"]["cancels"], "f": True}
    assert keys(fast) == keys(known["X7 cancel fast"] | {"cancels": known["X6 cancel"]["cancels"]})


@given(st.integers(0, 6), st.floats(1e-3, 1e6))
def test_every_price_the_instrument_rounds_to_is_taken(size_decimals: int, price: float) -> None:
    # Oracle: the engine's own grid, in Rust.
    asset = Asset(coin="X", asset_id=1, dex="", size_decimals=size_decimals, max_leverage=3)
    rounded = Instrument("X", size_decimals, 3).round_price(price, Side.SELL)
    units = round(rounded * 10 ** (6 - size_decimals))
    assert Decimal(encode.price_text(units, asset)) == Decimal(units).scaleb(size_decimals - 6)


@given(st.integers(0, 6), st.integers(1, 10**12))
def test_prices_off_the_grid_are_refused_and_only_those(size_decimals: int, units: int) -> None:
    # Oracle: the venue's rule read from its text, on decimals.
    asset = Asset(coin="X", asset_id=1, dex="", size_decimals=size_decimals, max_leverage=3)
    price = Decimal(units).scaleb(size_decimals - 6).normalize()
    legal = price == price.to_integral_value() or len(price.as_tuple().digits) <= 5
    try:
        encode.price_text(units, asset)
    except InvalidInputError:
        assert not legal
    else:
        assert legal


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"price_units": 0}, "price_units"), ({"price_units": 600_000.0}, "price_units"), ({"lots": 0}, "lots"),
     ({"lots": True}, "lots"), ({"lots": -5}, "lots"), ({"client_id": "0x12"}, "client_id"),
     ({"client_id": "0x" + "A" * 32}, "client_id"), ({"client_id": "0y" + "0" * 32}, "client_id"),
     ({"price_units": 6_000_011}, "price_units")],
)  # fmt: skip
def test_illegal_orders_are_refused_by_name_before_anything_is_built(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        encode.order_actions([order(), order(**changes)], ASSETS)
    assert refused.value.field == field


@given(st.lists(st.sampled_from(list(TimeInForce)), max_size=900))
def test_batches_hold_200_items_post_only_ones_apart_and_every_item_once(kinds: list[TimeInForce]) -> None:
    orders = [order(lots=i + 1, time_in_force=kind) for i, kind in enumerate(kinds)]
    seen: list[int] = []
    for action, batch in encode.order_actions(orders, ASSETS):
        assert 1 <= len(action["orders"]) <= 200
        tifs = {row["t"]["limit"]["tif"] for row in action["orders"]}
        assert tifs == {"Alo"} or "Alo" not in tifs
        assert [Decimal(row["s"]) for row in action["orders"]] == [Decimal(i + 1).scaleb(-5) for i in batch]
        seen += batch
    assert sorted(seen) == list(range(len(kinds)))


@pytest.mark.parametrize(("count", "sizes"), [(200, [200]), (201, [200, 1]), (450, [200, 200, 50]), (0, [])])
def test_the_201st_item_opens_another_batch(count: int, sizes: list[int]) -> None:
    # The venue refuses an action of 201 whole.
    orders = [order(lots=i + 1) for i in range(count)]
    cancels = [CancelOrder("BTC", i) for i in range(count)]
    replacements = [ReplaceOrder(i, one) for i, one in enumerate(orders)]
    made = {
        "orders": encode.order_actions(orders, ASSETS),
        "cancels": encode.cancel_actions(cancels, ASSETS),
        "modifies": encode.replace_actions(replacements, ASSETS),
    }
    for key, actions in made.items():
        assert [len(action[key]) for action, _ in actions] == sizes


@given(st.lists(st.booleans(), max_size=500))
def test_cancels_by_number_and_by_name_stand_apart_and_are_fast(by_name: list[bool]) -> None:
    cancels = [CancelOrder("BTC", f"0x{i:032x}" if name else i) for i, name in enumerate(by_name)]
    seen: list[int] = []
    for action, batch in encode.cancel_actions(cancels, ASSETS):
        assert action["f"] is True
        assert len(action["cancels"]) <= 200
        for row, i in zip(action["cancels"], batch, strict=True):
            assert row == ({"asset": 0, "cloid": f"0x{i:032x}"} if by_name[i] else {"a": 0, "o": i})
        seen += batch
    assert sorted(seen) == list(range(len(by_name)))


def test_cancels_that_are_not_fast_have_no_mark() -> None:
    # Kills: "f": false, over which the venue's hash is another.
    cancels = [CancelOrder("BTC", 7), CancelOrder("BTC", NAME)]
    actions = [action for action, _ in encode.cancel_actions(cancels, ASSETS, fast=False)]
    assert [list(action) for action in actions] == [["type", "cancels"]] * 2


def test_replacements_are_post_only_and_named_anew() -> None:
    with pytest.raises(InvalidInputError, match="time_in_force"):
        encode.replace_actions([ReplaceOrder(1, order(time_in_force=TimeInForce.GOOD_TILL_CANCELED))], ASSETS)
    with pytest.raises(InvalidInputError, match="client_id"):
        encode.replace_actions([ReplaceOrder(NAME, order(client_id=NAME))], ASSETS)


def test_leverage_stays_within_what_the_venue_grants() -> None:
    with pytest.raises(InvalidInputError, match="leverage"):
        encode.leverage_action(BTC, 41, is_cross=True)
    with pytest.raises(InvalidInputError, match="isolated only"):
        encode.leverage_action(LOCKED, 2, is_cross=True)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 100))
def test_client_ids_are_128_bits_and_never_repeat(session: int, first: int) -> None:
    give = ClientIds(session, first)
    names = [give() for _ in range(50)]
    assert len(set(names)) == 50
    assert all(len(name) == 34 and int(name, 16) < 2**128 for name in names)
    assert all(give.is_ours(name) for name in names)
    other = ClientIds((session + 1) % 2**64, first)
    assert not any(give.is_ours(other()) for _ in range(3))
    assert not give.is_ours(f"0x{session:016x}{first + 50:016x}"), "a name not given yet"
    assert not give.is_ours(NAME[:20])


def test_a_used_up_counter_refuses_instead_of_repeating() -> None:
    give = ClientIds(1, 2**64 - 1)
    give()
    with pytest.raises(InvalidInputError, match="counter"):
        give()


def test_requests_and_envelopes_are_json_the_venue_reads() -> None:
    assert json.loads(encode.subscribe("l2Book", coin="ETH", fast=True)) == {
        "method": "subscribe",
        "subscription": {"type": "l2Book", "coin": "ETH", "fast": True},
    }
    assert json.loads(encode.unsubscribe("bbo", coin="ETH"))["method"] == "unsubscribe"
    posted = json.loads(encode.post(7, "info", encode.info_request("openOrders", user="0xaa", dex=None)))
    payload = {"type": "openOrders", "user": "0xaa"}
    assert posted == {"method": "post", "id": 7, "request": {"type": "info", "payload": payload}}
    signature = {"r": "0x1", "s": "0x2", "v": 27}
    vault = "0x" + "Ab" * 20
    plain = encode.envelope({"type": "noop"}, 5, signature)
    assert plain == {"action": {"type": "noop"}, "nonce": 5, "signature": signature}
    full = encode.envelope({"type": "noop"}, 5, signature, vault_address=vault, expires_after_ms=9)
    assert (full["vaultAddress"], full["expiresAfter"]) == (vault.lower(), 9)
    with pytest.raises(InvalidInputError, match="address"):
        encode.envelope({"type": "noop"}, 5, signature, vault_address="0x12")
    assert json.loads(encode.PING) == {"method": "ping"}
