"""The charts of a run, as plotly figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.research.evaluate import markout_curve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hypermm.research.evaluate import RunView

__all__ = ["ACCENT", "INK", "MUTED", "as_html", "dress", "markout_chart", "sources_chart", "timeline_chart"]

_HORIZONS_S = (0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60)
_MOST_POINTS = 9_000
_BUY, _SELL, INK, MUTED, _GRID = "#0a8f6c", "#d1495b", "#1d2733", "#66727f", "#e8ecf1"
ACCENT, _VIOLET, _AMBER = "#2563eb", "#7c5cd6", "#d98e04"
# Column of the account, name, color, and its sign in profit: fees and funding are columns of what was paid.
_SOURCES = (
    ("spread_capture_usd", "spread capture", _BUY, 1.0),
    ("adverse_selection_usd", "adverse selection", _SELL, 1.0),
    ("inventory_usd", "inventory", _VIOLET, 1.0),
    ("fees_usd", "fees", _AMBER, -1.0),
    ("funding_usd", "funding", MUTED, -1.0),
)


def as_html(figure: Any, name: str) -> str:
    """The chart as a piece of HTML that expects plotly's script on the page."""
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return text


def _clock(time_ns: Any) -> NDArray[np.float64]:
    """Milliseconds since 1970: a date axis reads them, and they take a third of the room of dates as text."""
    milliseconds: NDArray[np.float64] = np.asarray(time_ns, np.int64) / 1e6
    return milliseconds


def _thin(columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Every n-th row, so that the page stays light; the last row is kept."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    rows = len(arrays["time_ns"])
    stride = max(1, -(-rows // _MOST_POINTS))
    keep = np.unique(np.append(np.arange(0, rows, stride), rows - 1)) if rows else np.arange(0)
    return {name: values[keep] for name, values in arrays.items()}


def timeline_chart(view: RunView) -> Any:
    """Price with quotes and fills, inventory, profit by source and drift, one above the other on one clock."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.045,
        row_heights=[0.44, 0.16, 0.22, 0.18],
        subplot_titles=("Price, quotes and fills", "Inventory", "Profit and loss by source", "Drift"),
    )
    quotes = _thin(view.decisions)
    clock = _clock(quotes["time_ns"])
    add = figure.add_trace
    line = {"shape": "hv", "width": 1}
    add(
        go.Scatter(
            x=clock, y=quotes["ask_prices"][:, 0], name="our ask", legend="legend", mode="lines",
            line=line | {"color": "rgba(209,73,91,.55)"}, hoverinfo="skip",
        ),
        row=1, col=1,
    )  # fmt: skip
    add(
        go.Scatter(
            x=clock, y=quotes["bid_prices"][:, 0], name="our bid", legend="legend", mode="lines",
            line=line | {"color": "rgba(10,143,108,.55)"}, hoverinfo="skip",
        ),
        row=1, col=1,
    )  # fmt: skip
    add(
        go.Scatter(
            x=clock, y=quotes["mid_price"], name="mid", legend="legend", mode="lines",
            line=line | {"color": INK, "width": 1.4}, hovertemplate="mid %{y}<extra></extra>",
        ),
        row=1, col=1,
    )  # fmt: skip
    add(
        go.Scatter(
            x=clock, y=quotes["reservation_price"], name="reservation price", legend="legend", mode="lines",
            line=line | {"color": ACCENT, "dash": "dot"}, visible="legendonly",
            hovertemplate="reservation %{y:.6~g}<extra></extra>",
        ),
        row=1, col=1,
    )  # fmt: skip
    _add_fills(figure, view)
    _add_inventory(figure, view, quotes, clock)
    _add_profit(figure, view)
    _add_drift(figure, quotes, clock)
    dress(figure, height=1060)
    # Each legend stands above its own panel, in line with the panel's title.
    tops = [axis.domain[1] for axis in figure.select_yaxes()]
    names = ("legend", "legend2", "legend3", "legend4")
    figure.update_layout(hovermode="x unified", hoversubplots="axis")
    figure.update_layout({name: _legend(top) for name, top in zip(names, tops, strict=True)})
    if len(clock):
        figure.update_xaxes(type="date", range=[clock[0], clock[-1]])
    figure.update_xaxes(showspikes=True, spikemode="across", spikethickness=1, spikecolor=MUTED, spikedash="dot")
    figure.update_yaxes(title_text="price", row=1, col=1)
    figure.update_yaxes(title_text="contracts", row=2, col=1)
    figure.update_yaxes(title_text="USD", row=3, col=1)
    figure.update_yaxes(title_text="bps/s", row=4, col=1)
    for note in figure.layout.annotations:
        note.update(x=0, xanchor="left", font={"size": 13.5, "color": INK, "weight": 600})
    return figure


def _legend(top: float) -> dict[str, Any]:
    return {
        "orientation": "h",
        "x": 1,
        "xanchor": "right",
        "y": top,
        "yanchor": "bottom",
        "font": {"size": 11.5},
        "bgcolor": "rgba(0,0,0,0)",
        "traceorder": "normal",
        "itemsizing": "trace",
    }


def _add_fills(figure: Any, view: RunView) -> None:
    import plotly.graph_objects as go

    side, size = np.asarray(view.fills["side"]), np.asarray(view.fills["size"], float)
    largest = size.max(initial=1e-12)
    for sign, name, symbol, color in ((1, "we bought", "triangle-up", _BUY), (-1, "we sold", "triangle-down", _SELL)):
        ours = side == sign
        figure.add_trace(
            go.Scatter(
                x=_clock(np.asarray(view.fills["time_ns"])[ours]),
                y=np.asarray(view.fills["price"])[ours],
                name=name,
                legend="legend",
                mode="markers",
                marker={
                    "symbol": symbol,
                    "size": 6 + 5 * np.sqrt(size[ours] / largest),
                    "color": color,
                    "opacity": 0.9,
                    "line": {"width": 0.7, "color": "white"},
                },
                customdata=size[ours],
                hovertemplate=f"{name} %{{customdata:.6~g}} at %{{y}}<extra></extra>",
            ),
            row=1,
            col=1,
        )


def _add_inventory(figure: Any, view: RunView, quotes: Mapping[str, Any], clock: Any) -> None:
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(
            x=clock, y=quotes["position"], name="position", legend="legend2", mode="lines",
            line={"shape": "hv", "width": 1.4, "color": ACCENT}, fill="tozeroy", fillcolor="rgba(37,99,235,.10)",
            hovertemplate="position %{y:.6~g}<extra></extra>",
        ),
        row=2, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=clock, y=quotes["target_inventory"], name="target", legend="legend2", mode="lines",
            line={"shape": "hv", "width": 1, "color": _AMBER}, hovertemplate="target %{y:.4~g}<extra></extra>",
        ),
        row=2, col=1,
    )  # fmt: skip
    reach = max(float(np.nanmax(np.abs(np.append(quotes["position"], quotes["target_inventory"])), initial=0.0)), 1e-12)
    if reach > 0.5 * view.max_position:
        for level in (-view.max_position, view.max_position):
            figure.add_hline(y=level, line={"color": _SELL, "width": 1, "dash": "dash"}, row=2, col=1)


def _add_profit(figure: Any, view: RunView) -> None:
    import plotly.graph_objects as go

    thin = _thin(view.equity)
    clock = _clock(thin["time_ns"])
    for name, label, color, sign in _SOURCES:
        if not np.any(thin[name]):
            continue
        figure.add_trace(
            go.Scatter(
                x=clock, y=sign * thin[name], name=label, legend="legend3", mode="lines",
                line={"width": 1.2, "color": color},
                hovertemplate=f"{label} %{{y:+.2f}}<extra></extra>",
            ),
            row=3, col=1,
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=clock, y=thin["profit_usd"], name="profit", legend="legend3", mode="lines",
            line={"width": 2.4, "color": INK},
            hovertemplate="profit %{y:+.2f} USD<extra></extra>",
        ),
        row=3, col=1,
    )  # fmt: skip


def _add_drift(figure: Any, quotes: Mapping[str, Any], clock: Any) -> None:
    import plotly.graph_objects as go

    drift = np.asarray(quotes["drift_bps_per_s"], float)
    deviation = np.sqrt(np.asarray(quotes["drift_variance"], float))
    edge = {"width": 0}
    figure.add_trace(
        go.Scatter(x=clock, y=drift + deviation, mode="lines", line=edge, showlegend=False, hoverinfo="skip"),
        row=4,
        col=1,
    )
    figure.add_trace(
        go.Scatter(
            x=clock, y=drift - deviation, mode="lines", line=edge, fill="tonexty", fillcolor="rgba(124,92,214,.16)",
            name="± one deviation", legend="legend4", hoverinfo="skip",
        ),
        row=4, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=clock, y=drift, mode="lines", line={"width": 1.3, "color": _VIOLET}, name="drift estimate",
            legend="legend4", hovertemplate="drift %{y:+.4f} bps/s<extra></extra>",
        ),
        row=4, col=1,
    )  # fmt: skip


def markout_chart(view: RunView) -> Any:
    """Mean markout of buys, sells and all fills by horizon, with the 95 % band of the last."""
    import plotly.graph_objects as go

    figure = go.Figure()
    side = np.asarray(view.fills["side"])
    for sign, name, color in ((1, "buys", _BUY), (-1, "sells", _SELL), (0, "all fills", INK)):
        mask = side == sign if sign else np.ones(len(side), bool)
        curve = markout_curve(
            {key: np.asarray(values)[mask] for key, values in view.fills.items()}, view.path, _HORIZONS_S
        )
        error = {"array": 1.96 * curve.error_bps, "thickness": 1, "width": 3, "color": color}
        figure.add_trace(
            go.Scatter(
                x=curve.horizon_s, y=curve.mean_bps, name=name, mode="lines+markers",
                line={"color": color, "width": 1.2 if sign else 2.4, "dash": "dot" if sign else None},
                marker={"size": 4 if sign else 6},
                error_y=None if sign else error,
                customdata=curve.fills, hovertemplate="%{y:+.2f} bps, %{customdata} fills",
            )
        )  # fmt: skip
    dress(figure, height=340)
    figure.add_hline(y=0, line={"color": MUTED, "width": 1})
    figure.update_layout(legend=_legend(1.0), hovermode="x unified")
    figure.update_xaxes(title_text="seconds after the fill", type="log", tickvals=[0.5, 1, 2, 5, 10, 20, 30, 60])
    figure.update_yaxes(title_text="bps, + is good for us")
    return figure


def sources_chart(view: RunView) -> Any:
    """Final profit and loss as a waterfall of its sources."""
    import plotly.graph_objects as go

    names = [label.replace(" ", "<br>") for _, label, _, _ in _SOURCES] + ["total"]
    rows = len(view.equity["time_ns"])
    # Adding zero turns -0.0 into 0.0.
    values = [sign * float(view.equity[name][-1]) + 0.0 if rows else 0.0 for name, _, _, sign in _SOURCES]
    total = float(view.equity["profit_usd"][-1]) if rows else 0.0
    figure = go.Figure(
        go.Waterfall(
            x=names,
            y=[*values, total],
            measure=["relative"] * len(values) + ["total"],
            text=[f"{round(value, 2) + 0.0:+,.2f}" for value in [*values, total]],
            textposition="outside",
            textfont={"size": 12},
            cliponaxis=False,
            increasing={"marker": {"color": _BUY}},
            decreasing={"marker": {"color": _SELL}},
            totals={"marker": {"color": INK}},
            connector={"line": {"color": _GRID}},
            hovertemplate="%{x} %{text} USD<extra></extra>",
        )
    )
    dress(figure, height=340)
    figure.update_layout(showlegend=False, waterfallgap=0.35)
    figure.update_xaxes(tickangle=0, tickfont={"color": INK})
    figure.update_yaxes(title_text="USD")
    return figure


def dress(figure: Any, *, height: int) -> None:
    """The look that all charts share."""
    figure.update_layout(
        height=height,
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 66, "r": 18, "t": 34, "b": 40},
        font={"family": "Inter, system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 12, "color": INK},
        hoverlabel={"bgcolor": "white", "bordercolor": _GRID, "font": {"size": 12}},
    )
    figure.update_xaxes(
        title_font={"color": MUTED, "size": 11},
        showgrid=False,
        zeroline=False,
        linecolor=_GRID,
        ticks="outside",
        tickcolor=_GRID,
        tickfont={"color": MUTED},
    )
    figure.update_yaxes(
        gridcolor=_GRID,
        zeroline=True,
        zerolinecolor="#d3dae2",
        tickfont={"color": MUTED},
        title_font={"color": MUTED, "size": 11},
    )
