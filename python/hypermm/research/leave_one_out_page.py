"""The page of leaving features out: gains with their intervals, the threshold, and every verdict with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypermm.recording.whole_file import whole_file
from hypermm.research.charts import ACCENT, INK, MUTED, as_html, dress
from hypermm.research.leave_one_out import LEAST_GAIN
from hypermm.research.page import page_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypermm.research.leave_one_out import LeftOut

__all__ = ["write_left_out"]

_COLORS = {"in": ACCENT, "out": MUTED, "not settled": INK}


def write_left_out(rows: Sequence[LeftOut], title: str, path: Path) -> None:
    """Writes the page.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    page = page_of("leave_one_out.html.j2")(
        title=title,
        note=f"{rows[0].days:.3g} days" if rows else "no feature",
        chart=as_html(_chart(rows), "gains"),
        heads=["feature", "verdict", "Sharpe ratio", "gain", "from", "to", "why", "the gate"],
        rows=[
            [
                row.feature,
                row.verdict,
                f"{row.sharpe:.3f}",
                *(f"{number:+.3f}" for number in row.gain),
                row.reason,
                row.gate,
            ]
            for row in rows
        ],
    )
    with whole_file(path) as part:
        part.write_text(page, "utf-8")


def _chart(rows: Sequence[LeftOut]) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    for verdict, color in _COLORS.items():
        of_it = [row for row in rows if row.verdict == verdict]
        figure.add_trace(
            go.Scatter(
                x=[row.gain[0] for row in of_it],
                y=[row.feature for row in of_it],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [row.gain[2] - row.gain[0] for row in of_it],
                    "arrayminus": [row.gain[0] - row.gain[1] for row in of_it],
                    "thickness": 1.2,
                },
                name=verdict,
                mode="markers",
                marker={"color": color, "size": 8},
            )
        )
    dress(figure, height=140 + 24 * len(rows))
    figure.add_vline(x=LEAST_GAIN, line={"color": INK, "dash": "dash", "width": 1})
    figure.update_yaxes(categoryorder="array", categoryarray=[row.feature for row in reversed(rows)])
    figure.update_xaxes(title_text="Sharpe ratio of a day, with less without")
    return figure
