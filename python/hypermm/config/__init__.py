"""Settings of a run: engine fields from the Rust table, the run's as a frozen struct; TOML in, JSON Schema out."""

from __future__ import annotations

from hypermm.config.calibration_file import load_calibration
from hypermm.config.engine_calibration import engine_calibration
from hypermm.config.exchange import ExchangeConfig
from hypermm.config.load import load_settings, parse_override, refuse_overrides
from hypermm.config.model import RunConfig, Settings, field_rows, json_schema

__all__ = [
    "ExchangeConfig",
    "RunConfig",
    "Settings",
    "engine_calibration",
    "field_rows",
    "json_schema",
    "load_calibration",
    "load_settings",
    "parse_override",
    "refuse_overrides",
]
