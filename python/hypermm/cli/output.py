"""How commands print: one JSON object with --json, else tables."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Literal

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["json_option", "print_json", "print_table", "progress_bar", "stderr", "stdout"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on stdout.")

_PIPED_WIDTH = 160
# Of a column with what parts it from the next; and the least that a column of sentences is given.
_PADDING, _LEAST_PROSE = 3, 24

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
    """Rows of equal keys as a table on stdout; where the terminal is too narrow, as several that begin alike."""
    console = stdout()
    names = list(rows[0]) if rows else []
    for part, shown in enumerate(_fitting(console, names, rows)):
        console.print(_table(title if part == 0 else "", shown, rows))


def _fitting(console: Console, names: list[str], rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Columns in groups that fit the console, each with the first column: no number is ever cut."""

    def width(name: str) -> int:
        widest = max(cell_len(text) for text in (name, *(_cell(row[name]) for row in rows)))
        return _PADDING + (min(widest, _LEAST_PROSE) if _is_prose(name, rows) else widest)

    groups: list[list[str]] = []
    for name in names:
        if groups and sum(map(width, [*groups[-1], name])) < console.width:
            groups[-1].append(name)
        else:
            groups.append([names[0], name] if groups else [name])
    return groups


def _is_prose(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """What comes last may be a sentence: it folds."""
    return name == list(rows[0])[-1] and not _is_number(rows[0][name])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _table(title: str, names: list[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for name in names:
        justify: Literal["right", "left"] = "right" if _is_number(rows[0][name]) else "left"
        table.add_column(name.replace("_", " "), justify=justify, no_wrap=not _is_prose(name, rows))
    for row in rows:
        # As text: a name or a sentence may hold [brackets], which are markup to rich.
        table.add_row(*(Text(_cell(row[name])) for name in names))
    return table


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
