"""Types of options: numbers that are finite, and places to write to that are looked at before the work is done."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click import Context, Parameter

__all__ = ["FiniteRange", "OutFile", "OutFolder"]


class FiniteRange(click.FloatRange):
    """A number in a range; NaN, which no comparison excludes, is not one."""

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> float:
        """The number.

        Raises:
            click.BadParameter: It is none, not finite or out of range.
        """
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class OutFile(click.Path):
    """A file to write, in a folder that is there."""

    def __init__(self, suffix: str) -> None:
        super().__init__(dir_okay=False)
        self._suffix = suffix

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> str:
        """Its path.

        Raises:
            click.BadParameter: Another suffix, or no folder that can be written to.
        """
        path = str(super().convert(value, param, ctx))
        if not path.endswith(self._suffix):
            self.fail(f"{path}: expected a file name that ends with {self._suffix}", param, ctx)
        folder = Path(path).parent
        if not folder.is_dir():
            self.fail(f"{path}: there is no folder {folder}; mkdir -p {folder}", param, ctx)
        if not os.access(folder, os.W_OK):
            self.fail(f"{path}: the folder {folder} cannot be written to", param, ctx)
        return path


class OutFolder(click.Path):
    """A folder to write into, made where it is not there."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> str:
        """Its path.

        Raises:
            click.BadParameter: A file stands there or above, or the folder above cannot be written to.
        """
        path = str(super().convert(value, param, ctx))
        there = Path(path).absolute()
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            self.fail(f"{path}: {there} is a file", param, ctx)
        if not os.access(there, os.W_OK):
            self.fail(f"{path}: the folder {there} cannot be written to", param, ctx)
        return path
