"""Assets by name: numbers that count delisted ones, dexes apart, fees as published, and help for the mistyped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hypermm.exceptions import UnknownCoinError, WireError
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.assets import Asset, Universe


def meta(names: list[str], token: int = 0, **entry: object) -> str:
    universe = [{"name": name, "szDecimals": 2, "maxLeverage": 20} | entry for name in names]
    return json.dumps({"universe": universe, "marginTables": [], "collateralToken": token})


PERP_DEXS = '[null,{"name":"xyz"},{"name":"flx"},{"name":"vntl"},{"name":"hyna","deployerFeeScale":"0.5"}]'
FIRST = """{"universe":[{"szDecimals":5,"name":"BTC","maxLeverage":40},
    {"szDecimals":1,"name":"MATIC","maxLeverage":20,"isDelisted":true},
    {"szDecimals":4,"name":"ETH","maxLeverage":25},{"szDecimals":0,"name":"kPEPE","maxLeverage":10}]}"""
XYZ = """{"universe":[{"szDecimals":4,"name":"xyz:XYZ100","maxLeverage":20,"onlyIsolated":true,
    "marginMode":"strictIsolated","growthMode":"enabled","deployerFeeScale":"1.0"},
    {"szDecimals":2,"name":"xyz:SP500","maxLeverage":20,"marginMode":"noCross"}],"collateralToken":0}"""
SPOT = """{"tokens":[{"name":"USDC","szDecimals":8,"weiDecimals":8,"index":0},
    {"name":"USDE","szDecimals":2,"weiDecimals":8,"index":235}],"universe":[]}"""


@pytest.fixture
def universe() -> Universe:
    metas = {
        "": read_info("meta", FIRST),
        "xyz": read_info("meta", XYZ),
        "hyna": read_info("meta", meta(["hyna:BTC", "hyna:ETH", "hyna:HYPE"], 235)),
    }
    return Universe.from_answers(read_info("perpDexs", PERP_DEXS), metas, read_info("spotMeta", SPOT))


def test_asset_ids_count_delisted_ones_and_the_places_of_dexes(universe: Universe) -> None:
    # Kills: delisted assets filtered before counting, dexes numbered without the null.
    ids = {coin: universe.find(coin).asset_id for coin in ("BTC", "MATIC", "ETH", "xyz:XYZ100", "hyna:HYPE")}
    assert ids == {"BTC": 0, "MATIC": 1, "ETH": 2, "xyz:XYZ100": 110000, "hyna:HYPE": 140002}


def test_collateral_margin_growth_and_fee_scale_are_those_of_the_asset_and_its_dex(universe: Universe) -> None:
    hype, index, sp500, eth = (universe.asset(coin) for coin in ("hyna:HYPE", "xyz:XYZ100", "xyz:SP500", "ETH"))
    assert (hype.collateral_token, hype.collateral_name, hype.fee_scale) == (235, "USDE", 0.5)
    assert (index.collateral_name, index.margin_mode, index.growth_mode, index.fee_scale) == (
        "USDC", "strict_isolated", True, 1.0,
    )  # fmt: skip
    assert (sp500.margin_mode, sp500.growth_mode, sp500.fee_scale) == ("isolated", False, 1.0)
    assert (eth.margin_mode, eth.growth_mode, eth.fee_scale, eth.dex) == ("cross", False, 0.0, "")


def test_delisted_coins_are_refused_with_the_reason(universe: Universe) -> None:
    with pytest.raises(UnknownCoinError, match="MATIC is delisted"):
        universe.asset("MATIC")
    assert universe.find("MATIC").is_delisted
    assert "MATIC" not in universe.coins()
    assert universe.coins("xyz") == ["xyz:XYZ100", "xyz:SP500"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("btc", "BTC"), ("XYZ:SP500", "xyz:SP500"), ("SP500", "xyz:SP500"), ("ETHH", "ETH"), ("KPEPE", "kPEPE"),
     ("flx:HYPE", "hyna:HYPE"), ("HYPE", "hyna:HYPE")],
)  # fmt: skip
def test_mistyped_coins_name_the_nearest(universe: Universe, typed: str, meant: str) -> None:
    # Each of these would make the venue drop the socket without a word.
    with pytest.raises(UnknownCoinError) as refused:
        universe.asset(typed)
    assert meant in refused.value.hint
    assert refused.value.value == typed


def test_coins_like_nothing_known_suggest_nothing(universe: Universe) -> None:
    with pytest.raises(UnknownCoinError) as refused:
        universe.asset("!!!!")
    assert refused.value.hint == ""


def test_unknown_dexes_and_answers_that_contradict_each_other_are_refused() -> None:
    dexs = read_info("perpDexs", PERP_DEXS)
    with pytest.raises(UnknownCoinError, match="did you mean xyz"):
        Universe.from_answers(dexs, {"XYZ": read_info("meta", XYZ)})
    with pytest.raises(WireError, match="hyna:COIN"):
        Universe.from_answers(dexs, {"hyna": read_info("meta", meta(["HYPE"]))})
    with pytest.raises(WireError, match="null"):
        Universe.from_answers(dexs[1:], {"": read_info("meta", FIRST)})


@pytest.mark.parametrize(
    ("scale", "growth", "taker_bps", "maker_bps"),
    # The published table at tier 0: 0.045 % and 0.015 %.
    [(0.0, False, 4.5, 1.5), (1.0, False, 9.0, 3.0), (1.0, True, 0.9, 0.3), (0.5, False, 6.75, 2.25),
     (3.0, False, 27.0, 9.0)],
)  # fmt: skip
def test_fee_rates_are_the_published_ones(scale: float, growth: bool, taker_bps: float, maker_bps: float) -> None:
    asset = Asset(coin="x:X", asset_id=1, dex="x", size_decimals=2, max_leverage=5, fee_scale=scale, growth_mode=growth)
    rates = asset.fee_rates(0.00045, 0.00015)
    assert (rates.taker_bps, rates.maker_bps) == pytest.approx((taker_bps, maker_bps))
    referred = asset.fee_rates(0.00045, 0.00015, 0.04)
    assert (referred.taker_bps, referred.maker_bps) == pytest.approx((taker_bps * 0.96, maker_bps * 0.96))
    rebate = asset.fee_rates(0.00045, -0.00003, 0.04)
    assert rebate.maker_bps == pytest.approx(-0.03 if growth else -0.3), "no scale and no discount on a rebate"


def test_the_engine_gets_its_facts(universe: Universe) -> None:
    facts = universe.asset("ETH").instrument()
    assert (facts.coin, facts.size_decimals, facts.max_leverage, facts.min_notional) == ("ETH", 4, 25, 10.0)


def test_captured_metas_of_three_dexes_are_numbered(real_frames: Path) -> None:
    folder = real_frames / "nautilus_hyperliquid"
    metas = read_info("allPerpMetas", (folder / "http_all_perp_metas_non_usdc_collateral.json").read_bytes())
    spot = read_info("spotMeta", (folder / "http_spot_meta_non_usdc_collateral.json").read_bytes())
    dexs = read_info("perpDexs", '[null,{"name":"km"},{"name":"hyna"}]')
    made = Universe.from_answers(dexs, dict(zip(("", "km", "hyna"), metas, strict=True)), spot)
    assert [
        (made.find(coin).asset_id, made.find(coin).collateral_name) for coin in ("BTC", "km:US500", "hyna:BTC")
    ] == [
        (0, "USDC"),
        (110000, "USDH"),
        (120000, "USDE"),
    ]
