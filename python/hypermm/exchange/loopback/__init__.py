"""Hyperliquid on 127.0.0.1, over the matching venue: what everything live runs against without the internet.

    requests, frames → `server` (aiohttp, clock) → `exchange` (no I/O) → `world` (the matching venue, accounts)

`hypermm exchange` starts it; a test does so with `Server`.
"""

from hypermm.exchange.loopback.event_log import EventLog
from hypermm.exchange.loopback.exchange import LoopbackExchange
from hypermm.exchange.loopback.faults import Fault, FaultPlan, load_faults
from hypermm.exchange.loopback.limits import Limits
from hypermm.exchange.loopback.market import listed
from hypermm.exchange.loopback.server import Server, VenueClock
from hypermm.exchange.loopback.settings import (
    AccountSettings,
    AgentSettings,
    ExchangeSettings,
    Latency,
    load_accounts,
    parse_account,
    parse_agent,
    parse_latency,
)
from hypermm.exchange.loopback.world import World

__all__ = [
    "AccountSettings",
    "AgentSettings",
    "EventLog",
    "ExchangeSettings",
    "Fault",
    "FaultPlan",
    "Latency",
    "Limits",
    "LoopbackExchange",
    "Server",
    "VenueClock",
    "World",
    "listed",
    "load_accounts",
    "load_faults",
    "parse_account",
    "parse_agent",
    "parse_latency",
]
