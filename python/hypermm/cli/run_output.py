"""What a run leaves: its Parquet files and page, its warnings and the table a trader reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from hypermm.cli.output import print_table, stderr, stdout
from hypermm.exceptions import MissingDependencyError
from hypermm.recording.write import write_columns
from hypermm.research.evaluate import RunView, mid_path
from hypermm.research.report import write_report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import hypermm
    from hypermm.recording import Recording
    from hypermm.research.views import FillView

__all__ = ["Played", "flat_columns", "print_run", "warn", "write_run"]

# A warning is due when more than this share of the quote cycles deserved it.
_MOSTLY = 0.5
_HORIZONS = ("0.5s", "1s", "5s", "10s", "30s", "60s")


class Played(NamedTuple):
    """A run that is over.

    Attributes:
        title: Heading of table and page.
        recording: The market as it was heard.
        instrument: Facts of the contract.
        config: Configuration of the engine.
        settings: Settings of the run to show, by name.
        result: What came of it.
        summary: Its numbers, to which the command adds.
        views: The run under other fill models.
    """

    title: str
    recording: Recording
    instrument: hypermm.Instrument
    config: hypermm.EngineConfig
    settings: Mapping[str, Any]
    result: hypermm.BacktestResult
    summary: dict[str, Any]
    views: Sequence[FillView] = ()


def write_run(played: Played, folder: Path) -> list[Path]:
    """Writes fills, decisions and the page into `folder`, each whole or not at all.

    Returns:
        The files written; without plotly and jinja2 there is no page, which is said on stderr.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fills, decisions, page = folder / "fills.parquet", folder / "decisions.parquet", folder / "report.html"
    write_columns(fills, flat_columns(played.result.fills))
    write_columns(decisions, flat_columns(played.result.decisions))
    view = RunView(
        coin=played.recording.coin,
        title=played.title,
        summary=played.summary,
        fills=played.result.fills,
        decisions=played.result.decisions,
        equity=played.result.equity,
        path=mid_path(played.recording),
        max_position=played.config.max_position,
        settings=played.config.to_dict() | dict(played.settings),
    )
    try:
        write_report(view, page)
    except MissingDependencyError as error:
        stderr.print(f"no page: {error}")
        return [fills, decisions]
    return [fills, decisions, page]


def warn(played: Played) -> None:
    """Says on stderr why a run may not have been what was meant."""
    summary, config = played.summary, played.config
    if summary["quote_cycles"] and not summary["orders_placed"]:
        stderr.print(
            Text(
                f"no order was placed: at max_position = {config.max_position:g} no order reaches the smallest value, "
                f"{played.instrument.min_notional:g} USD, or no book was usable"
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


def print_run(played: Played, written: Sequence[Path]) -> None:
    """Prints the tables of a run and the files it left."""
    _print_summary(played)
    if played.views:
        print_table("Fill models", [_view_row(view) for view in played.views])
    stdout().print(Text("wrote " + ", ".join(map(str, written)), style="dim"), soft_wrap=True)


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


def _print_summary(played: Played) -> None:
    """The table a trader reads: where the profit came from, what was traded, what the market did afterwards."""
    title, recording, summary = played.title, played.recording, played.summary
    markouts = summary.get("markout_bps") or {}

    def number(name: str, pattern: str = "{:,}") -> Text:
        value = summary.get(name)
        return Text("–" if value is None else pattern.format(value))

    def money(name: str, sign: float = 1.0) -> Text:
        value = summary.get(name)
        return _signed(None if value is None else sign * value, "{:+,.2f}")

    largest = number("max_abs_position", "{:.6g}").append(f" of {played.config.max_position:.6g}")
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
    if watch := summary.get("watch"):
        table.caption += (
            f"\nthe venue saw at most {watch['max_long']:.6g} long and {watch['max_short']:.6g} short, "
            f"{watch['max_long_with_orders']:.6g} and {watch['max_short_with_orders']:.6g} with open orders filled; "
            f"an order that reduces rested in {100 * watch['reducing_share']:.1f} % of the blocks with a position"
        )
    table.caption_justify = "left"
    stdout().print(table)


def _signed(value: float | None, pattern: str = "{:+.2f}") -> Text:
    if value is None or not np.isfinite(value):
        return Text("–")
    text = pattern.format(round(value, 2) + 0.0)  # adding zero turns -0.0 into 0.0
    return Text(text, style="green" if value > 0 else "red" if value < 0 else "")
