"""`hypermm connect`: is everything right before anything is traded."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from typing import TYPE_CHECKING, Any

import click
import msgspec

from hypermm import Side
from hypermm.cli.output import json_option, print_json, print_table
from hypermm.config import load_settings
from hypermm.exceptions import VenueError
from hypermm.extras import needs

if TYPE_CHECKING:
    from hypermm.config import ExchangeConfig
    from hypermm.exchange.hyperliquid.session import Session
    from hypermm.exchange.hyperliquid.startup import AccountReport

__all__ = ["connect"]

_WRONG = 2
_READY_WITHIN_S = 30.0


@click.command()
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [exchange].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option("--check", is_flag=True, help="Only ask; open no websocket.")
@click.option("--allow-master-key", is_flag=True, help="Take the account's own key, which can also withdraw.")
@json_option
@click.pass_context
def connect(
    context: click.Context,
    config_file: str | None,
    overrides: tuple[str, ...],
    check: bool,
    allow_master_key: bool,
    as_json: bool,
) -> None:
    """Ask the venue about clock, key, account, agent, money and open orders, connect, and trade nothing.

    Exit code 2 when something keeps us from trading.
    """
    settings = load_settings(config_file, overrides).exchange
    if not settings.coins:
        raise click.UsageError("no coins: set coins in [exchange], or add --set exchange.coins='[\"ETH\"]'")
    with needs("cli,live", "aiohttp and websockets"):
        report, streams = asyncio.run(_connect(settings, check_only=check, allow_master_key=allow_master_key))
    if as_json:
        print_json(_values(report) | {"streams": streams})
    else:
        _print(report, streams)
    if report.errors:
        context.exit(_WRONG)


async def _connect(
    settings: ExchangeConfig, *, check_only: bool, allow_master_key: bool
) -> tuple[AccountReport, list[dict[str, Any]]]:
    from hypermm.exchange.hyperliquid.clock import WallClock
    from hypermm.exchange.hyperliquid.encode import ClientIds
    from hypermm.exchange.hyperliquid.endpoint import endpoint
    from hypermm.exchange.hyperliquid.gateway import Gateway
    from hypermm.exchange.hyperliquid.http import HttpClient, load_universe
    from hypermm.exchange.hyperliquid.session import Session
    from hypermm.exchange.hyperliquid.signer import open_signer
    from hypermm.exchange.hyperliquid.startup import examine

    venue = endpoint(settings.base_url, settings.network or None)
    draw = random.Random().random  # noqa: S311 - spreads reconnections, keeps no secret
    # Whether it is the master key, the venue knows best: an agent given as the account would look like one.
    signer, nonces = open_signer(settings.key_file or None, os.environ, is_mainnet=venue.is_mainnet)
    try:
        async with HttpClient(venue, WallClock(), draw) as http:
            universe = await load_universe(http, (*settings.coins, *settings.references))
            assets = {coin: universe.asset(coin) for coin in settings.coins}
            account = settings.vault_address or settings.account_address
            names = ClientIds(secrets.randbits(64))
            gateway = Gateway(
                account or signer.address,
                assets,
                signer,
                nonces,
                names,
                http,
                vault_address=settings.vault_address or None,
            )
            report = await examine(
                http, list(assets.values()), signer, account, gateway, allow_master_key=allow_master_key
            )
            if check_only or report.errors:
                return report, []
            references = settings.references
            session = Session(universe, settings.coins, draw, user=account, references=references, weight=http.weight)
            return report, await _ready(session, http)
    finally:
        nonces.close()


async def _ready(session: Session, http: Any) -> list[dict[str, Any]]:
    """Connects until everything agrees, and says how old the streams are.

    Raises:
        VenueError: It does not come to that in time.
    """
    from hypermm.exchange.hyperliquid.session import Phase
    from hypermm.exchange.hyperliquid.websocket import Websocket

    websocket = Websocket(session, http.venue, http.clock, http=http)
    running = asyncio.create_task(websocket.run())
    reasons: list[str] = []
    try:
        async with asyncio.timeout(_READY_WITHIN_S):
            async for item in websocket.received():
                reasons += [repr(notice) for notice in item.notices]
                if session.phase is Phase.READY:
                    break
    except TimeoutError as error:
        raise VenueError(
            field="websocket", value="; ".join(reasons[-3:]) or session.phase.value, expected="ready in 30 s"
        ) from error
    ages = session.ages(http.clock())
    websocket.stop()
    await running
    return [
        {"channel": age.channel, "coin": age.coin, "status": age.status.value, "age_s": round(age.age_s or 0.0, 2)}
        for age in ages
    ]


def _print(report: AccountReport, streams: list[dict[str, Any]]) -> None:
    rows = [
        {"": finding.level, "what": finding.name, "found": f"{finding.text}; {finding.hint}".rstrip("; ")}
        for finding in report.findings
    ]
    print_table(f"Account {report.account or 'not set'}", rows)
    values = _values(report)
    if report.margins:
        margins = [
            row
            | {
                "dex": row["dex"] or "first",
                "positions": ", ".join(f"{c} {n:g}" for c, n in row["positions"].items()) or "flat",
            }
            for row in values["margins"]
        ]
        print_table("Margin", margins)
    if report.open_orders:
        print_table("Open orders", values["open_orders"])
    else:
        click.echo("no open orders")
    if streams:
        print_table("Streams", streams)


def _values(report: AccountReport) -> dict[str, Any]:
    orders = [
        {
            "coin": order.coin,
            "side": "buy" if order.side is Side.BUY else "sell",
            "price": order.price,
            "size": order.remaining_size,
            "name": str(order.order_id),
            "number": order.venue_id,
        }
        for order in report.open_orders
    ]
    plain = msgspec.to_builtins(msgspec.structs.replace(report, open_orders=[]))
    return dict(plain) | {"open_orders": orders}
