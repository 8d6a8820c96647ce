"""`hypermm scenario`: an incident, or a calm market, replayed from many seeds at the matching venue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

import hypermm
from hypermm.cli.output import json_option, print_json, progress_bar, stdout
from hypermm.cli.parameters import OutFile
from hypermm.config import RunConfig, load_settings, refuse_overrides
from hypermm.recording.write import write_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["scenario"]

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@click.command()
@click.argument("name")
@click.option("--seeds", type=click.IntRange(1, 1_000_000), default=200, show_default=True, help="How many seeds.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="The first of them.")
@click.option(
    "--strategy",
    type=click.Choice(["engine", "plain"]),
    default="engine",
    show_default=True,
    help="The engine, or a plain symmetric ladder of its base width and clip.",
)
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option("--out", type=OutFile(".parquet"), help="Parquet file for the rows, one a seed.")
@json_option
def scenario(
    name: str,
    seeds: int,
    first_seed: int,
    strategy: str,
    config_file: str | None,
    overrides: tuple[str, ...],
    out: str | None,
    as_json: bool,
) -> None:
    """Play scenario NAME (feb19, feb12 or calm) from many seeds.

    The known prices of the incident are kept, what lies between is drawn per seed; the aggressive trades that reached
    the old quotes come at their times. Cap, fee and account are those of the incident unless set.
    """
    refuse_overrides(overrides, RunConfig.__struct_fields__, "a key of [engine]", "a scenario has its own run settings")
    settings = load_settings(config_file, overrides)
    with progress_bar(f"{name}, {strategy}") as advance:
        rows = hypermm.run_scenario(
            name, seeds=seeds, first_seed=first_seed, strategy=strategy, engine=settings.engine, progress=advance
        )
    if out is not None:
        write_columns(Path(out), dict(rows))
    figures = quantiles(rows)
    if as_json:
        per_seed = {column: np.asarray(values).tolist() for column, values in rows.items()}
        print_json({"scenario": name, "strategy": strategy, "quantiles": figures, "per_seed": per_seed})
        return
    _print(f"{name}, {strategy}, {seeds:,} seeds", figures)
    if out is not None:
        stdout().print(Text(f"wrote {out}", style="dim"), soft_wrap=True)


def quantiles(rows: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation, standard error of the mean and quantiles of every column but the seed.

    Seeds of which a column says nothing (NaN) are left out of it; of no seed at all every figure is NaN.
    """
    figures = {}
    for name, values in rows.items():
        if name == "seed":
            continue
        column = np.asarray(values, float)
        # A seed without fills has no edge.
        column = column[np.isfinite(column)]
        deviation = float(np.std(column, ddof=1)) if len(column) > 1 else 0.0
        figures[name] = {
            "mean": float(np.mean(column)) if len(column) else float("nan"),
            "deviation": deviation,
            "error": deviation / max(len(column), 1) ** 0.5,
            **{
                f"q{round(100 * share):02d}": float(np.quantile(column, share)) if len(column) else float("nan")
                for share in _QUANTILES
            },
        }
    return figures


def _print(title: str, figures: Mapping[str, Mapping[str, float]]) -> None:
    names = {
        "mean": "mean",
        "error": "± error",
        "q00": "least",
        "q05": "5 %",
        "q50": "median",
        "q95": "95 %",
        "q100": "most",
    }
    table = Table(title=Text(title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in names.values():
        table.add_column(name, justify="right")
    for column, row in figures.items():
        cells = (Text(f"{row[name]:,.3f}" if np.isfinite(row[name]) else "–") for name in names)
        table.add_row(Text(column.replace("_", " ")), *cells)
    stdout().print(table)
