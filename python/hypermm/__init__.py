"""Market making for Hyperliquid perpetuals: one Rust engine for live, paper and backtest.

Everything a bot needs to embed the engine is here; `hypermm.exceptions` draws the tree of errors.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hypermm._core import (
    BacktestResult,
    CalibratedFeature,
    Calibration,
    ConfigField,
    Decision,
    DepthDecay,
    DirectionalFlow,
    DriftFilter,
    EngineConfig,
    Event,
    Feature,
    FeatureMatrix,
    FundingForecast,
    Instrument,
    InventoryRisk,
    Level,
    MarketPreset,
    OpenOrder,
    OrderStatus,
    QuoteEngine,
    QuoteSide,
    QuoteStatus,
    Side,
    backtest,
    drift_shift,
    expected_pnl,
    feature_matrix,
    feature_table,
    fill_calibration,
    fill_probability,
    flow_shift,
    glft_half_spread,
    matching_session,
    merge_levels,
    optimal_size,
    paper_gap,
    run_scenario,
    synthetic_market,
    synthetic_session,
)
from hypermm.exceptions import (
    EngineBusyError,
    HypermmError,
    InternalError,
    InvalidConfigError,
    InvalidInputError,
    MissingDependencyError,
    RecordingError,
    SnapshotError,
    TimeOrderError,
    UnknownCoinError,
)

if TYPE_CHECKING:
    from hypermm.recording import Recording, load_recording
    from hypermm.research.sweep import sweep

__all__ = [
    "BacktestResult",
    "CalibratedFeature",
    "Calibration",
    "ConfigField",
    "Decision",
    "DepthDecay",
    "DirectionalFlow",
    "DriftFilter",
    "EngineBusyError",
    "EngineConfig",
    "Event",
    "Feature",
    "FeatureMatrix",
    "FundingForecast",
    "HypermmError",
    "Instrument",
    "InternalError",
    "InvalidConfigError",
    "InvalidInputError",
    "InventoryRisk",
    "Level",
    "MarketPreset",
    "MissingDependencyError",
    "OpenOrder",
    "OrderStatus",
    "QuoteEngine",
    "QuoteSide",
    "QuoteStatus",
    "Recording",
    "RecordingError",
    "Side",
    "SnapshotError",
    "TimeOrderError",
    "UnknownCoinError",
    "backtest",
    "drift_shift",
    "expected_pnl",
    "feature_matrix",
    "feature_table",
    "fill_calibration",
    "fill_probability",
    "flow_shift",
    "glft_half_spread",
    "load_recording",
    "matching_session",
    "merge_levels",
    "optimal_size",
    "paper_gap",
    "run_scenario",
    "sweep",
    "synthetic_market",
    "synthetic_session",
]

# Read on first use: an engine inside another bot needs no reader of files and no research.
_LAZY = {
    "Recording": "hypermm.recording",
    "load_recording": "hypermm.recording",
    "sweep": "hypermm.research.sweep",
}


def __getattr__(name: str) -> Any:
    if module := _LAZY.get(name):
        return getattr(import_module(module), name)
    raise AttributeError(f"module 'hypermm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
