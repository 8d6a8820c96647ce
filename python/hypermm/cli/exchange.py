"""`hypermm exchange`: Hyperliquid on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import hypermm
from hypermm.cli.backtest import known_instrument
from hypermm.cli.output import json_option, print_json, stderr
from hypermm.cli.parameters import FiniteRange
from hypermm.exceptions import InvalidConfigError
from hypermm.extras import needs

if TYPE_CHECKING:
    from hypermm.exchange.loopback import AccountSettings, ExchangeSettings, Server

__all__ = ["exchange"]

MEASURED_LATENCY = "160,300,380"
"""Medians of what was measured far from the venue, as in `LatencyModel::default` of the simulated venue."""


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="ADDRESS[:USD]",
    help="An account with its money on each dex [10000]; may be repeated.",
)
@click.option(
    "--agent",
    "agents",
    multiple=True,
    metavar="AGENT=MASTER[@DAY]",
    help="A key that may sign for an account, until a day; may be repeated.",
)
@click.option(
    "--accounts", "accounts_file", type=click.Path(dir_okay=False), help="TOML file of [[account]] with their agents."
)
@click.option(
    "--preset", "presets", multiple=True, metavar="NAME", help="A market, such as ETH; may be repeated.  [default: ETH]"
)
@click.option("--data", type=click.Path(), help="Folder of a recording that plays as the market of --coin.")
@click.option("--coin", help="Coin of the recording.")
@click.option("--faults", "faults_file", type=click.Path(dir_okay=False), help="TOML file of [[fault]].")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of market and faults.")
@click.option(
    "--network",
    type=click.Choice(["testnet", "mainnet"]),
    default="testnet",
    show_default=True,
    help="Network signatures are made for; the official client signs for testnet here.",
)
@click.option(
    "--latency-ms",
    "latency_text",
    default=MEASURED_LATENCY,
    show_default=True,
    metavar="MS|ORDER,ANSWER,FEED",
    help="How late orders reach the venue, answers and what it publishes reach clients [as measured]; 0: at once.",
)
@click.option(
    "--speed",
    type=FiniteRange(0.01, 1000),
    default=1.0,
    show_default=True,
    help="Venue seconds in a second; clients' clocks fall behind by as much.",
)
@click.option("--log", "log_file", type=click.Path(dir_okay=False), help="JSON lines of all that is published.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that other machines reach.")
@json_option
def exchange(
    port: int,
    accounts: tuple[str, ...],
    agents: tuple[str, ...],
    accounts_file: str | None,
    presets: tuple[str, ...],
    data: str | None,
    coin: str | None,
    faults_file: str | None,
    seed: int,
    network: str,
    latency_text: str,
    speed: float,
    log_file: str | None,
    host: str,
    allow_remote: bool,
    as_json: bool,
) -> None:
    """Be Hyperliquid on this machine: HTTP and websocket on one port, over a market of agents or a recording.

    Any client of Hyperliquid works with http://127.0.0.1:PORT as its base URL. Use throw-away keys. Stopped with
    Ctrl-C it forgets everything; a restart by a fault keeps everything.
    """
    _check_host(host, allow_remote=allow_remote)
    if (data is None) != (coin is None):
        raise click.UsageError("--data and --coin go together: which recording, and which coin of it")
    with needs("live", "aiohttp and websockets"):
        from hypermm.exchange import loopback
    settings = loopback.ExchangeSettings(
        accounts=_accounts(accounts, agents, accounts_file),
        is_mainnet=network == "mainnet",
        seed=seed,
        latency=loopback.parse_latency(latency_text),
    )
    faults = [] if faults_file is None else loopback.load_faults(Path(faults_file))
    market: dict[str, Any] = {}
    if data is not None and coin is not None:
        market = {"recording": hypermm.load_recording(data, coin), "instrument": known_instrument(coin)}
    listing, coins = loopback.listed(list(presets) or ([] if data else ["ETH"]), **market)
    clock = loopback.VenueClock(speed)
    world = loopback.World(listing, coins, settings, clock.now_ns())
    with contextlib.ExitStack() as stack:
        log = loopback.EventLog(None if log_file is None else stack.enter_context(Path(log_file).open("wb")))
        venue = loopback.LoopbackExchange(world, loopback.FaultPlan(faults, seed), log)
        server = loopback.Server(venue, clock, host=host, port=port)
        trading = [contract.coin for contract in listing.trading]
        asyncio.run(_serve(server, settings, trading, as_json=as_json))


def _check_host(host: str, *, allow_remote: bool) -> None:
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if is_local:
        return
    if not allow_remote:
        raise InvalidConfigError(
            field="--host",
            value=host,
            expected="a loopback address",
            hint="other machines could trade here and read every account; add --allow-remote to mean it",
        )
    stderr.print(f"warning: listening on {host}: other machines reach this exchange", style="bold red", markup=False)


def _accounts(
    accounts: tuple[str, ...], agents: tuple[str, ...], accounts_file: str | None
) -> tuple[AccountSettings, ...]:
    """Accounts of the options and of the file, with their agents."""
    import msgspec

    from hypermm.exchange.loopback import load_accounts, parse_account, parse_agent

    rows = [*(() if accounts_file is None else load_accounts(Path(accounts_file))), *map(parse_account, accounts)]
    by_address: dict[str, AccountSettings] = {}
    for row in rows:
        if row.address in by_address:
            raise InvalidConfigError(field="--account", value=row.address, expected="each account once")
        by_address[row.address] = row
    for text in agents:
        master, agent = parse_agent(text)
        if master not in by_address:
            raise InvalidConfigError(
                field="--agent", value=text, expected="an agent of an account", hint=f"add --account {master}"
            )
        known = by_address[master]
        by_address[master] = msgspec.structs.replace(known, agents=(*known.agents, agent))
    return tuple(by_address.values())


async def _serve(server: Server, settings: ExchangeSettings, coins: list[str], *, as_json: bool) -> None:
    """Serves until interrupted."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        if as_json:
            addresses = [account.address for account in settings.accounts]
            latency = settings.latency
            latency_ms = {"order": latency.order_ms, "answer": latency.answer_ms, "feed": latency.feed_ms}
            network = _network(settings)
            print_json({
                "url": server.url,
                "coins": coins,
                "network": network,
                "accounts": addresses,
                "latency_ms": latency_ms,
            })  # fmt: skip
            sys.stdout.flush()
        else:
            _instruct(server, settings, coins)
        stopped = asyncio.ensure_future(stop.wait())
        failed = asyncio.ensure_future(server.wait())
        await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, failed):
            if not task.done():
                task.cancel()
        if failed.done() and not failed.cancelled():
            failed.result()


def _network(settings: ExchangeSettings) -> str:
    return "mainnet" if settings.is_mainnet else "testnet"


def _instruct(server: Server, settings: ExchangeSettings, coins: list[str]) -> None:
    latency = settings.latency
    lines = [
        f"Hyperliquid on {server.url} (websocket ws{server.url.removeprefix('http')}/ws): {', '.join(coins)}",
        f"signatures: those of {_network(settings)}; money is not real, use throw-away keys",
        f"latency: orders {latency.order_ms:g} ms, answers {latency.answer_ms:g} ms, feed and own fills "
        f"{latency.feed_ms:g} ms; another with --latency-ms ORDER,ANSWER,FEED",
    ]
    for account in settings.accounts:
        lines.append(f"account {account.address}: {account.deposit_usd:,.0f} USD on each dex")
        lines += [f"    agent {agent.address}" for agent in account.agents]
    if not settings.accounts:
        lines.append("no account: markets only; to trade, add --account ADDRESS:10000 with the address of your key")
    lines.append(
        f"try: curl -s {server.url}/info -H 'Content-Type: application/json' "
        f'-d \'{{"type":"l2Book","coin":"{coins[0]}"}}\''
    )
    lines.append("Ctrl-C stops it")
    for line in lines:
        click.echo(line)
