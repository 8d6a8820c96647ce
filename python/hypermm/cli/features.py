"""`hypermm features`: every feature of a recording at a grid of quote cycles, as one Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.text import Text

import hypermm
from hypermm.cli.backtest import known_instrument
from hypermm.cli.output import json_option, print_json, print_table, progress_bar, stderr, stdout
from hypermm.cli.parameters import FiniteRange, OutFile
from hypermm.exceptions import InvalidInputError
from hypermm.recording import load_recording
from hypermm.recording.instruments import facts_beside
from hypermm.recording.load import held_coins
from hypermm.recording.schema import COLUMNS
from hypermm.recording.write import write_columns
from hypermm.research.evaluate import mid_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypermm.recording import Recording

__all__ = ["features"]

_DEFAULT_LEADER = "BTC"
_FILE_OF = {"book": "orderbooks", "best": "prices", "trade": "trades", "context": "context"}


@click.command()
@click.option("--data", required=True, type=click.Path(), help="Folder of the recording.")
@click.option("--coin", required=True, help="Coin of the recording, such as ETH.")
@click.option("--out", required=True, type=OutFile(".parquet"), help="Parquet file to write.")
@click.option(
    "--cycle-ms", type=FiniteRange(1, 3_600_000), default=500.0, show_default=True, help="Time between cycles."
)
@click.option("--lead", help="Coin of the same folder that leads.  [default: BTC where there is one]")
@click.option("--basis", help="Coin of the same folder to take the basis against.  [default: the recorded oracle]")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
def features(
    data: str,
    coin: str,
    out: str,
    cycle_ms: float,
    lead: str | None,
    basis: str | None,
    instrument_file: str | None,
    as_json: bool,
) -> None:
    """Write the features of a recording.

    One row a cycle: time_ns, mid_price, each feature by its name (missing where it has no value), evidence_NAME for
    what a value rests on, covered_bps_NAME for how much of its band the known levels cover.
    """
    recording = load_recording(data, coin)
    instrument = known_instrument(coin, instrument_file or facts_beside(data))
    if lead is None and coin != _DEFAULT_LEADER and _DEFAULT_LEADER in held_coins(data):
        lead = _DEFAULT_LEADER
    for name, market in (("--lead", lead), ("--basis", basis)):
        if market == coin:
            raise InvalidInputError(field=name, value=coin, expected="another coin than --coin")
    with progress_bar(f"{coin}, features") as advance:
        leader, against = _market(data, lead), _market(data, basis)
        advance(1, 3)
        matrix = hypermm.feature_matrix(
            recording, instrument, cycle_ns=round(cycle_ms * 1e6), lead=leader, basis=against
        )
        advance(2, 3)
    rows = [_row(feature, matrix) for feature in hypermm.feature_table()]
    if not any(row["share"] for row in rows):
        raise InvalidInputError(
            field="recording", value=coin, expected="a book with both sides or prints: no feature has a value"
        )
    columns: dict[str, Any] = {"time_ns": matrix.time_ns, "mid_price": matrix.mid_price} | matrix.values
    columns |= {f"evidence_{name}": values for name, values in matrix.evidence.items()}
    columns |= {f"covered_bps_{name}": values for name, values in matrix.covered_bps.items()}
    write_columns(Path(out), columns)
    silent = {
        "missing_columns": _columns(recording, missing=True),
        "constant_columns": _columns(recording, missing=False),
        "missing_features": [row["feature"] for row in rows if not row["share"]],
        "constant_features": [row["feature"] for row in rows if row["share"] and row["deviation"] == 0.0],
    }
    summary = {
        "coin": coin,
        "lead": lead,
        "basis": basis or "oracle",
        "cycles": len(matrix.time_ns),
        "cycle_ms": cycle_ms,
        "features": rows,
        "file": out,
    } | silent
    if as_json:
        print_json(summary)
        return
    print_table(f"{coin}: {len(matrix.time_ns):,} cycles of {cycle_ms:g} ms", [_shown(row) for row in rows])
    for kind, names in silent.items():
        if names:
            stderr.print(Text(f"{kind.replace('_', ' ')}: {', '.join(names)}"), soft_wrap=True)
    stdout().print(Text(f"wrote {out}", style="dim"), soft_wrap=True)


def _market(data: str, coin: str | None) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Times and mids of another coin of the folder."""
    if not coin:
        return None
    path = mid_path(load_recording(data, coin))
    return path.time_ns, path.mid_price


def _row(feature: hypermm.Feature, matrix: hypermm.FeatureMatrix) -> dict[str, Any]:
    values = matrix.values[feature.name]
    known = values[np.isfinite(values)]
    row: dict[str, Any] = {"feature": feature.name, "tier": feature.tier, "unit": feature.unit}
    row |= {"share": len(known) / len(values) if len(values) else 0.0}
    row |= {
        "mean": float(known.mean()) if len(known) else None,
        "deviation": float(np.ptp(known) and known.std()) if len(known) else None,
    }
    if feature.name in matrix.covered_bps:
        covered = matrix.covered_bps[feature.name]
        row["covered_bps"] = float(np.nanmedian(covered)) if len(known) else None
    else:
        row["covered_bps"] = None
    return row | matrix.statuses[feature.name]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    def short(value: float | None, pattern: str) -> str:
        return "" if value is None else format(value, pattern)

    reasons = [f"{status} {row[status]:,}" for status in ("unseen", "stale", "undefined") if row[status]]
    return {
        "feature": row["feature"],
        "tier": row["tier"],
        "unit": row["unit"],
        "known": f"{row['share']:.1%}",
        "mean": short(row["mean"], ".4g"),
        "deviation": short(row["deviation"], ".4g"),
        "covered_bps": short(row["covered_bps"], ".3g"),
        "no_value_because": ", ".join(reasons),
    }


def _columns(recording: Recording, *, missing: bool) -> list[str]:
    """Columns of the recording that hold nothing, or else those that never change, by file and name."""
    found = []
    for column in COLUMNS.values():
        if column.dtype != "float64":
            continue
        values = np.asarray(getattr(recording, column.name))
        known = values[np.isfinite(values)]
        if (not known.size) if missing else (known.size > 1 and np.ptp(known) == 0.0):
            found.append(f"{_FILE_OF[column.stream]}_{recording.coin}:{column.name}")
    return found
