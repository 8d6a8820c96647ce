"""`hypermm tune`: looks for better settings over a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypermm.cli.backtest import calibration_used, configured, known_instrument, references_beside
from hypermm.cli.output import json_option, print_json, print_table, progress_bar
from hypermm.cli.parameters import OutFolder
from hypermm.config import load_settings
from hypermm.config.engine_calibration import is_in_sample
from hypermm.recording import load_recording
from hypermm.recording.instruments import facts_beside
from hypermm.recording.whole_file import whole_file
from hypermm.research.evaluate import mid_path
from hypermm.research.ranges import default_ranges, load_ranges
from hypermm.research.views import view_latency, view_models

if TYPE_CHECKING:
    from hypermm.research.tune import TuneResult

__all__ = ["tune"]


@click.command()
@click.option("--data", type=click.Path(), required=True, help="Folder of the recording.")
@click.option("--coin", required=True, help="Coin of the recording, such as ETH.")
@click.option(
    "--objective",
    default="edge_bps,max_drawdown",
    show_default=True,
    help="What to look at, the first leads: edge_bps, markout_bps, pnl_usd, volume_usd, fills, max_drawdown, "
    "max_abs_position, adverse_share.",
)
@click.option("--trials", type=click.IntRange(1, 1_000_000), default=64, show_default=True, help="Settings to try.")
@click.option(
    "--folds",
    type=click.IntRange(3, 100),
    default=4,
    show_default=True,
    help="Spans of equal time; the last is held out.",
)
@click.option("--fields", help="Fields to move, a decade to either side of their values: risk_aversion,levels.")
@click.option(
    "--ranges",
    "ranges_file",
    type=click.Path(dir_okay=False),
    help="TOML file with [ranges], fields with [lowest, highest].",
)
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option(
    "--view",
    type=click.Choice(list(view_models())),
    default="calibrated",
    show_default=True,
    help="Fill model the trials are judged under.",
)
@click.option("--threads", type=click.IntRange(1, 256), help="Threads to play on; all cores without it.")
@click.option("--out", type=OutFolder(), help="Folder for page, results and trials.  [default: out/tune-COIN]")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
def tune(
    data: str,
    coin: str,
    objective: str,
    trials: int,
    folds: int,
    fields: str | None,
    ranges_file: str | None,
    config_file: str | None,
    overrides: tuple[str, ...],
    view: str,
    threads: int | None,
    out: str | None,
    instrument_file: str | None,
    as_json: bool,
) -> None:
    """Try settings over a recording, judge the best in time that was held out, and write the Pareto front as a page.

    Trials are kept as they come. A search that was killed goes on where it was when it is called again.
    """
    from hypermm.research.tune import DEFAULT_FIELDS
    from hypermm.research.tune import tune as search
    from hypermm.research.tune_report import write_tuning

    if fields is not None and ranges_file is not None:
        raise click.UsageError("--fields and --ranges exclude one another: a range names its field")
    settings = load_settings(config_file, overrides)
    recording = load_recording(data, coin)
    instrument = known_instrument(coin, instrument_file or facts_beside(data))
    cap = instrument.round_size(settings.run.max_position_usd / float(mid_path(recording).mid_price[0]))
    base = configured(settings, instrument, recording, max_position=cap)
    named = DEFAULT_FIELDS if fields is None else [name.strip() for name in fields.split(",")]
    ranges = default_ranges(base, named) if ranges_file is None else load_ranges(ranges_file)
    folder = Path(out) if out else Path("out") / f"tune-{coin.replace(':', '-')}"
    model = view_models()[view]
    with progress_bar(f"{trials} trials") as advance:
        result = search(
            recording,
            instrument,
            base,
            objectives=[name.strip() for name in objective.split(",")],
            trials=trials,
            ranges=ranges,
            folds=folds,
            fill_model=model,
            seed=settings.run.seed,
            cycle_ns=settings.run.cycle_ns,
            latency=view_latency(
                model, (round(settings.run.to_venue_ms * 1e6), round(settings.run.acknowledge_ms * 1e6))
            ),
            threads=threads,
            references=references_beside(data, base.calibration),
            out=folder,
            progress=advance,
        )
    page = folder / "tune.html"
    used = calibration_used(settings, instrument, recording)
    facts: dict[str, Any] = {}
    if used is not None:
        # Fold by fold: a calibration of the first folds is none of the last.
        folds_in = [is_in_sample(used.artifact, begin) for begin, _ in result.spans]
        facts = {"in_sample": used.in_sample, "folds_in_sample": folds_in}
    write_tuning(result, f"{coin}, tuned under the {view} view", page, facts.get("folds_in_sample", ()))
    answer = {"coin": coin, "view": view, **facts, **result.to_dict(), "page": str(page)}
    with whole_file(folder / "tune.json") as part:
        part.write_text(json.dumps(answer, indent=1) + "\n", "utf-8")
    if as_json:
        print_json(answer)
        return
    mark = ", in-sample" if facts.get("in_sample") else ""
    print_table(f"{coin}, {view}{mark}: the front of {len(result.points)} trials", _front(result))
    print_table(
        "Walking forward: the best of the folds before, in each; but for the last fold, of the trials drawn at random "
        "before the search learned from any fold",
        _walk(result),
    )
    click.echo(str(page))


def _front(result: TuneResult) -> list[dict[str, Any]]:
    rows = []
    for name, point in (("base", result.base), *((str(point.trial), point) for point in result.front)):
        row: dict[str, Any] = {"trial": name}
        row |= _named("", result, point.values) | _named("held out ", result, point.held_out)
        row["settings"] = " ".join(f"{field}={_rounded(value)}" for field, value in point.fields.items())
        rows.append(row)
    return rows


def _walk(result: TuneResult) -> list[dict[str, Any]]:
    return [
        {"fold": step.fold, "chosen among": step.candidates, "trial": str(step.trial)}
        | _named("before ", result, step.before)
        | _named("in it ", result, step.after)
        | _named("base ", result, step.base)
        for step in result.walk
    ]


def _named(lead: str, result: TuneResult, values: tuple[float | None, ...]) -> dict[str, Any]:
    return {f"{lead}{name}": _rounded(value) for name, value in zip(result.objectives, values, strict=True)}


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
