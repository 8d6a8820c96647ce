"""`hypermm instruments`: the known contracts, and the making of the packaged file."""

from __future__ import annotations

import click
import msgspec

from hypermm.cli.output import json_option, print_json, print_table
from hypermm.recording.instruments import load_instruments, merged, to_toml

__all__ = ["instruments"]


@click.command()
@click.option(
    "--frames", type=click.Path(), help="Read captured meta payloads below this folder and print the TOML file."
)
@click.option("--file", "path", type=click.Path(), help="Show an instruments file of your own.")
@json_option
def instruments(frames: str | None, path: str | None, as_json: bool) -> None:
    """List the contracts that hypermm knows, each fact with its source."""
    entries = merged(frames) if frames else list(load_instruments(path).values())
    if frames and not as_json:
        click.echo(to_toml(entries), nl=False)
        return
    rows = [msgspec.structs.asdict(entry) for entry in entries]
    if as_json:
        print_json(rows)
    else:
        print_table("Instruments", rows)
