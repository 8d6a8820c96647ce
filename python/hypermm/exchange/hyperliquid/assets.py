"""The venue's perpetuals by name: asset ids, collateral, fees and margin of every dex; made anew at every start.

An asset's id is 100,000 + 10,000·(place of its dex in ``perpDexs``) + its place in the dex's universe; the first dex
counts from 0. Delisted assets keep their place, so nothing is left out before counting.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from hypermm._core import Instrument
from hypermm.exceptions import UnknownCoinError, WireError

if TYPE_CHECKING:
    from hypermm.exchange.hyperliquid.wire_info import PerpAsset, PerpDex, PerpMeta, SpotMeta

__all__ = ["Asset", "FeeRates", "Universe"]

_BUILDER_BASE = 100_000
_DEX_STEP = 10_000
_MIN_NOTIONAL = 10.0
_GROWTH_FACTOR = 0.1


class FeeRates(Struct, frozen=True):
    """Fees of a fill in bps of its notional; negative = rebate."""

    taker_bps: float
    maker_bps: float


class Asset(Struct, frozen=True, kw_only=True):
    """A perpetual.

    Attributes:
        coin: Venue symbol, with the dex before it on builder dexes.
        asset_id: Its number in actions.
        dex: Name of its dex, "" for the first.
        size_decimals: Decimal places of a size.
        max_leverage: Largest leverage.
        collateral_token: Index of the spot token that margin, profit and fees are in.
        collateral_name: Its name; "" where the spot universe was not given.
        fee_scale: The deployer's share on top of the venue's fee, as a multiple; 0 on the first dex.
        growth_mode: Fees, rebates and counted volume are a tenth.
        margin_mode: "cross", "isolated" (no cross, margin may be removed) or "strict_isolated".
        is_delisted: It no longer trades.
    """

    coin: str
    asset_id: int
    dex: str
    size_decimals: int
    max_leverage: int
    collateral_token: int = 0
    collateral_name: str = ""
    fee_scale: float = 0.0
    growth_mode: bool = False
    margin_mode: str = "cross"
    is_delisted: bool = False

    def instrument(self) -> Instrument:
        """The facts the engine needs."""
        return Instrument(self.coin, self.size_decimals, self.max_leverage, min_notional=_MIN_NOTIONAL)

    def fee_rates(self, taker_rate: float, maker_rate: float, referral_discount: float = 0.0) -> FeeRates:
        """Fees of this asset from the account's rates (``userFees``; fractions, tier and staking discount included).

        With s the fee scale, k = 1 + s below 1 and 2s from there, g = 0.1 in growth mode and else 1, r the referral
        discount: taker·k·g·(1 − r); maker·k·g·(1 − r) for a fee, maker·g for a rebate.
        """
        scale = 1.0 + self.fee_scale if self.fee_scale < 1.0 else 2.0 * self.fee_scale
        growth = _GROWTH_FACTOR if self.growth_mode else 1.0
        paid = scale * growth * (1.0 - referral_discount) * 1e4
        return FeeRates(taker_rate * paid, maker_rate * (paid if maker_rate > 0.0 else growth * 1e4))


class Universe:
    """Every perpetual of the dexes it was made from.

    Args:
        assets: In any order; `Universe.from_answers` makes them.
        spot_pairs: Names of spot pairs, whose market can be watched.
    """

    def __init__(self, assets: Sequence[Asset], spot_pairs: Sequence[str] = ()) -> None:
        self._spot_pairs = frozenset(spot_pairs)
        self._by_coin = {asset.coin: asset for asset in assets}

    @classmethod
    def from_answers(
        cls, perp_dexs: Sequence[PerpDex | None], metas: Mapping[str, PerpMeta], spot: SpotMeta | None = None
    ) -> Universe:
        """Numbers the assets of each dex in `metas`.

        Args:
            perp_dexs: Answer to ``perpDexs``; the places are the dexes' numbers, the first is None.
            metas: Answer to ``meta`` by dex name, "" for the first.
            spot: Answer to ``spotMeta``, to name the collateral.

        Raises:
            UnknownCoinError: A dex of `metas` is not in `perp_dexs`.
            WireError: The first place of `perp_dexs` is taken, or a coin of a builder dex lacks its prefix.
        """
        if not perp_dexs or perp_dexs[0] is not None:
            raise WireError(channel="perpDexs", field="[0]", value=perp_dexs[:1], expected="null, for the first dex")
        places = {"": 0} | {dex.name: place for place, dex in enumerate(perp_dexs) if dex is not None}
        tokens = {} if spot is None else {token.index: token.name for token in spot.tokens}
        assets = []
        for name, meta in metas.items():
            if name not in places:
                near = difflib.get_close_matches(name.lower(), places, n=1)
                raise UnknownCoinError(
                    field="dex",
                    value=name,
                    expected=f"one of {', '.join(filter(None, places))}, or nothing for the first",
                    hint=f"did you mean {near[0]}? Names are told apart by case" if near else "",
                )
            place = places[name]
            base = 0 if place == 0 else _BUILDER_BASE + _DEX_STEP * place
            for index, entry in enumerate(meta.universe):
                if name and not entry.name.startswith(name + ":"):
                    raise WireError(
                        channel="meta", field=f"universe[{index}].name", value=entry.name, expected=f"{name}:COIN"
                    )
                scale = _fee_scale(entry, perp_dexs[place])
                assets.append(_asset(entry, base + index, name, meta.collateralToken, tokens, scale))
        return cls(assets, [] if spot is None else [pair.name for pair in spot.universe])

    def asset(self, coin: str) -> Asset:
        """An asset that trades.

        Raises:
            UnknownCoinError: No asset has the name, which suggests the nearest ones, or it is delisted.
        """
        asset = self.find(coin)
        if asset.is_delisted:
            raise UnknownCoinError(
                field="coin",
                value=coin,
                expected="a coin that trades",
                hint=f"{coin} is delisted: its book is empty and orders are refused",
            )
        return asset

    def find(self, coin: str) -> Asset:
        """An asset, delisted or not.

        Raises:
            UnknownCoinError: No asset has the name.
        """
        asset = self._by_coin.get(coin)
        if asset is None:
            near = self._nearest(coin)
            hint = f"did you mean {' or '.join(near)}? Names are told apart by case" if near else ""
            raise UnknownCoinError(field="coin", value=coin, expected="a perpetual of the venue", hint=hint)
        return asset

    def check_feed(self, coin: str) -> None:
        """Passes a perpetual that trades, or a spot pair.

        Raises:
            UnknownCoinError: It is neither.
        """
        if coin not in self._spot_pairs:
            self.asset(coin)

    def coins(self, dex: str | None = None) -> list[str]:
        """Names of those that trade, of one dex or all."""
        return [a.coin for a in self._by_coin.values() if not a.is_delisted and dex in (None, a.dex)]

    def _nearest(self, coin: str) -> list[str]:
        """At most three names: the same but for case or dex, else those spelled alike."""
        wanted = coin.lower()
        bare = wanted.rpartition(":")[2]
        same = [name for name in self._by_coin if name.lower() == wanted]
        same += [name for name in self._by_coin if name not in same and name.lower().rpartition(":")[2] == bare]
        if same:
            return same[:3]
        lower = {name.lower(): name for name in self._by_coin}
        return [lower[name] for name in difflib.get_close_matches(wanted, lower, n=3)]


def _fee_scale(entry: PerpAsset, dex: PerpDex | None) -> float:
    """The asset's own scale, else that of its dex, else 1: a builder dex that tells none is taken as dear."""
    if dex is None:
        return 0.0
    for scale in (entry.deployerFeeScale, dex.deployerFeeScale):
        if scale is not None:
            return scale
    return 1.0


def _asset(entry: PerpAsset, asset_id: int, dex: str, token: int, tokens: Mapping[int, str], scale: float) -> Asset:
    modes = {"strictIsolated": "strict_isolated", "noCross": "isolated"}
    mode = modes.get(entry.marginMode or "", "strict_isolated" if entry.onlyIsolated else "cross")
    return Asset(
        coin=entry.name,
        asset_id=asset_id,
        dex=dex,
        size_decimals=entry.szDecimals,
        max_leverage=entry.maxLeverage,
        collateral_token=token,
        collateral_name=tokens.get(token, ""),
        fee_scale=scale,
        growth_mode=entry.growthMode == "enabled",
        margin_mode=mode,
        is_delisted=bool(entry.isDelisted),
    )
