"""After any storm of drops, repeats and reordered frames a session has told each print and fill once."""

from __future__ import annotations

from collections import Counter

import pytest

from hypermm.exchange.events import OwnFill, PositionUpdate, TradesUpdate
from hypermm.exchange.hyperliquid.notices import (
    Ready,
    TapeGap,
)
from hypermm.exchange.hyperliquid.session import Phase
from session_rig import Rig
from venue_double import COIN, LOT, START_MS


def storm(seed: int, steps: int) -> Rig:
    """Random life at the venue over a wire that drops, repeats and reorders; then quiet until ready."""
    rig = Rig(seed, repeat=0.1, overtake=0.15, lose_fills=0.05, settings={"fills_since_ms": START_MS})
    rng = rig.rng
    rig.venue.state_lags = seed % 2 == 0
    for _ in range(steps):
        for _ in range(rng.randint(0, 3)):
            rng.choice([rig.venue.place, rig.venue.fill, rig.venue.fill, rig.venue.cancel, rig.venue.book])()
        rig.venue.print_trades(rng.randint(0, 3))
        rig.pass_time(rng.randint(1, 120))
        rig.pump(rng.randint(0, 12))
        if rig.is_up and rng.random() < 0.02:
            rig.drop()
    rig.wire.lose_fills = rig.wire.repeat = rig.wire.overtake = 0.0
    rig.run(90_000)
    if rig.is_up:
        # The last frames may have been lost on a live socket, which only the next fill or connection shows.
        rig.drop()
    rig.run(90_000)
    return rig


def check_storm(rig: Rig) -> None:
    venue = rig.venue
    assert rig.session.phase is Phase.READY
    fills = Counter(fill.trade_id for fill in rig.told_of(OwnFill))
    assert fills == Counter(row["tid"] for row in venue.fills), "each fill once"
    assert rig.engine.position == pytest.approx(venue.position / LOT)
    assert {order.order_id for order in rig.engine.open_orders} == {row["cloid"] for row in venue.orders.values()}
    for order in rig.engine.open_orders:
        row = venue.orders[int(str(order.order_id), 16)]
        assert order.remaining_size == pytest.approx(float(row["sz"]))
    told = Counter(trade for update in rig.told_of(TradesUpdate) for trade in update.trade_ids)
    assert max(told.values(), default=1) == 1, "no print twice"
    gaps = [(gap.last_seen_ms, gap.first_seen_ms) for gap in rig.of(TapeGap)]
    missing = [row for row in venue.trades if row["tid"] not in told]
    for row in missing:
        assert any(low <= row["time"] <= high for low, high in gaps), "a print lost without a word"
    assert set(told) <= {row["tid"] for row in venue.trades}
    assert {update.coin for update in rig.told_of(PositionUpdate)} == {COIN}


@pytest.mark.parametrize("seed", range(8))
def test_after_any_storm_each_print_and_fill_was_told_once(seed: int) -> None:
    rig = storm(seed, 400)
    check_storm(rig)
    assert len(rig.of(Ready)) >= 2
    assert len(rig.venue.fills) > 20


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(8, 300))
def test_after_three_hundred_storms(seed: int) -> None:
    check_storm(storm(seed, 600))
