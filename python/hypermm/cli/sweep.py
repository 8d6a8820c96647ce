"""`hypermm sweep`: many configurations over one recording."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypermm.cli.backtest import calibration_used, configured, known_instrument, references_beside
from hypermm.cli.output import json_option, print_json, print_table, progress_bar
from hypermm.cli.parameters import OutFolder
from hypermm.config import load_settings
from hypermm.recording import load_recording
from hypermm.recording.instruments import facts_beside
from hypermm.research.evaluate import mid_path
from hypermm.research.grid import load_grid
from hypermm.research.views import view_models

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as arrow

    from hypermm import EngineConfig

__all__ = ["sweep"]

_SHOWN = 10
_FIGURES = ("edge_bps", "pnl_usd", "max_drawdown_usd", "fills", "volume_usd", "max_abs_position")


@click.command()
@click.option("--data", type=click.Path(), required=True, help="Folder of the recording.")
@click.option("--coin", required=True, help="Coin of the recording, such as ETH.")
@click.option(
    "--grid",
    "grid_file",
    type=click.Path(dir_okay=False),
    required=True,
    help="TOML file with [grid], fields with lists of values, or [[points]].",
)
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option(
    "--view",
    "view",
    type=click.Choice(["all", *view_models()]),
    default="all",
    show_default=True,
    help="Fill models to play: all three views, or one.",
)
@click.option("--out", type=OutFolder(), required=True, help="Folder for the results.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes to play on; without it all cores of this one.")
@click.option("--chunk", type=click.IntRange(1, 100_000), default=32, show_default=True, help="Configurations a part.")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
def sweep(
    data: str,
    coin: str,
    grid_file: str,
    config_file: str | None,
    overrides: tuple[str, ...],
    view: str,
    out: str,
    workers: int | None,
    chunk: int,
    instrument_file: str | None,
    as_json: bool,
) -> None:
    """Play every configuration of a grid over a recording and write one row each.

    Rows are written as they come. A sweep that was killed goes on where it was when it is called again.
    """
    from hypermm.research.sweep import sweep as play

    settings = load_settings(config_file, overrides)
    recording = load_recording(data, coin)
    instrument = known_instrument(coin, instrument_file or facts_beside(data))
    cap = instrument.round_size(settings.run.max_position_usd / float(mid_path(recording).mid_price[0]))
    base = configured(settings, instrument, recording, max_position=cap)
    used = calibration_used(settings, instrument, recording)
    in_sample = used.in_sample if used is not None else None
    configs = load_grid(grid_file, base)
    views = view_models()
    chosen = views if view == "all" else {view: views[view]}
    with _executor(workers) as executor, progress_bar(f"{len(configs)} configurations") as advance:
        rows = play(
            (data, coin) if workers else recording,
            instrument,
            configs,
            executor,
            views=chosen,
            seed=settings.run.seed,
            cycle_ns=settings.run.cycle_ns,
            latency=(round(settings.run.to_venue_ms * 1e6), round(settings.run.acknowledge_ms * 1e6)),
            references=references_beside(data, base.calibration),
            in_sample=in_sample,
            out=out,
            chunk=chunk,
            progress=advance,
        )
    results = str(Path(out) / "results.parquet")
    swept = _swept(configs)
    if as_json:
        answer: dict[str, Any] = {"configurations": len(configs), "views": list(chosen), "results": results}
        if in_sample is not None:
            answer["in_sample"] = in_sample
        print_json(answer | {"best": {name: _best(rows, name, swept) for name in chosen}})
        return
    mark = ", in-sample" if in_sample else ""
    for name in chosen:
        best = [{key: _rounded(value) for key, value in row.items()} for row in _best(rows, name, swept)]
        print_table(f"{coin}, {name}{mark}: the best by edge of {len(configs)} configurations", best)
    click.echo(results)


def _executor(workers: int | None) -> AbstractContextManager[ProcessPoolExecutor | None]:
    # A fresh interpreter a worker: a fork of a process with threads may hang.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if workers else nullcontext()


def _swept(configs: list[EngineConfig]) -> list[str]:
    """Fields in which the configurations differ."""
    values = [config.to_dict() for config in configs]
    return [name for name in values[0] if any(value[name] != values[0][name] for value in values)]


def _best(rows: arrow.Table, view: str, swept: list[str]) -> list[dict[str, Any]]:
    """The rows of a view with the highest edges, without those of no known edge."""
    columns = rows.select(["point", "view", *swept, *_FIGURES]).to_pylist()
    mine = [row for row in columns if row.pop("view") == view and row["edge_bps"] is not None]
    return sorted(mine, key=lambda row: (-row["edge_bps"], row["point"]))[:_SHOWN]


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
