"""The page of a tuning: the Pareto front, what it does in the fold held out, and the walk forward through the folds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypermm.recording.whole_file import whole_file
from hypermm.research.charts import ACCENT, INK, MUTED, as_html, dress
from hypermm.research.page import page_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypermm.research.tune import TriedPoint, TuneResult, WalkStep

__all__ = ["render_tuning", "write_tuning"]

_LABELS = {
    "edge_bps": "edge, bps",
    "markout_bps": "markout 10 s, bps",
    "pnl_usd": "profit, USD",
    "volume_usd": "volume, USD",
    "fills": "fills",
    "max_drawdown": "largest drawdown, USD",
    "max_abs_position": "largest position, contracts",
    "adverse_share": "adverse share",
}


def write_tuning(result: TuneResult, title: str, path: Path, in_sample: Sequence[bool] = ()) -> None:
    """Writes the page.

    Args:
        result: What tuning found.
        title: Of the page.
        path: Where to.
        in_sample: By fold, whether a calibration in the configurations was fitted to it or to what came later.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    page = render_tuning(result, title, in_sample)
    with whole_file(path) as part:
        part.write_text(page, "utf-8")


def render_tuning(result: TuneResult, title: str, in_sample: Sequence[bool] = ()) -> str:
    """The page as text.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    page = page_of("tune.html.j2")
    labels = [_LABELS[name] for name in result.objectives]
    fields = list(result.front[0].fields) if result.front else []
    return page(
        title=title,
        warning=_warning(in_sample),
        note=f"{len(result.points)} trials over {len(result.spans) - 1} folds, 1 held out",
        front_chart=as_html(_front_chart(result, labels), "front"),
        front_heads=["trial", *fields, *labels, *(f"held out: {label}" for label in labels)],
        front_rows=[
            _row("base", ["" for _ in fields], result.base),
            *(_row(str(point.trial), point.fields.values(), point) for point in result.front),
        ],
        leader=labels[0] if labels else "",
        walk_heads=[
            "fold",
            "chosen among",
            "trial",
            *(f"before: {label}" for label in labels),
            *(f"in it: {label}" for label in labels),
            *(f"base: {label}" for label in labels),
        ],
        walk_rows=[
            [
                _span(result.spans[step.fold]),
                _candidates(result, step),
                str(step.trial),
                *map(_shown, (*step.before, *step.after, *step.base)),
            ]
            for step in result.walk
        ],
        footer="Each fold is a run of its own, from the priors on.",
    )


def _warning(in_sample: Sequence[bool]) -> str:
    if not any(in_sample):
        return ""
    folds = ", ".join(str(fold) for fold, is_in in enumerate(in_sample) if is_in)
    held_out = "the one held out among them" if in_sample[-1] else "the one held out is not among them"
    return (
        f"In-sample: the calibration was fitted to folds {folds} of 0 to {len(in_sample) - 1}, or to what came after "
        f"them; {held_out}. What is found there says little of other days."
    )


def _row(name: str, fields: Any, point: TriedPoint) -> list[str]:
    return [name, *map(_shown, fields), *map(_shown, point.values), *map(_shown, point.held_out)]


def _candidates(result: TuneResult, step: WalkStep) -> str:
    is_last = step.fold == len(result.spans) - 1
    return f"all {step.candidates}, held out" if is_last else f"{step.candidates} at random"


def _span(span: tuple[int, int]) -> str:
    begin, end = (datetime.fromtimestamp(time_ns / 1e9, UTC) for time_ns in span)
    return f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, (str, bool)):
        return str(value)
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _front_chart(result: TuneResult, labels: Sequence[str]) -> Any:
    """Trials by their first two objectives; by their number where there is one objective only."""
    import plotly.graph_objects as go

    figure = go.Figure()
    behind = [point for point in result.points if not point.held_out]
    for name, points, color, size in (
        ("trials", behind, MUTED, 6),
        ("front", result.front, ACCENT, 10),
        ("base", [result.base], INK, 11),
    ):
        figure.add_trace(
            go.Scatter(
                x=[point.values[1] if len(labels) > 1 else point.trial for point in points],
                y=[point.values[0] for point in points],
                name=name,
                mode="markers",
                marker={"size": size, "color": color, "symbol": "diamond" if name == "base" else "circle"},
                text=[_hover(point) for point in points],
                hovertemplate="%{text}<br>%{y:.4~g}, %{x:.4~g}<extra></extra>",
            )
        )
    dress(figure, height=420)
    figure.update_xaxes(title_text=labels[1] if len(labels) > 1 else "trial")
    figure.update_yaxes(title_text=labels[0])
    return figure


def _hover(point: TriedPoint) -> str:
    fields = "<br>".join(f"{name} {_shown(value)}" for name, value in point.fields.items())
    return f"trial {point.trial}<br>{fields}" if point.fields else "base"
