"""Binance USD-M futures as a market that leads: best quotes in, reference prices out; nothing is traded there."""

from __future__ import annotations

from hypermm.exchange.binance.book_ticker import BookTickerDecoder
from hypermm.exchange.binance.source import BookTickerSource

__all__ = ["BookTickerDecoder", "BookTickerSource"]
