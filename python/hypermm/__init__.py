"""Market making for Hyperliquid perpetuals: one Rust engine for live, paper and backtest.

Everything a bot needs to embed the engine is here; `hypermm.exceptions` draws the tree of errors.
"""

from __future__ import annotations

from hypermm._core import (
    ConfigField,
    EngineConfig,
    Instrument,
    OrderStatus,
    QuoteStatus,
    Side,
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

__all__ = [
    "ConfigField",
    "EngineBusyError",
    "EngineConfig",
    "HypermmError",
    "Instrument",
    "InternalError",
    "InvalidConfigError",
    "InvalidInputError",
    "MissingDependencyError",
    "OrderStatus",
    "QuoteStatus",
    "RecordingError",
    "Side",
    "SnapshotError",
    "TimeOrderError",
    "UnknownCoinError",
]
