"""Parts that need packages of an extra say so when those are not installed."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypermm.exceptions import HypermmError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["needs"]


@contextmanager
def needs(extra: str, packages: str) -> Iterator[None]:
    """What is imported in this block comes with an extra.

    Args:
        extra: Its name as pip takes it, such as "live" or "cli,live".
        packages: Which packages, and what for.

    Raises:
        MissingDependencyError: One of them is not installed, or is there and lacks what is imported, as one of another
            version does; names it and the extra.
    """
    try:
        yield
    except ImportError as error:
        # A module of our own that lacks something has said what, or is missing itself: no extra mends that.
        if isinstance(error, HypermmError) or (error.name or "").partition(".")[0] == "hypermm":
            raise
        absent = isinstance(error, ModuleNotFoundError)
        raise MissingDependencyError(
            field=error.name or "package",
            value="not installed" if absent else f"installed, but fails to import: {error}",
            expected=packages,
            hint=f'{sys.executable} -m pip install {"" if absent else "--upgrade "}"hypermm[{extra}]", '
            "or make setup in a checkout",
        ) from error
