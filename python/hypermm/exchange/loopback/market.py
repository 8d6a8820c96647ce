"""Which contracts the exchange lists and what makes their markets: presets, or a recording for the first."""

from __future__ import annotations

from typing import Any

from hypermm._core import Instrument, LoopbackCoin, MarketPreset
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.loopback.listing import DELISTED, Contract, Listing

__all__ = ["BUILDER_COIN", "listed"]

BUILDER_COIN = "xyz:GOLD"
"""A contract of a builder dex stands beside every other: isolated margin that stays, growth mode, a fee scale of 1."""
_BUILDER_PRESET = "hype"
_DEEP = frozenset({"BTC", "ETH"})


def listed(
    presets: list[str], *, recording: Any = None, instrument: Instrument | None = None
) -> tuple[Listing, list[LoopbackCoin]]:
    """Contracts and markets: a delisted one, the recorded one, those of the presets, one on a builder dex.

    Args:
        presets: Names of presets; case does not matter.
        recording: Plays as the market of `instrument`.
        instrument: Contract of the recording.

    Raises:
        InvalidInputError: No preset has the name, or a contract comes twice.
    """
    named = [MarketPreset(name.lower()) for name in presets]
    instruments: list[tuple[Instrument, dict[str, Any]]] = [
        (preset.instrument, {"preset": preset.name}) for preset in named
    ]
    if instrument is not None:
        instruments.insert(0, (instrument, {"recording": recording}))
    gold = MarketPreset(_BUILDER_PRESET).instrument
    builder = Instrument(BUILDER_COIN, gold.size_decimals, gold.max_leverage)
    if BUILDER_COIN not in [each.coin for each, _ in instruments]:
        instruments.append((builder, {"preset": _BUILDER_PRESET}))
    contracts = [
        DELISTED,
        *(
            Contract(
                coin=each.coin,
                size_decimals=each.size_decimals,
                max_leverage=each.max_leverage,
                margin_mode="strict_isolated" if ":" in each.coin else "cross",
                growth_mode=":" in each.coin,
                fee_scale=1.0 if ":" in each.coin else 0.0,
            )
            for each, _ in instruments
        ),
    ]
    listing = Listing(contracts)
    if len(listing.by_coin) != len(contracts):
        names = ", ".join(each.coin for each in contracts)
        raise InvalidInputError(field="coins", value=names, expected="each contract once")
    coins = [
        LoopbackCoin(
            each,
            listing.asset_ids[each.coin],
            dex=listing.by_coin[each.coin].dex,
            deployer_fee_scale=listing.by_coin[each.coin].fee_scale,
            growth_mode=listing.by_coin[each.coin].growth_mode,
            margin_mode=listing.by_coin[each.coin].margin_mode,
            impact_notional_usd=20_000.0 if each.coin in _DEEP else 6_000.0,
            **market,
        )
        for each, market in instruments
    ]
    return listing, coins
