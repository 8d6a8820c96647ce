"""`hypermm backtest`: replays a recording to the engine, prints what it earned, writes fills, decisions and a page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

import hypermm
from hypermm.cli.output import json_option, print_json, print_table, progress_bar, stderr, stdout
from hypermm.config import RunConfig, Settings, load_settings
from hypermm.exceptions import MissingDependencyError
from hypermm.recording import load_recording
from hypermm.recording.instruments import instrument_facts
from hypermm.recording.write import write_columns
from hypermm.research.evaluate import RunView, mid_path
from hypermm.research.report import write_report
from hypermm.research.views import FillView, fill_views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypermm.recording import Recording

__all__ = ["backtest", "known_instrument", "run_backtest"]

_MOST_EVENTS_TIMED_AGAIN = 5_000_000
# A warning is due when more than this share of the quote cycles deserved it.
_MOSTLY = 0.5
_HORIZONS = ("0.5s", "1s", "5s", "10s", "30s", "60s")


@click.command()
@click.option("--data", required=True, type=click.Path(), help="Folder of the recording.")
@click.option("--coin", required=True, help="Coin of the recording, such as ETH.")
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), help=f"Seed of every draw.  [default: {RunConfig().seed}]")
@click.option(
    "--cycle-ms", type=click.FloatRange(0, 60_000), help="Least time between quotes; 0: every event.  [default: 250]"
)
@click.option(
    "--fill-model",
    type=click.Choice(["paper", "default", "risk_averse", "power", "log"]),
    help="What fills our orders.  [default: paper]",
)
@click.option("--views/--no-views", default=True, help="Report the run under three fill models.  [default: views]")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder for the results.  [default: out/COIN]")
@json_option
def backtest(
    data: str,
    coin: str,
    config_file: str | None,
    overrides: tuple[str, ...],
    seed: int | None,
    cycle_ms: float | None,
    fill_model: str | None,
    views: bool,
    instrument_file: str | None,
    out: str | None,
    as_json: bool,
) -> None:
    """Replay a recording to the engine and judge its quotes.

    Without max_position in the settings, the cap is max_position_usd (10,000 USD) at the first mid.
    """
    given = {"run.seed": seed, "run.cycle_ms": cycle_ms, "run.fill_model": fill_model}
    flags = [f"{name}={value}" for name, value in given.items() if value is not None]
    settings = load_settings(config_file, [*overrides, *flags])
    recording = load_recording(data, coin)
    instrument = known_instrument(coin, instrument_file)
    folder = Path(out) if out else Path("out") / coin.replace(":", "-")
    title = f"{coin}, recorded"
    summary = run_backtest(recording, instrument, settings, folder, title, as_json=as_json, views=views)
    if as_json:
        print_json(summary)


def known_instrument(coin: str, instrument_file: str | None = None) -> hypermm.Instrument:
    """The instrument of the packaged facts, or of a file of the user's own.

    Raises:
        UnknownCoinError: Neither knows the coin.
    """
    facts = instrument_facts(coin, instrument_file)
    return hypermm.Instrument(
        coin,
        facts.size_decimals,
        facts.max_leverage,
        min_notional=facts.min_notional,
        funding_interval_s=facts.funding_interval_s,
    )


def run_backtest(
    recording: Recording,
    instrument: hypermm.Instrument,
    settings: Settings,
    folder: Path,
    title: str,
    *,
    as_json: bool,
    views: bool = True,
) -> dict[str, Any]:
    """Runs one backtest, writes its files into `folder`, prints the table unless `as_json`, returns the summary."""
    begin = time.perf_counter()
    path = mid_path(recording)
    cap = instrument.round_size(settings.run.max_position_usd / float(path.mid_price[0]))
    config = settings.engine_config(max_position=cap)
    arguments: dict[str, Any] = {
        "seed": settings.run.seed,
        "cycle_ns": settings.run.cycle_ns,
        "latency": (round(settings.run.to_venue_ms * 1e6), round(settings.run.acknowledge_ms * 1e6)),
    }
    with progress_bar(title) as advance:
        result = hypermm.backtest(
            recording, instrument, config, fill_model=settings.run.fills_by, progress=advance, **arguments
        )
    summary = result.summary()
    if recording.events <= _MOST_EVENTS_TIMED_AGAIN:
        # Speed is that of engine and venue over arrays in memory: once more without the log of decisions.
        bare = hypermm.backtest(
            recording, instrument, config, fill_model=settings.run.fills_by, log_decisions=False, **arguments
        )
        summary["events_per_s"] = bare.summary()["events_per_s"]
    if views:
        exponent = settings.run.cancel_exponent
        by_model = fill_views(recording, instrument, config, cancel_exponent=exponent, **arguments)
        summary["views"] = [view._asdict() for view in by_model]
    folder.mkdir(parents=True, exist_ok=True)
    write_columns(folder / "fills.parquet", flat_columns(result.fills))
    write_columns(folder / "decisions.parquet", flat_columns(result.decisions))
    view = RunView(
        coin=recording.coin,
        title=title,
        summary=summary,
        fills=result.fills,
        decisions=result.decisions,
        equity=result.equity,
        path=path,
        max_position=config.max_position,
        settings=config.to_dict() | {name: getattr(settings.run, name) for name in settings.run.__struct_fields__},
    )
    if summary["quote_cycles"] and not summary["orders_placed"]:
        stderr.print(
            Text(
                f"no order was placed: at max_position = {config.max_position:g} no order reaches the smallest value, "
                f"{instrument.min_notional:g} USD, or no book was usable"
            ),
            soft_wrap=True,
        )
    share = summary["risk_aversion_too_high_share"]
    if share > _MOSTLY:
        stderr.print(
            Text(
                f"risk_aversion = {config.risk_aversion:g} is too high for the flow in {share:.0%} of the quote cycles "
                f"(validity above 2): quotes are wider and thinner than they need be"
            ),
            soft_wrap=True,
        )
    page: Path | None = folder / "report.html"
    try:
        write_report(view, folder / "report.html")
    except MissingDependencyError as error:
        page = None
        stderr.print(f"no page: {error}")
    summary["wall_s"] = time.perf_counter() - begin
    if not as_json:
        print_summary(title, recording, summary, config.max_position)
        if views:
            print_table("Fill models", [_view_row(view) for view in by_model])
        written = [folder / "fills.parquet", folder / "decisions.parquet", *([page] if page else [])]
        stdout().print(Text("wrote " + ", ".join(map(str, written)), style="dim"), soft_wrap=True)
    return summary


def _view_row(view: FillView) -> dict[str, str | int]:
    def signed(value: float | None) -> str:
        return "–" if value is None else f"{value:+.2f}"

    return {
        "view": view.view,
        "fills": view.fills,
        "volume, USD": f"{view.volume_usd:,.0f}",
        "PnL, USD": signed(view.pnl_usd),
        "edge after fees, bps": signed(view.edge_bps),
        "markout 10 s, bps": signed(view.markout_bps),
        "fill model": view.fill_model,
    }


def flat_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of one dimension: ladders become name_0, name_1, ..., horizons name_0.5s, ..."""
    flat: dict[str, Any] = {}
    for name, values in columns.items():
        array = np.asarray(values)
        if array.ndim == 1:
            flat[name] = array
            continue
        by_horizon = name.endswith("_bps") and array.shape[1] == len(_HORIZONS)
        names = _HORIZONS if by_horizon else [str(level) for level in range(array.shape[1])]
        flat |= {f"{name}_{suffix}": np.ascontiguousarray(array[:, index]) for index, suffix in enumerate(names)}
    return flat


def print_summary(title: str, recording: Recording, summary: Mapping[str, Any], max_position: float) -> None:
    """The table a trader reads: where the profit came from, what was traded, what the market did afterwards."""
    markouts = summary.get("markout_bps") or {}

    def number(name: str, pattern: str = "{:,}") -> Text:
        value = summary.get(name)
        return Text("–" if value is None else pattern.format(value))

    def money(name: str, sign: float = 1.0) -> Text:
        value = summary.get(name)
        return _signed(None if value is None else sign * value, "{:+,.2f}")

    largest = number("max_abs_position", "{:.6g}").append(f" of {max_position:.6g}")
    share = summary.get("two_sided_share")
    profit = [
        ("PnL, USD", money("pnl_usd")),
        ("  spread capture", money("spread_capture_usd")),
        ("  adverse selection", money("adverse_selection_usd")),
        ("  inventory", money("inventory_usd")),
        ("  fees", money("fees_usd", -1.0)),
        ("  funding", money("funding_usd", -1.0)),
    ]
    activity = [
        ("fills", number("fills")),
        ("bought / sold", number("buy_fills").append(" / ").append(number("sell_fills"))),
        ("volume, USD", number("volume_usd", "{:,.0f}")),
        ("largest position", largest),
        ("final position", number("final_position", "{:.6g}")),
        ("quoted both sides", Text("–" if share is None else f"{100 * share:.1f} %")),
    ]
    quality = [
        ("edge after fees, bps", _signed(summary.get("edge_bps"))),
        *((f"markout {horizon[:-1]} s, bps", _signed(markouts.get(horizon))) for horizon in _HORIZONS[1:]),
    ]
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title_justify="left")
    table.title = f"{title}: {recording.span_s / 60:.1f} min, {recording.events:,} events"
    for index in range(6):
        table.add_column(justify="right" if index % 2 else "left", style="" if index % 2 else "dim")
    for row in zip(profit, activity, quality, strict=True):
        table.add_row(*(cell for pair in row for cell in pair))
    speed = summary.get("events_per_s")
    table.caption = f"{summary.get('quote_cycles', 0):,} quote cycles" + (f", {speed:,.0f} events/s" if speed else "")
    table.caption_justify = "left"
    stdout().print(table)


def _signed(value: float | None, pattern: str = "{:+.2f}") -> Text:
    if value is None or not np.isfinite(value):
        return Text("–")
    text = pattern.format(round(value, 2) + 0.0)  # adding zero turns -0.0 into 0.0
    return Text(text, style="green" if value > 0 else "red" if value < 0 else "")
