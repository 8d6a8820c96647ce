"""Walk-forward folds: train on what came before, purged of targets that reach into the test, with an embargo."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypermm.config.calibration import HORIZON_S
from hypermm.exceptions import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypermm.research.calibration.sample import Sample

__all__ = ["EMBARGO_S", "FOLDS", "MIN_WINDOWS", "Fold", "walk_forward"]

FOLDS = 5
# Of 10 s: with fewer the first fold would be fitted to less than two minutes and a half.
MIN_WINDOWS = 90
EMBARGO_S = HORIZON_S


class Fold(NamedTuple):
    """Rows of one fold.

    Attributes:
        train: Shape (rows,), True where a row may be fitted to.
        test: Shape (rows,), True where it is judged on.
    """

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def walk_forward(sample: Sample, folds: int = FOLDS, embargo_s: float = EMBARGO_S) -> list[Fold]:
    """Cuts the rows that have a target into `folds` + 1 blocks of equal length; fold i is tested on block i + 1.

    A row is trained on when its target ends `embargo_s` or more before the test begins.

    Raises:
        InvalidInputError: Fewer than `MIN_WINDOWS` independent windows.
    """
    if sample.independent_windows < MIN_WINDOWS:
        raise InvalidInputError(
            field="data",
            value=f"{sample.independent_windows} windows of {HORIZON_S:g} s",
            expected=f"{MIN_WINDOWS} or more: {MIN_WINDOWS * HORIZON_S / 60:g} minutes with a mid",
            hint="600 or more, 100 minutes, for a calibration that is not provisional",
        )
    usable = np.flatnonzero(np.isfinite(sample.target_bps))
    edges = np.linspace(0, len(usable), folds + 2).round().astype(int)
    made = []
    for begin, end in pairwise(edges[1:]):
        test = np.zeros(len(sample), bool)
        test[usable[begin:end]] = True
        reach_ns = round((HORIZON_S + embargo_s) * 1e9)
        train = np.isfinite(sample.target_bps) & (sample.time_ns + reach_ns <= sample.time_ns[usable[begin]])
        made.append(Fold(train, test))
    return made
