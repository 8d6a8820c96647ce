"""81 seconds of everybody's fills, both legs: position, profit and fee of each leg follow from what was decoded.

What the venue does, found on these legs and checked on all of them:

- A perpetual's position is whole lots, though ``startPosition`` carries floating-point noise.
- A position's entry notional N is kept in micro dollars (price units × lots, exact). The entry price is N over the
  position, rounded down to a price unit; ``closedPnl`` is closed lots × (price − entry price), without fees. A
  reduction scales N with the position.
- ``fee`` − ``builderFee`` is notional × rate, cut off at six decimals, the rate being one of the published tiers times
  staking and referral discounts; twice that on a builder dex of fee scale 1.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow
import pytest

from conftest import beside
from hypermm import Side
from hypermm.exchange.events import OwnFill
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.decode import own_fill

LEGS = 7282
TAKER_BPS = ("4.5", "4", "3.5", "3", "2.8", "2.6", "2.4")
MAKER_BPS = ("1.5", "1.2", "0.8", "0.4")
REBATE_BPS = ("0", "-0.1", "-0.2", "-0.3")
DISCOUNTS = ("0", "5", "10", "15", "20", "30", "40")
# Two accounts that pay nothing, as takers neither.
FREE_ACCOUNTS = ("0x010461c14e146ac35fe42271bdc1134ee31c703a", "0x31ca8395cf837de08b24da3f660e77761dfb974b")

Leg = tuple[str, OwnFill, dict[str, str]]


@pytest.fixture(scope="module")
def legs() -> list[Leg]:
    """(address, the decoded fill, the raw fill) in the venue's order."""
    folder = beside("node-fills")
    return [leg for path in sorted(folder.glob("*.zst")) for leg in _read(path)]


def _read(path: Path) -> Iterator[Leg]:
    with pyarrow.input_stream(str(path), compression="zstd") as stream:
        for line in stream.read().splitlines():
            for user, raw in json.loads(line)["events"]:
                (fill,) = read_info("userFills", json.dumps([raw]))
                yield user, own_fill(fill, user), raw


@pytest.fixture(scope="module")
def perpetuals(legs: list[Leg]) -> list[Leg]:
    return [leg for leg in legs if not is_spot(leg[1].coin)]


@pytest.fixture(scope="module")
def size_decimals(perpetuals: list[Leg]) -> dict[str, int]:
    """By coin: as many decimals as its sizes and positions show; longer ones are floating-point noise."""
    decimals: Counter[str] = Counter()
    for _, _, raw in perpetuals:
        for number in (raw["sz"], raw["startPosition"]):
            shown = len(number.partition(".")[2].rstrip("0"))
            decimals[raw["coin"]] = max(decimals[raw["coin"]], shown if shown <= 6 else 0)
    return dict(decimals)


def is_spot(coin: str) -> bool:
    return coin.startswith("@") or "/" in coin


def lots(contracts: float, decimals: int) -> int:
    return round(contracts * 10**decimals)


def test_every_leg_is_read_and_named_once_an_account(legs: list[Leg]) -> None:
    # Kills: a fill refused, or two fills of one account under one name, which would lose the second.
    assert len(legs) == LEGS
    assert len({(user, fill.coin, fill.fill_id) for user, fill, _ in legs}) == LEGS


def test_position_after_a_fill_is_the_position_before_the_next(
    perpetuals: list[Leg], size_decimals: dict[str, int]
) -> None:
    # Kills: a side swapped, a sign lost, position_before taken for position_after.
    after: dict[tuple[str, str], int] = {}
    followed, mismatches = 0, []
    for user, fill, _ in perpetuals:
        key, decimals = (user, fill.coin), size_decimals[fill.coin]
        if key in after:
            followed += 1
            if after[key] != lots(fill.position_before, decimals):
                mismatches.append((user, fill))
        after[key] = lots(fill.position_after, decimals)
    print(f"positions: {len(perpetuals)} perpetual legs, {followed} follow one another, {len(mismatches)} mismatches")
    assert followed > 4900
    assert mismatches == []


def test_spot_balances_follow_but_for_fees_in_the_token_itself(legs: list[Leg]) -> None:
    # Kills: a fee or fee token lost. What else moves a spot balance (transfers, dust) no fill tells.
    after: dict[tuple[str, str], Decimal] = {}
    counts: Counter[str] = Counter()
    for user, fill, raw in legs:
        if not is_spot(fill.coin):
            continue
        key, before, signed = (user, fill.coin), Decimal(raw["startPosition"]), Decimal(raw["sz"])
        if key in after:
            gap = before - after[key]
            counts["exact" if gap == 0 else "last digit" if abs(gap) <= Decimal("2e-8") else "other"] += 1
        in_quote = raw["feeToken"] == "USDC"
        after[key] = before + (signed if fill.side is Side.BUY else -signed) - (0 if in_quote else Decimal(raw["fee"]))
    print(f"spot balances, fees in the token itself: {dict(counts)}")
    assert counts["other"] == 0


def test_closed_profit_follows_from_an_entry_price_in_whole_price_units(
    perpetuals: list[Leg], size_decimals: dict[str, int]
) -> None:
    # N is known to the micro dollar where the data holds the opening, else between bounds that every leg narrows.
    # Kills: closed_profit read from another field or with its sign lost.
    entry: dict[tuple[str, str], tuple[int, int]] = {}
    counts: Counter[str] = Counter()
    mismatches = []
    for user, fill, raw in perpetuals:
        key, decimals = (user, fill.coin), size_decimals[fill.coin]
        before, traded = lots(fill.position_before, decimals), lots(fill.signed_size, decimals)
        price = lots(fill.price, 6 - decimals)
        low, high = (0, 0) if before == 0 else entry.get(key, (0, 10**30))
        if before * traded >= 0:
            counts["opens, profit 0"] += fill.closed_profit == 0.0
            mismatches += [] if fill.closed_profit == 0.0 else [(user, raw)]
            entry[key] = (low + price * abs(traded), high + price * abs(traded))
            continue
        closed, sign = min(abs(before), abs(traded)), 1 if before > 0 else -1
        implied = price - sign * Fraction(round(fill.closed_profit * 1e6), closed)
        known = low // abs(before) == high // abs(before)
        low, high = max(low, math.ceil(implied * abs(before))), min(high, math.ceil((implied + 1) * abs(before)) - 1)
        if implied.denominator != 1 or low > high:
            mismatches.append((user, raw))
            low, high = 0, 10**30
        else:
            counts["closes at the known entry" if known else "closes within the entry's bounds"] += 1
        left = abs(before) - closed
        entry[key] = (low * left // abs(before), -(-high * left // abs(before)))
        if abs(traded) > abs(before):
            entry[key] = (price * (abs(traded) - abs(before)),) * 2
    print(f"closed profit: {dict(counts)}, {len(mismatches)} mismatches")
    for user, raw in mismatches:
        print("   ", user, raw["coin"], raw["dir"], raw["startPosition"], raw["sz"], raw["px"], raw["closedPnl"])
    assert counts["opens, profit 0"] + counts["closes at the known entry"] > 3600
    # SUI and ZEC close one price unit below an average that is a whole number of units: when the venue scaled N down,
    # its division fell a micro dollar short.
    assert [raw["coin"] for _, raw in mismatches] == ["SUI", "ZEC"]


def rates_bps(*, is_taker: bool) -> list[Decimal]:
    """Every rate an account can have, bps, staking and referral discounts applied to what is positive."""
    paid = [Decimal(rate) for rate in (TAKER_BPS if is_taker else MAKER_BPS)]
    discounts = [1 - Decimal(cut) / 100 for cut in DISCOUNTS]
    rates = [rate * stake * referral for rate in paid for stake in discounts for referral in (1, Decimal("0.96"))]
    return rates + ([] if is_taker else [Decimal(rate) for rate in REBATE_BPS])


def test_fee_is_a_published_rate_cut_off_at_six_decimals(perpetuals: list[Leg]) -> None:
    # Kills: fee read from builderFee, its sign lost, rounding instead of cutting off.
    of_account: dict[tuple[str, bool, bool], set[Decimal]] = {}
    counts: Counter[str] = Counter()
    mismatches = []
    for user, fill, raw in perpetuals:
        own = Decimal(raw["fee"]) - Decimal(raw.get("builderFee", "0"))
        assert float(raw["fee"]) == fill.fee
        notional, builder = Decimal(raw["px"]) * Decimal(raw["sz"]), ":" in fill.coin
        kind = f"{'builder' if builder else 'first'} dex {'taker' if fill.is_taker else 'maker'}"
        if user in FREE_ACCOUNTS and own == 0:
            counts["free account"] += 1
            continue
        exact = {
            rate: notional * rate * (2 if builder and rate > 0 else 1) / 10_000
            for rate in rates_bps(is_taker=fill.is_taker)
        }
        fitting = {rate for rate, fee in exact.items() if fee.quantize(Decimal("1e-6"), ROUND_DOWN) == own}
        if not fitting:
            # A product of whole micro dollars comes out one short where the venue's floating point does.
            fitting = {rate for rate, fee in exact.items() if fee - Decimal("1e-6") == own}
            kind = "one micro dollar short of a whole product"
        if not fitting:
            mismatches.append((user, raw, own / notional * 10_000))
            continue
        counts[kind] += 1
        key = (user, fill.is_taker, builder)
        of_account[key] = of_account.get(key, fitting) & fitting
    print(f"fees: {dict(counts)}, {len(mismatches)} mismatches; {len(of_account)} accounts and roles")
    for user, raw, bps in mismatches:
        print("   ", user, raw["coin"], raw["dir"], raw["fee"], raw.get("builderFee"), f"{bps:.5f} bps", raw["crossed"])
    assert counts.total() + len(mismatches) == len(perpetuals)
    assert all(of_account.values()), "an account paid two rates in one role"
    assert mismatches == []
