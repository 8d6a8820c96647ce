"""`hypermm config`: what can be set, its JSON Schema, and a check of a file."""

from __future__ import annotations

import json

import click

from hypermm.cli.output import json_option, print_json, print_table
from hypermm.config import field_rows, json_schema, load_settings

__all__ = ["config"]


@click.group()
def config() -> None:
    """What can be set, in files and with --set."""


@config.command()
@json_option
def fields(as_json: bool) -> None:
    """List every field with unit, range, default, and what too high or too low does."""
    rows = field_rows()
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    shown = [
        {"field": f"{row.table}.{row.name}", "default": _written(row.default), "range": row.range, "unit": row.unit}
        | {"what it is": row.text}
        for row in rows
    ]
    print_table("Settings", shown)


def _written(value: object) -> str:
    return "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@config.command()
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of a settings file."""
    if as_json:
        print_json(json_schema())
    else:
        click.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))


@config.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field after the file.")
@json_option
def check(file: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Read a settings file and print the settings it results in."""
    settings = load_settings(file, overrides)
    values = settings.engine_config().to_dict()
    run = {name: getattr(settings.run, name) for name in settings.run.__struct_fields__}
    if as_json:
        print_json({"engine": values, "run": run})
    else:
        rows = [{"table": "engine", "name": name, "value": _written(value)} for name, value in values.items()]
        print_table(
            file, rows + [{"table": "run", "name": name, "value": _written(value)} for name, value in run.items()]
        )
