"""A view means one thing: ablation's calibrated rows are the backtest's."""

from __future__ import annotations

import hypermm
from hypermm.recording import Recording
from hypermm.research.ablation import STEPS, ablate
from hypermm.research.views import fill_views, view_models

INSTRUMENT = hypermm.Instrument("ETH", 4, 25)


def test_the_whole_model_under_each_view_is_the_backtests() -> None:
    """Kills: a calibrated view with another latency than the one it was fitted with."""
    recording = Recording.from_columns("ETH", hypermm.synthetic_session(3, 900.0))
    config = hypermm.EngineConfig(max_position=2.0)
    latencies = {"risk_averse": 1_000_000, "calibrated": "venue"}
    models = {view: model for view, model in view_models().items() if model in latencies}
    rows = ablate([recording], INSTRUMENT, config, None, models=models, draws=10, latency=1_000_000)
    ours = [(row.fills, round(row.figures["pnl_usd"][0], 9)) for row in rows if row.step == STEPS[-1]]
    views = fill_views(recording, INSTRUMENT, config, latency=1_000_000)[:2]
    theirs = []
    for model, latency in latencies.items():
        summary = hypermm.backtest(recording, INSTRUMENT, config, fill_model=model, latency=latency).summary()
        theirs.append((summary["fills"], round(summary["pnl_usd"], 9)))
    assert ours == theirs == [(view.fills, round(view.pnl_usd, 9)) for view in views]
    assert min(fills for fills, _ in ours) > 0
