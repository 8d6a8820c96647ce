"""What is traded: contracts and dexes, with their asset ids, as ``meta``, ``perpDexs`` and ``spotMeta`` tell them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

__all__ = ["DELISTED", "Contract", "Listing"]

_MARGIN_MODES = {"no_cross": "noCross", "strict_isolated": "strictIsolated"}
_BUILDER_BASE, _DEX_STEP = 100_000, 10_000
_DEPLOYER = "0x" + "d" * 40
_USDC = {
    "name": "USDC",
    "szDecimals": 8,
    "weiDecimals": 8,
    "index": 0,
    "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
    "isCanonical": True,
    "evmContract": None,
    "fullName": None,
    "deployerTradingFeeShare": "0.0",
}


class Contract(Struct, frozen=True, kw_only=True):
    """A contract.

    Attributes:
        coin: Its name, on builder dexes with the dex before it.
        size_decimals: Decimal places of a size.
        max_leverage: Largest leverage.
        margin_mode: As `LoopbackCoin` has it.
        growth_mode: Fees and the volume that counts are a tenth.
        fee_scale: What the builder adds to fees; 0 on the first dex.
        last_price: What it is frozen at when delisted; "" for one that trades.
    """

    coin: str
    size_decimals: int
    max_leverage: int
    margin_mode: Literal["cross", "no_cross", "strict_isolated"] = "cross"
    growth_mode: bool = False
    fee_scale: float = 0.0
    last_price: str = ""

    @property
    def dex(self) -> str:
        """Name of its dex, "" for the first."""
        return self.coin.rpartition(":")[0]

    @property
    def is_delisted(self) -> bool:
        """It no longer trades."""
        return self.last_price != ""

    def meta(self) -> dict[str, Any]:
        """Its row of the universe."""
        row: dict[str, Any] = {
            "szDecimals": self.size_decimals,
            "name": self.coin,
            "maxLeverage": self.max_leverage,
            "marginTableId": self.max_leverage,
        }
        if self.is_delisted:
            row["isDelisted"] = True
        if self.margin_mode != "cross":
            row |= {"onlyIsolated": True, "marginMode": _MARGIN_MODES[self.margin_mode]}
        if self.growth_mode:
            row["growthMode"] = "enabled"
        if self.dex:
            scale = {"deployerFeeScale": str(self.fee_scale)}
            row |= scale | {"lastFeeScaleChangeTime": "2025-11-23T17:21:40.390706535"}
        return row


DELISTED = Contract(coin="MATIC", size_decimals=1, max_leverage=20, last_price="0.37621")
"""A contract that no longer trades; it stands first, so that whoever leaves it out counts wrong."""


class Listing:
    """All contracts.

    Args:
        contracts: Those of a dex are numbered in the order given.
    """

    def __init__(self, contracts: list[Contract]) -> None:
        self.dexes = ["", *dict.fromkeys(each.dex for each in contracts if each.dex)]
        self.universe = {dex: [each for each in contracts if each.dex == dex] for dex in self.dexes}
        self.by_coin = {each.coin: each for each in contracts}
        self.by_asset_id: dict[int, Contract] = {}
        self.asset_ids: dict[str, int] = {}
        for place, dex in enumerate(self.dexes):
            base = _BUILDER_BASE + _DEX_STEP * place if place else 0
            for index, contract in enumerate(self.universe[dex]):
                self.by_asset_id[base + index] = contract
                self.asset_ids[contract.coin] = base + index

    @property
    def trading(self) -> list[Contract]:
        """Those that trade."""
        return [each for each in self.by_coin.values() if not each.is_delisted]

    def meta(self, dex: str) -> dict[str, Any]:
        """Answer to ``meta``."""
        # A margin table below 50 is one tier of that leverage, and not listed.
        return {"universe": [each.meta() for each in self.universe[dex]], "marginTables": [], "collateralToken": 0}

    def perp_dexs(self) -> list[dict[str, Any] | None]:
        """Answer to ``perpDexs``."""
        return [
            None,
            *(
                {
                    "name": dex,
                    "fullName": dex.upper(),
                    "deployer": _DEPLOYER,
                    "oracleUpdater": None,
                    "feeRecipient": _DEPLOYER,
                    "assetToStreamingOiCap": [[each.coin, "100000000.0"] for each in self.universe[dex]],
                    "subDeployers": [],
                    "assetToFundingMultiplier": [[each.coin, "1.0"] for each in self.universe[dex]],
                    "assetToFundingInterestRate": [],
                    "assetToFundingClamp": [],
                }
                for dex in self.dexes[1:]
            ),
        ]

    @staticmethod
    def spot_meta() -> dict[str, Any]:
        """Answer to ``spotMeta``: the collateral, no pairs."""
        return {"tokens": [dict(_USDC)], "universe": []}
