"""How commands print: one JSON object with --json, else tables."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["json_option", "print_json", "print_table", "progress_bar", "stderr", "stdout"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout.")

_PIPED_WIDTH = 160

stderr = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One line of JSON; what is not finite becomes null, since JSON has no NaN."""
    click.echo(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of equal keys as a table on stdout."""
    table = Table(title=Text(title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    names = list(rows[0]) if rows else []
    for name in names:
        number = isinstance(rows[0][name], (int, float)) and not isinstance(rows[0][name], bool)
        prose = name == names[-1] and not number
        table.add_column(name.replace("_", " "), justify="right" if number else "left", no_wrap=not prose)
    for row in rows:
        # As text: a name or a sentence may hold [brackets], which are markup to rich.
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    stdout().print(table)


def stdout() -> Console:
    """Console of results; wide where no terminal limits it, so that nothing is cut."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


class progress_bar:  # noqa: N801 - used as a function
    """A progress bar on stderr where that is a terminal, else nothing; gives the function that moves it."""

    def __init__(self, title: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=36),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self._task = self._bar.add_task(title, total=1.0)

    def __enter__(self) -> Callable[[int, int], None]:
        self._bar.start()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _advance(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done / max(total, 1))
