"""Three views of one run, and the fill models by name."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hypermm
from hypermm.cli.root import run
from hypermm.recording import Recording
from hypermm.recording.write import write_recording
from hypermm.research.views import fill_views

if TYPE_CHECKING:
    from pathlib import Path

INSTRUMENT = hypermm.Instrument("ETH", 4, 25)
CONFIG = hypermm.EngineConfig(max_position=2.0)


class Joins:
    """Joins the best bid and offer with a contract each."""

    clip = 1.0

    def __init__(self) -> None:
        self.best: tuple[float, float] | None = None

    def on_event(self, event: Any) -> None:
        if event.kind == "best":
            self.best = (event.bid_price, event.ask_price)

    def quote(self, _time_ns: int) -> Any:
        if self.best is None:
            return None
        bid, ask = (SimpleNamespace(prices=[price], sizes=[1.0]) for price in self.best)
        return SimpleNamespace(bids=bid, asks=ask)


@pytest.fixture(scope="module")
def thin() -> Recording:
    """A market in which three contracts stand at a price, and prints are as large."""
    columns = hypermm.synthetic_session(3, 600.0, level_size=3.0, print_size=1.0)
    return Recording.from_columns("ETH", columns)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.from_columns("ETH", hypermm.synthetic_session(3, 600.0))


def test_each_view_is_the_run_under_its_own_model(recording: Recording) -> None:
    """Kills: two views of one model, an exponent that is not passed on, settings lost on the way."""
    views = fill_views(recording, INSTRUMENT, CONFIG, cycle_ns=500_000_000, latency=20_000_000)
    assert [view.view for view in views] == ["pessimistic", "calibrated", "optimistic"]
    calibrated = ("calibrated", *hypermm.fill_calibration("ETH"))
    models: list[Any] = [("risk_averse", 20_000_000), (calibrated, "venue"), ("paper", 20_000_000)]
    for view, (model, latency) in zip(views, models, strict=True):
        summary = hypermm.backtest(
            recording, INSTRUMENT, CONFIG, fill_model=model, cycle_ns=500_000_000, latency=latency, log_decisions=False
        ).summary()
        assert (view.fills, view.pnl_usd, view.edge_bps) == (summary["fills"], summary["pnl_usd"], summary["edge_bps"])
        assert view.markout_bps == summary["markout_bps"]["10s"]
    assert views[0].pnl_usd != views[2].pnl_usd


def test_names_stand_for_models_and_an_exponent_of_one_is_the_default(thin: Recording) -> None:
    def prices(model: Any, seed: int = 0) -> list[tuple[float, int]]:
        fills = hypermm.backtest(thin, INSTRUMENT, CONFIG, fill_model=model, seed=seed, strategy=Joins()).fills
        return list(zip(fills["price"].tolist(), fills["time_ns"].tolist(), strict=True))

    assert prices("power") == prices(("power", 1.0)) != prices(("power", 8.0))
    assert len({tuple(prices(model)) for model in ("risk_averse", "power", "log")}) == 3
    # Queues draw nothing.
    assert prices("risk_averse", seed=1) == prices("risk_averse", seed=2)
    assert prices("paper", seed=1) != prices("paper", seed=2)


def test_a_queue_fills_with_prints_or_with_the_book_beyond_the_price(recording: Recording) -> None:
    """Kills: a fill at a price that neither a print nor the other side's best had reached at the venue."""
    result = hypermm.backtest(recording, INSTRUMENT, CONFIG, fill_model="risk_averse")
    by_print = np.asarray(result.fills["trade_id"]) > 0
    rows = {int(name): row for row, name in enumerate(recording.trade_id)}
    order = np.argsort(recording.best_exchange_time_ns, kind="stable")
    for index in range(len(by_print)):
        side, price = result.fills["side"][index], result.fills["price"][index]
        if by_print[index]:
            print_price = recording.trade_price[rows[int(result.fills["trade_id"][index])]]
            assert side * (price - print_price) >= -1e-9
        else:
            time_ns = result.fills["exchange_time_ns"][index]
            last = order[np.searchsorted(recording.best_exchange_time_ns[order], time_ns, side="right") - 1]
            book = np.searchsorted(recording.book_exchange_time_ns, time_ns, side="right") - 1
            asks = (recording.best_ask_price[last], recording.ask_prices[book, 0])
            bids = (recording.best_bid_price[last], recording.bid_prices[book, 0])
            assert min(asks) <= price + 1e-9 if side > 0 else max(bids) >= price - 1e-9
    print(f"{by_print.sum()} fills by prints, {(~by_print).sum()} by the book")
    assert by_print.sum() > 10


def test_the_command_reports_three_views_unless_told_not_to(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(recording, tmp_path / "data")
    command = ["backtest", "--data", str(tmp_path / "data"), "--coin", "ETH", "--out", str(tmp_path / "out")]
    assert run([*command, "--fill-model", "risk_averse", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    by_view = {view["view"]: view for view in summary["views"]}
    assert by_view["calibrated"]["fill_model"].startswith("calibrated ")
    # The run asked for is the pessimistic one.
    assert by_view["pessimistic"]["pnl_usd"] == summary["pnl_usd"] != by_view["optimistic"]["pnl_usd"]
    assert run([*command, "--fill-model", "power", "--set", "run.cancel_exponent=2", "--no-views", "--json"]) == 0
    assert run([*command]) == 0
    shown = capsys.readouterr().out
    for word in ("pessimistic", "calibrated", "optimistic"):
        assert word in shown
    assert run([*command, "--no-views", "--json"]) == 0
    assert "views" not in json.loads(capsys.readouterr().out)
