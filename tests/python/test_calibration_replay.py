"""The replay of the cost test says nothing where its fills are too few to say anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hypermm.research.calibration.replay import EDGE_COLUMN, edge_difference

MINUTE_NS = 60_000_000_000


def fills(count: int, minutes: int, edge_bps: float) -> dict[str, Any]:
    draws = np.random.default_rng(count).normal(edge_bps, 1.0, (count, 6))
    return {"time_ns": np.arange(count) * minutes // count * MINUTE_NS, "edge_bps": draws}


@pytest.mark.parametrize(("count", "minutes"), [(0, 1), (1, 1), (29, 29), (40, 9)])
def test_few_fills_or_few_blocks_are_not_measured(count: int, minutes: int) -> None:
    """Kills: an error of nothing from fills of one block, by which a good feature is out."""
    many, few = fills(200, 30, 0.0), fills(count, minutes, -1.0)
    assert edge_difference(few, many) is None
    assert edge_difference(many, few) is None


def test_enough_fills_give_the_difference_and_its_error() -> None:
    """Kills: a flipped sign."""
    with_it, without = fills(300, 30, 1.0), fills(200, 30, 0.0)
    found = edge_difference(with_it, without)
    assert found is not None
    difference, error = found
    means = (each["edge_bps"][:, EDGE_COLUMN].mean() for each in (with_it, without))
    assert difference == pytest.approx(next(means) - next(means))
    assert 0.05 < error < 0.2
