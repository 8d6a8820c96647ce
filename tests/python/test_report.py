"""The page of a run: whole without a network, safe with odd names, drawn even when nothing filled."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest

from hypermm.exceptions import MissingDependencyError
from hypermm.research.charts import timeline_chart
from hypermm.research.evaluate import MidPath, RunView
from hypermm.research.report import render_report

BEGIN = 1_757_000_000_000_000_000
ROWS = 400


def _view(fills: int, **changes: Any) -> RunView:
    time_ns = BEGIN + np.arange(ROWS, dtype="int64") * 250_000_000
    mid = 100.0 + np.cumsum(np.random.default_rng(1).normal(0.0, 0.01, ROWS))
    ladder = np.column_stack([mid - 0.02, mid - 0.04])
    ladder[5] = np.nan  # a cycle without a book
    filled = np.linspace(10, ROWS - 10, fills).astype(int)
    side = np.where(np.arange(fills) % 2, 1, -1).astype("int8")
    zero = np.zeros(ROWS)
    values: dict[str, Any] = {
        "coin": "ETH",
        "title": "ETH <recorded> & judged",
        "summary": {
            "fills": fills,
            "pnl_usd": 1.5,
            "edge_bps": None,
            "markout_bps": {"10s": float("nan")},
            "events": 9,
            "start_ns": BEGIN,
        },
        "fills": {
            "time_ns": time_ns[filled],
            "side": side,
            "price": mid[filled],
            "size": np.full(fills, 0.5),
            "mid_at_fill": mid[filled],
            "mid_at_placement": mid[filled],
        },
        "decisions": {
            "time_ns": time_ns,
            "mid_price": mid,
            "reservation_price": mid,
            "bid_prices": ladder,
            "ask_prices": ladder + 0.06,
            "position": zero,
            "target_inventory": zero,
            "drift_bps_per_s": zero,
            "drift_variance": zero + 0.01,
        },
        "equity": {"time_ns": time_ns, "profit_usd": zero}
        | {f"{name}_usd": zero for name in ("spread_capture", "adverse_selection", "inventory", "fees", "funding")},
        "path": MidPath(time_ns, mid),
        "max_position": 2.0,
        "settings": {"seed": 0, "clip": None},
    }
    return RunView(**(values | changes))


@pytest.mark.parametrize("fills", [0, 1, 40])
def test_page_is_whole_and_needs_no_network(fills: int) -> None:
    page = render_report(_view(fills))
    assert page.count("Plotly.newPlot(") >= 3
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", page)
    for words in ("Price, quotes and fills", "Inventory", "Profit and loss by source", "Drift", "Markout"):
        assert words in page


def test_names_are_escaped() -> None:
    page = render_report(_view(3))
    assert "<recorded>" not in page
    assert "ETH &lt;recorded&gt; &amp; judged" in page


def test_what_is_not_known_is_a_dash() -> None:
    page = render_report(_view(3))
    cards = re.findall(r'<div class="card"><span>(.*?)</span><strong class="(.*?)">(.*?)</strong>', page)
    shown = {label: value for label, _, value in cards}
    assert shown["Edge after fees, 10 s"] == "–"
    assert shown["Markout, 10 s"] == "–"
    assert shown["Profit and loss"] == "+1.50 USD"


def test_times_are_read_as_times() -> None:
    assert "<span>start UTC</span><span>2025-09-04 15:33:20</span>" in render_report(_view(3))


def test_no_legend_lies_on_a_chart() -> None:
    layout = timeline_chart(_view(3)).layout
    for index in ("", "2", "3", "4"):
        legend = layout[f"legend{index}"]
        assert (legend.y, legend.yanchor) == (layout[f"yaxis{index}"].domain[1], "bottom")


def test_without_plotly_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingDependencyError) as caught:
        render_report(_view(1))
    assert "hypermm[report]" in caught.value.hint
