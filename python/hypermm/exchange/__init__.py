"""Venues: what market data, orders and fills look like to the rest of hypermm, and who speaks to whom."""
