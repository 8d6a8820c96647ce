"""`hypermm demo`: a seeded synthetic session, then a recording where one is given."""

from __future__ import annotations

from pathlib import Path

import click

import hypermm
from hypermm.cli.backtest import known_instrument, run_backtest, run_session
from hypermm.cli.output import json_option, print_json
from hypermm.cli.parameters import FiniteRange, OutFolder
from hypermm.config import RunConfig, load_settings
from hypermm.recording import load_recording

__all__ = ["demo"]

_PRESET = "hype"


@click.command()
@click.option("--data", type=click.Path(), help="Folder of a recording to replay after the synthetic session.")
@click.option("--coin", default="ETH", show_default=True, help="Coin of the recording.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=RunConfig().seed, show_default=True, help="Seed of every draw."
)
@click.option("--minutes", type=FiniteRange(1, 24 * 60), default=30, show_default=True, help="Length of the session.")
@click.option("--out", type=OutFolder(), default="out/demo", show_default=True, help="Folder for the results.")
@json_option
def demo(data: str | None, coin: str, seed: int, minutes: float, out: str, as_json: bool) -> None:
    """Watch the market maker quote and fill, with no data at hand.

    The synthetic market is that of `hypermm backtest --venue matching`: makers, takers, informed traders and forced
    sellers in one book, in which our orders wait in the queue like theirs.
    """
    settings = load_settings(None, [f"seed={seed}"])
    preset, folder = hypermm.MarketPreset(_PRESET), Path(out) / "synthetic"
    title = f"Synthetic {preset.instrument.coin}, matching venue"
    results = [run_session(preset, minutes * 60.0, settings, folder, title, as_json=as_json)]
    if data is not None:
        loaded = load_recording(data, coin)
        known = known_instrument(coin)
        title = f"{coin}, recorded"
        results.append(run_backtest(loaded, known, settings, Path(out) / coin, title, as_json=as_json))
    if as_json:
        print_json(dict(zip(("synthetic", coin), results, strict=False)))
