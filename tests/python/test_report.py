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


def _cell(**changes: Any) -> dict[str, Any]:
    cell = {
        "fills": 40,
        "volume_usd": 12_345.6,
        "depth_bps": 3.0,
        "adverse_selection_bps": 1.25,
        "edge_bps": 0.25,
        "edge_error_bps": 0.1,
        "markout_bps": -0.75,
        "markout_error_bps": 0.5,
        "adverse_share": 0.125,
    }
    return cell | changes


def _tables(page: str) -> list[list[list[str]]]:
    rows = [
        re.findall(r"<tr.*?</tr>", table, re.DOTALL) for table in re.findall(r"<table>.*?</table>", page, re.DOTALL)
    ]
    return [[re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row) for row in table] for table in rows]


# Kills: adverse selection shown as a gain, costs that leave a rest, another horizon's cell, a kind named twice.
def test_the_edge_is_laid_out_by_group_and_by_horizon() -> None:
    one = _cell(fills=1, edge_error_bps=None, markout_error_bps=None)
    breakdown = {
        "all": {"all": {"5s": _cell(edge_bps=9.0), "10s": _cell(), "30s": None}},
        "side": {"buy": {"10s": _cell()}, "sell": {"10s": None}},
        "age": {"<0.5s": {"10s": one}, "0.5-2s": {"10s": _cell(edge_bps=-0.0)}, ">=60s": {"10s": _cell()}},
        "cancel_race": {"yes": {"10s": _cell()}},
    }
    summary = {"breakdown": breakdown, "left_out": {"5s": 0, "10s": 2, "30s": 4}}
    page = render_report(_view(3, summary=summary))
    by_group, by_horizon = _tables(page)
    costs = "-1.50"  # 0.25 = 3 − 1.25 − 1.50
    numbers = ["40", "12,346", "+3.00", "-1.25", costs, "+0.25", "± 0.10", "-0.75", "± 0.50", "12 %"]
    assert by_group[1] == ["", "all fills", *numbers]
    assert [row[:2] for row in by_group[2:]] == [
        ["Our side", "we bought"],
        ["Age at the fill", "below 0.5 s"],
        ["", "0.5–2 s"],
        ["", "from 60 s"],
        ["Cancel race", "after the cancel was sent"],
    ]
    assert by_group[3][7:11] == ["+0.25", "", "-0.75", ""]
    assert by_group[4][7] == "+0.00"
    assert [row[:3] for row in by_horizon[1:]] == [["5 s", "40", "0"], ["10 s", "40", "2"]]
    assert by_horizon[1][4] == "+9.00"
    assert "breakdown all" not in page


# Kills: chance shown in color: few fills, or a mean within two standard errors of zero.
def test_only_a_mean_that_is_clear_of_zero_is_colored() -> None:
    groups = {
        "0": {"10s": _cell()},
        "1": {"10s": _cell(fills=9)},
        "2": {"10s": _cell(edge_bps=-0.19)},
        "3": {"10s": _cell(edge_bps=-0.2, fills=10)},
    }
    page = render_report(_view(3, summary={"breakdown": {"level": groups}}))
    assert re.findall(r'<td class="(good|bad|)">([-+0-9.]+)</td><td class="error">± 0.10', page) == [
        ("good", "+0.25"),
        ("", "+0.25"),
        ("", "-0.19"),
        ("bad", "-0.20"),
    ]


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
