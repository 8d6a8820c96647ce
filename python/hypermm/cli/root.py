"""The root command, and the one place where errors become an exit code and a line."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from hypermm.cli.ablation import ablation
from hypermm.cli.backtest import backtest
from hypermm.cli.calibrate import calibrate, studies, validate
from hypermm.cli.config import config
from hypermm.cli.connect import connect
from hypermm.cli.data import data
from hypermm.cli.demo import demo
from hypermm.cli.exchange import exchange
from hypermm.cli.features import features
from hypermm.cli.gap import gap
from hypermm.cli.instruments import instruments
from hypermm.cli.market import market
from hypermm.cli.record import record
from hypermm.cli.recording import recording
from hypermm.cli.scenario import scenario
from hypermm.cli.sweep import sweep
from hypermm.cli.tune import tune
from hypermm.exceptions import HypermmError, InternalError, redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

_WRONG_INPUT, _BUG, _INTERRUPTED = 2, 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="hypermm")
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Print a traceback of any error; or set HYPERMM_DEBUG=1."
)
def cli() -> None:
    """Market making for Hyperliquid perpetuals."""


for command in (backtest, ablation, sweep, tune, demo, scenario, gap, exchange, market):
    cli.add_command(command)
for command in (config, features, calibrate, validate, studies, connect, record, recording, data, instruments):
    cli.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line.

    Returns:
        0; 2 after wrong input, with one line on stderr; 1 after a bug of ours; 130 when interrupted.
    """
    # Asked for anywhere in the line, since one appends it to the line that failed.
    debug = "--debug" in arguments or os.environ.get("HYPERMM_DEBUG", "0") not in ("", "0")
    try:
        return _run([argument for argument in arguments if argument != "--debug"], debug=debug)
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback that nobody asked for
        shown = " ".join(f"{type(error).__name__}: {error}".split())
        return _say(f"internal error: {shown}; please report it, --debug prints a traceback", _BUG, debug=debug)


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        code = cli.main(arguments, prog_name="hypermm", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message())
        return 0
    except click.ClickException as error:
        return _say(error.format_message(), _WRONG_INPUT, debug=debug)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", _INTERRUPTED, debug=debug)
    except InternalError as error:
        return _say(f"internal error: {error}; please report it, --debug prints a traceback", _BUG, debug=debug)
    except HypermmError as error:
        return _say(str(error), _WRONG_INPUT, debug=debug)
    except OSError as error:
        return _say(f"{error.filename or 'file'}: {error.strerror or error}", _WRONG_INPUT, debug=debug)
    return code if isinstance(code, int) else 0


def _say(message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    # Ours are already; the parser quotes arguments as they are.
    sys.stderr.write("hypermm: " + redacted(" ".join(message.split())) + "\n")
    return code
