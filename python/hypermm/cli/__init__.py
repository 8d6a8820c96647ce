"""The command line: `hypermm backtest`, `demo`, `config`, `recording`, `instruments`. Every command has --json."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point: runs the command and exits with 0, or with 2 and one line on stderr for wrong input."""
    try:
        import click  # noqa: F401 - asked for here, so that its absence is said in one line
        import rich  # noqa: F401
    except ImportError as error:
        sys.stderr.write(f'hypermm: the command line needs {error.name}: pip install "hypermm[cli]"\n')
        raise SystemExit(2) from error
    from hypermm.cli.root import run

    raise SystemExit(run(sys.argv[1:]))
