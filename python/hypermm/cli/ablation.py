"""`hypermm ablation`: what each part of the model buys on one market."""

from __future__ import annotations

from typing import Any

import click

import hypermm
from hypermm.cli.backtest import known_instrument, references_beside, say_notes
from hypermm.cli.output import json_option, print_json, print_table, progress_bar
from hypermm.config import load_settings
from hypermm.config.calibration import HORIZON_S
from hypermm.config.engine_calibration import RecordedUse, recorded_use
from hypermm.recording import Recording, load_recording
from hypermm.recording.instruments import facts_beside
from hypermm.research.ablation import AblationRow, ablate, judge, step_configs
from hypermm.research.evaluate import mid_path
from hypermm.research.views import view_models

__all__ = ["ablation"]

_VIEWS = ("pessimistic", "calibrated")
# Least that is judged on: with less of a recording beyond the data of the calibration, all of it is, as in-sample.
_LEAST_JUDGED_NS = 300_000_000_000


@click.command()
@click.option("--data", type=click.Path(), help="Folder of a recording.")
@click.option("--coin", help="Coin of the recording, such as ETH.")
@click.option(
    "--preset", help=f"Instead of a recording, a synthetic market: {', '.join(hypermm.MarketPreset.names())}."
)
@click.option("--minutes", type=click.FloatRange(10, 43_200), default=120.0, show_default=True, help="Of the preset.")
@click.option("--calibration", default="", help="File that hypermm calibrate wrote; without it that step is left out.")
@click.option(
    "--from", "from_share", type=click.FloatRange(0, 0.95), default=0.0, help="Judge from this share of time."
)
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option("--draws", type=click.IntRange(10, 100_000), default=1000, show_default=True, help="Of the bootstrap.")
@json_option
def ablation(
    data: str | None,
    coin: str | None,
    preset: str | None,
    minutes: float,
    calibration: str,
    from_share: float,
    config_file: str | None,
    overrides: tuple[str, ...],
    draws: int,
    as_json: bool,
) -> None:
    """Play one market with one part of the model more at a time, and say what each part buys, with its error.

    What the calibration was fitted to is not judged; where there is nothing else, the result says in-sample.
    """
    facts: dict[str, Any] = {}
    settings = load_settings(config_file, overrides)
    if preset is not None:
        if data is not None or calibration:
            raise click.UsageError("--preset is a market of its own: leave out --data and --calibration")
        rows = _on_preset(preset, minutes, from_share, draws, settings)
        title = f"{preset}, {minutes:g} min at the matching venue"
    elif data is None or coin is None:
        raise click.UsageError("say which market: --data and --coin, or --preset")
    else:
        recording = load_recording(data, coin)
        instrument = known_instrument(coin, facts_beside(data))
        used, from_ns = _used(calibration, instrument, recording, from_share)
        say_notes(used)
        fitted = used.calibration if used is not None else None
        facts = {"judged_from_ns": from_ns} | ({"in_sample": used.in_sample} if used is not None else {})
        cap = instrument.round_size(settings.run.max_position_usd / float(mid_path(recording).mid_price[0]))
        title = f"{coin}, recorded" + (", in-sample" if used is not None and used.in_sample else "")
        models = {view: model for view, model in view_models().items() if view in _VIEWS}
        with progress_bar(title) as advance:
            rows = ablate(
                recording,
                instrument,
                settings.engine_config(max_position=cap),
                fitted,
                models=models,
                from_ns=from_ns,
                draws=draws,
                seed=settings.run.seed,
                advance=advance,
                cycle_ns=settings.run.cycle_ns,
                latency=(round(settings.run.to_venue_ms * 1e6), round(settings.run.acknowledge_ms * 1e6)),
                references=references_beside(data, fitted),
            )
    if as_json:
        print_json({"title": title, **facts, "rows": [row._asdict() for row in rows]})
    else:
        print_table(title, [_shown(row) for row in rows])


def _used(
    path: str, instrument: hypermm.Instrument, recording: Recording, from_share: float
) -> tuple[RecordedUse | None, int]:
    """The calibration and where judging begins: a horizon beyond its data, if enough of the recording is left there."""
    first, last = int(recording.book_time_ns[0]), int(recording.book_time_ns[-1])
    from_ns = first + round(from_share * (last - first))
    used = recorded_use(path, instrument, from_ns)
    if used is not None and used.in_sample:
        beyond_ns = used.artifact.data_to_ns + round(HORIZON_S * 1e9) + 1
        if last - beyond_ns >= _LEAST_JUDGED_NS:
            return recorded_use(path, instrument, beyond_ns), beyond_ns
    return used, from_ns


def _on_preset(name: str, minutes: float, from_share: float, draws: int, settings: Any) -> list[AblationRow]:
    market = hypermm.MarketPreset(name)
    cap = market.instrument.round_size(settings.run.max_position_usd / market.start_price)
    whole = settings.engine_config(max_position=cap, maker_fee_bps=market.maker_fee_bps)
    results = {}
    start_ns = 0
    configs = step_configs(whole, None)
    with progress_bar(name) as advance:
        for step, config in configs.items():
            results[step], _ = hypermm.matching_session(
                name,
                config,
                seed=settings.run.seed,
                duration_s=60.0 * minutes,
                cycle_ns=settings.run.cycle_ns,
                deposit_usd=max(10_000.0, whole.max_position * market.start_price),
            )
            start_ns = int(results[step].summary()["start_ns"])
            advance(len(results), len(configs))
    from_ns = start_ns + round(from_share * minutes * 60e9)
    return judge("matching", results, from_ns, draws=draws, seed=settings.run.seed)


def _shown(row: AblationRow) -> dict[str, object]:
    """One line of the table: each figure with half the width of its interval."""
    cells: dict[str, object] = {"view": row.view, "step": row.step.removeprefix("+ "), "fills": row.fills}
    short = {"largest_position": "largest", "half_life_s": "half life", "drawdown_usd": "drawdown"}
    for name, (value, low, high) in (row.figures | {"gain_usd": row.gain_usd}).items():
        cells[short.get(name, name.removesuffix("_usd"))] = f"{value:.3g}±{(high - low) / 2:.2g}"
    return cells
