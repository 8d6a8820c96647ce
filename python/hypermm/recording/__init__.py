"""Recordings of a market: columns with two clocks, read from CSV or Parquet; and the facts of their instruments."""

from __future__ import annotations

from hypermm.recording.load import available_coins, load_recording
from hypermm.recording.schema import COLUMNS, Column, Recording

__all__ = ["COLUMNS", "Column", "Recording", "available_coins", "load_recording"]
