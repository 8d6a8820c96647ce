"""`hypermm gap`: how far paper is from live, in a market where both can be had, and what closes the gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

import hypermm
from hypermm.cli.output import json_option, print_json, progress_bar, stdout
from hypermm.cli.parameters import FiniteRange
from hypermm.config import load_settings, refuse_overrides
from hypermm.exceptions import InvalidConfigError
from hypermm.research import gap as paper

if TYPE_CHECKING:
    from hypermm.config import Settings
    from hypermm.research.gap_fit import FillFit, Response

__all__ = ["gap"]

# Seeds that fit are none of those that judge: they begin so far on.
_FIT_OFFSET = 1_000_000
_NOT_HERE = ("seed", "fill_model", "cancel_exponent", "to_venue_ms", "acknowledge_ms")


@click.command()
@click.option(
    "--preset",
    "presets",
    multiple=True,
    required=True,
    help=f"Market: {', '.join(hypermm.MarketPreset.names())}; may be repeated, which also fits them together.",
)
@click.option(
    "--seeds", type=click.IntRange(2, _FIT_OFFSET), default=24, show_default=True, help="How many seeds to judge on."
)
@click.option(
    "--fit-seeds",
    type=click.IntRange(0, _FIT_OFFSET),
    default=24,
    show_default=True,
    help="How many other seeds to fit on; 0 judges the numbers shipped.",
)
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first to judge on.")
@click.option("--minutes", type=FiniteRange(1, 43_200), default=60.0, show_default=True, help="Length of a seed.")
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@json_option
def gap(
    presets: tuple[str, ...],
    seeds: int,
    fit_seeds: int,
    first_seed: int,
    minutes: float,
    config_file: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure paper against live, cause by cause, and fit the calibrated fill model.

    Live, the engine trades in the true queues of the matching venue; on paper, on the public feed of that very run
    without its own orders, in each fill model. Differences are per fill, paired by seed, with their standard errors.
    """
    refuse_overrides(overrides, _NOT_HERE, "a setting of one recorded run", "gap runs every fill model: leave it out")
    if fit_seeds == 1:
        raise click.BadParameter("1 is no seed to take an error from: 2 or more, or 0", param_hint="--fit-seeds")
    settings = load_settings(config_file, overrides)
    if settings.run.calibration:
        raise InvalidConfigError(
            field="run.calibration",
            value=settings.run.calibration,
            expected="none: a calibration is of one recorded coin, gap plays presets",
            hint='leave it out of [run], or clear it with --set run.calibration=""',
        )
    markets = [hypermm.MarketPreset(name) for name in presets]
    run: dict[str, Any] = {"duration_s": 60.0 * minutes, "cycle_ns": settings.run.cycle_ns}
    responses = [_respond(market, settings, fit_seeds, first_seed, run) for market in markets if fit_seeds]
    results: dict[str, Any] = {}
    for place, market in enumerate(markets):
        found = _fitted([responses[place]]) if responses else None
        numbers = found.numbers if found else paper.FillNumbers(*hypermm.fill_calibration(market.instrument.coin))
        arms = paper.ARMS(numbers)
        with progress_bar(f"{market.name}, live and {len(arms)} arms") as advance:
            config = _config(market, settings)
            columns = paper.play(market, config, arms, seeds=seeds, first_seed=first_seed, progress=advance, **run)
        views, causes = paper.compare(columns, arms), paper.steps(columns, arms)
        results[market.name] = {
            "seeds": seeds,
            "first_seed": first_seed,
            "duration_s": run["duration_s"],
            "calibration": numbers._asdict(),
            "shipped": paper.FillNumbers(*hypermm.fill_calibration(market.instrument.coin))._asdict(),
            "fit": _fit_fields(found, fit_seeds, first_seed) if found else None,
            "views": [view._asdict() for view in views],
            "steps": [{"arm": arm, "step_bps": step, "error_bps": error} for arm, step, error in causes],
        }
        if not as_json:
            _print(f"{market.name}: {seeds} seeds of {minutes:g} min", views, causes)
            _print_numbers("fitted" if found else "shipped", numbers)
    pooled = _fitted(responses) if len(responses) > 1 else None
    if as_json:
        fields = (
            _fit_fields(pooled, fit_seeds, first_seed) | {"calibration": pooled.numbers._asdict()} if pooled else None
        )
        print_json({"presets": results, "pooled": fields})
    elif pooled:
        _print_numbers("fitted together", pooled.numbers)


def _config(market: hypermm.MarketPreset, settings: Settings) -> hypermm.EngineConfig:
    cap = market.instrument.round_size(settings.run.max_position_usd / market.start_price)
    return settings.engine_config(max_position=cap, maker_fee_bps=market.maker_fee_bps)


def _respond(
    market: hypermm.MarketPreset, settings: Settings, seeds: int, first_seed: int, run: dict[str, Any]
) -> Response:
    """How the differences of a market depend on the numbers, on seeds of their own."""
    from hypermm.research import gap_fit  # SciPy takes its time

    arms = gap_fit.design()
    with progress_bar(f"{market.name}, fitting on {seeds} seeds") as advance:
        columns = paper.play(
            market,
            _config(market, settings),
            arms,
            seeds=seeds,
            first_seed=first_seed + _FIT_OFFSET,
            progress=advance,
            **run,
        )
    return gap_fit.response(columns, arms, market.name)


def _fitted(responses: list[Response]) -> FillFit:
    from hypermm.research import gap_fit

    return gap_fit.fit(responses)


def _fit_fields(found: FillFit, seeds: int, first_seed: int) -> dict[str, Any]:
    return {"seeds": seeds, "first_seed": first_seed + _FIT_OFFSET, "left": found.left, "errors": found.errors}


def _print(title: str, views: list[paper.GapView], causes: list[tuple[str, float, float]]) -> None:
    table = Table(title=Text(title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in ("fills", "of live", "edge, bps", "markout, bps", "edge − live, bps", "by size, bps", "step, bps"):
        table.add_column(name, justify="right")
    step = {arm: (value, error) for arm, value, error in causes}
    for view in views:
        is_live = view.arm == "live"
        table.add_row(
            Text(view.arm),
            Text(f"{view.fills:,}"),
            Text(f"{view.fills_over_live:.2f}"),
            _number(view.edge_bps),
            _number(view.markout_bps),
            Text("") if is_live else _number(view.difference_bps, view.error_bps),
            Text("") if is_live else _number(view.weighted_difference_bps, view.weighted_error_bps),
            _number(*step[view.arm]) if view.arm in step else Text(""),
        )
    stdout().print(table)


def _print_numbers(word: str, numbers: paper.FillNumbers) -> None:
    alpha, touch, alone = numbers
    line = f"{word}: cancel exponent {alpha:g}, touch probability {touch:g}, alone probability {alone:g}"
    stdout().print(Text(line), soft_wrap=True)


def _number(value: float, error: float | None = None) -> Text:
    if not np.isfinite(value):
        return Text("–")
    return Text(f"{value:+.3f}" + (f" ± {error:.3f}" if error is not None and np.isfinite(error) else ""))
