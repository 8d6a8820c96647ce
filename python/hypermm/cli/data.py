"""`hypermm data`: what is wrong with a recording, and recordings made of what other programs recorded."""

from __future__ import annotations

import click

from hypermm.cli.output import json_option, print_json, print_table
from hypermm.cli.parameters import OutFolder
from hypermm.recording.check import check_recording
from hypermm.recording.convert import SOURCES, read_source
from hypermm.recording.write import write_recording

__all__ = ["data"]

_FOUND = 2


@click.group()
def data() -> None:
    """Check recordings, and convert what other programs recorded."""


@data.command()
@click.argument("path", type=click.Path())
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
@click.pass_context
def check(context: click.Context, path: str, instrument_file: str | None, as_json: bool) -> None:
    """Name everything wrong with a file or folder: file, row, column, and how to mend it.

    Exit code 2 when something is.
    """
    findings = check_recording(path, instrument_file)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    elif not findings:
        click.echo(f"{path}: nothing is wrong")
    for finding in [] if as_json else findings:
        where = "" if finding.row is None else f" row {finding.row}"
        what = f", {finding.column} = {finding.value}" if finding.column else ""
        more = f" ({finding.rows:,} rows)" if finding.rows > 1 else ""
        click.echo(f"{finding.file}{where}{what}: {finding.problem}{more}; {finding.mend}")
    if findings:
        context.exit(_FOUND)


@data.command()
@click.option("--from", "source", required=True, type=click.Choice(SOURCES), help="Who recorded it.")
@click.option("--data", "path", required=True, type=click.Path(), help="File, or folder with files anywhere below.")
@click.option("--coin", required=True, help="Symbol as the source writes it.")
@click.option("--out", required=True, type=OutFolder(), help="Folder to write Parquet into.")
@json_option
def convert(source: str, path: str, coin: str, out: str, as_json: bool) -> None:
    """Write files of Tardis, the Hyperliquid archive, hftbacktest or StandX as a recording."""
    recording = read_source(source, path, coin)
    written = [str(file) for file in write_recording(recording, out)]
    counts = {stream: len(getattr(recording, f"{stream}_time_ns")) for stream in ("book", "best", "trade", "context")}
    if as_json:
        print_json({"coin": coin, "span_s": recording.span_s, "rows": counts, "files": written})
    else:
        print_table(f"{coin} from {source}", [{"span_s": round(recording.span_s, 1), **counts}])
        for file in written:
            click.echo(file)
