"""The root command, and the one place where errors become an exit code and a line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hypermm.cli.backtest import backtest
from hypermm.cli.config import config
from hypermm.cli.demo import demo
from hypermm.cli.instruments import instruments
from hypermm.cli.recording import recording
from hypermm.exceptions import HypermmError, InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

_WRONG_INPUT, _BUG, _INTERRUPTED = 2, 1, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="hypermm")
def cli() -> None:
    """Market making for Hyperliquid perpetuals."""


for command in (backtest, demo, config, recording, instruments):
    cli.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line.

    Returns:
        0; 2 after wrong input, with one line on stderr; 1 after a bug of ours; 130 when interrupted.
    """
    try:
        code = cli.main(list(arguments), prog_name="hypermm", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message())
        return 0
    except click.ClickException as error:
        return _say(error.format_message(), _WRONG_INPUT)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", _INTERRUPTED)
    except InternalError as error:
        return _say(f"a bug in hypermm: {error}", _BUG)
    except HypermmError as error:
        return _say(str(error), _WRONG_INPUT)
    except OSError as error:
        return _say(f"{error.filename or 'file'}: {error.strerror or error}", _WRONG_INPUT)
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    sys.stderr.write("hypermm: " + " ".join(message.split()) + "\n")
    return code
