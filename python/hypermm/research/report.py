"""The HTML page of a run: what was quoted, what filled, what was held, what it earned and from where.

One file that needs no network: plotly's script is inside it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.recording.whole_file import whole_file
from hypermm.research.charts import as_html, markout_chart, sources_chart, timeline_chart
from hypermm.research.page import page_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hypermm.research.evaluate import RunView

__all__ = ["render_report", "write_report"]

_KINDS = {
    "all": "",
    "side": "Our side",
    "level": "Level at placement",
    "age": "Age at the fill",
    "regime": "Volatility regime",
    "cancel_race": "Cancel race",
}
_NAMES = {
    ("all", "all"): "all fills",
    ("side", "buy"): "we bought",
    ("side", "sell"): "we sold",
    ("cancel_race", "no"): "no cancel under way",
    ("cancel_race", "yes"): "after the cancel was sent",
}
_HORIZON = "10s"
# A mean further than this many standard errors from zero, of no fewer fills, is colored: the rest may be chance.
_CLEAR = 1.96
_ENOUGH_FILLS = 10


def write_report(view: RunView, path: Path) -> None:
    """Writes the page.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    page = render_report(view)
    with whole_file(path) as part:
        part.write_text(page, "utf-8")


def render_report(view: RunView) -> str:
    """The page as text.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    page = page_of("report.html.j2")
    return page(
        view=view,
        cards=_cards(view),
        by_group=_by_group(view.summary),
        by_horizon=_by_horizon(view.summary),
        rows=[(name.replace("_", " "), _shown(value)) for name, value in _flat(view.summary)],
        settings=[(name, _shown(value)) for name, value in view.settings.items()],
        span=_span(view),
        timeline=as_html(timeline_chart(view), "timeline"),
        markout=as_html(markout_chart(view), "markout"),
        sources=as_html(sources_chart(view), "sources"),
    )


def _span(view: RunView) -> str:
    times = np.asarray(view.decisions["time_ns"])
    if not len(times):
        return "no quotes"
    begin, end = (datetime.fromtimestamp(int(time) / 1e9, UTC) for time in (times[0], times[-1]))
    return f"{begin:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC, {(end - begin).total_seconds() / 60:.1f} minutes"


def _flat(summary: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in summary.items():
        if name == "breakdown":  # has tables of its own
            continue
        if isinstance(value, dict):
            rows += [(f"{name} {key}", item) for key, item in value.items()]
        elif name.endswith("_ns") and isinstance(value, int):
            rows.append(
                (name.removesuffix("_ns") + " UTC", f"{datetime.fromtimestamp(value / 1e9, UTC):%Y-%m-%d %H:%M:%S}")
            )
        else:
            rows.append((name, value))
    return rows


def _cards(view: RunView) -> list[dict[str, str]]:
    """The figures a trader looks at first."""
    get = view.summary.get
    markouts = get("markout_bps") or {}

    def card(label: str, value: float | None, pattern: str, note: str = "", *, signed: bool = False) -> dict[str, str]:
        if value is None or not np.isfinite(value):
            return {"label": label, "value": "–", "note": note, "tone": ""}
        tone = ("good" if value > 0 else "bad" if value < 0 else "") if signed else ""
        return {"label": label, "value": pattern.format(value), "note": note, "tone": tone}

    return [
        card("Profit and loss", get("pnl_usd"), "{:+,.2f} USD", f"fees {_money(get('fees_usd'))}", signed=True),
        card("Edge after fees, 10 s", get("edge_bps"), "{:+.2f} bps", "size-weighted, per fill", signed=True),
        card("Markout, 10 s", markouts.get("10s"), "{:+.2f} bps", "from the mid at the fill", signed=True),
        card("Fills", get("fills"), "{:,.0f}", f"{get('buy_fills', 0):,} bought, {get('sell_fills', 0):,} sold"),
        card("Volume", get("volume_usd"), "{:,.0f} USD", ""),
        card("Largest position", get("max_abs_position"), "{:.6g}", f"of {view.max_position:.6g} allowed"),
        card(
            "Two-sided",
            100 * (get("two_sided_share") or 0.0),
            "{:.1f} %",
            f"of {get('quote_cycles', 0):,} quote cycles",
        ),
    ]


def _by_group(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table "Where the edge comes from", at 10 s; the first row of each kind names it."""
    rows: list[dict[str, Any]] = []
    for kind, groups in (summary.get("breakdown") or {}).items():
        cells = {name: horizons[_HORIZON] for name, horizons in groups.items() if horizons[_HORIZON]}
        for index, (name, cell) in enumerate(cells.items()):
            shown = _age(name) if kind == "age" else _NAMES.get((kind, name), name)
            rows.append({"kind": _KINDS[kind] if index == 0 else "", "first": index == 0, "name": shown, **_cell(cell)})
    return rows


def _age(name: str) -> str:
    """An age class for readers: 2-10s becomes 2–10 s."""
    return name.replace("s", " s").replace("-", "–").replace("<", "below ").replace(">=", "from ")


def _by_horizon(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of all fills by horizon."""
    horizons = (summary.get("breakdown") or {}).get("all", {}).get("all", {})
    left_out = summary.get("left_out") or {}
    return [
        {"name": name.replace("s", " s"), "left_out": _shown(left_out.get(name)), **_cell(cell)}
        for name, cell in horizons.items()
        if cell
    ]


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """One cell of the breakdown as text, with its means colored where they are clear of zero."""
    shown: dict[str, Any] = {
        "fills": f"{cell['fills']:,}",
        "volume": f"{cell['volume_usd']:,.0f}",
        "depth": _signed(cell["depth_bps"]),
        "adverse_selection": _signed(-cell["adverse_selection_bps"]),
        "costs": _signed(cell["edge_bps"] + cell["adverse_selection_bps"] - cell["depth_bps"]),
        "adverse_share": f"{100 * cell['adverse_share']:.0f} %",
    }
    for name in ("edge", "markout"):
        mean, error = cell[f"{name}_bps"], cell[f"{name}_error_bps"]
        clear = error is not None and cell["fills"] >= _ENOUGH_FILLS and abs(mean) > _CLEAR * error
        shown[name] = _signed(mean)
        shown[f"{name}_error"] = "" if error is None else f"± {error:.2f}"
        shown[f"{name}_tone"] = "" if not clear else "good" if mean > 0 else "bad"
    return shown


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # adding zero turns -0.0 into 0.0


def _money(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f} USD"


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.6g}"
