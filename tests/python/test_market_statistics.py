"""Statistics of a market against markets made by hand and laws drawn here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hypermm.exceptions import RecordingError
from hypermm.recording import Recording
from hypermm.research.market_rates import fill_rate, law_rate, reach_rate
from hypermm.research.market_statistics import Statistic, bootstrap_errors, market_statistics, market_tape, reaches

NS = 1_000_000_000
START_NS = 1_757_000_000 * NS


def made(
    event_s: Any,
    side: Any,
    reach_bps: Any = 0.0,
    *,
    span_s: float = 1_000.0,
    mid: Any = None,
    gap: tuple[float, float] | None = None,
    half: float = 0.5,
) -> Recording:
    """A market around 10,000 with a tick of a basis point: books and best prices twice a second, one print an event."""
    times = np.arange(0.0, span_s, 0.5)
    if gap is not None:
        times = times[(times <= gap[0]) | (times >= gap[1])]
    middle = np.full(len(times), 10_000.0) if mid is None else np.asarray(mid(times))
    time_ns = START_NS + (times * NS).astype(np.int64)
    level = np.arange(5.0)
    event_s = np.asarray(event_s, float)
    event_ns = START_NS + (event_s * NS).astype(np.int64)
    side = np.asarray(side)
    at = middle[np.maximum(np.searchsorted(times, event_s, side="left") - 1, 0)]
    columns = {
        "book_time_ns": time_ns,
        "book_exchange_time_ns": time_ns,
        "bid_prices": middle[:, None] - half - level,
        "bid_sizes": np.tile(10.0 + level, (len(times), 1)),
        "ask_prices": middle[:, None] + half + level,
        "ask_sizes": np.tile(30.0 + level, (len(times), 1)),
        "best_time_ns": time_ns,
        "best_exchange_time_ns": time_ns,
        "best_bid_price": middle - half,
        "best_bid_size": np.full(len(times), 10.0),
        "best_ask_price": middle + half,
        "best_ask_size": np.full(len(times), 30.0),
        "trade_time_ns": event_ns,
        "trade_exchange_time_ns": event_ns,
        "trade_price": (at + side * half) * (1.0 + side * np.asarray(reach_bps) * 1e-4),
        "trade_size": np.full(len(event_s), 2.0),
        "trade_aggressor": side.astype(np.int8),
        "trade_id": np.arange(1, len(event_s) + 1, dtype=np.uint64),
    }
    return Recording.from_columns("MADE", columns)


def values(recording: Recording) -> dict[str, float]:
    return {item.name: item.value for item in market_statistics(market_tape(recording))}


def test_a_market_made_by_hand_has_the_statistics_it_was_made_with() -> None:
    # The mid goes up a tick for a second each ten seconds, and back.
    found = values(made(np.arange(1.25, 999, 4.0), np.tile([1, -1], 125), mid=lambda t: 10_000.0 + (t % 10 >= 9)))
    assert found["spread, mean, bps"] == pytest.approx(1.0, rel=1e-3)
    assert found["spread at its narrowest, share of time"] == 1.0
    assert found["mid moves, 1/s"] == pytest.approx(0.2, rel=0.01)
    assert found["life of a best price, mean, s"] == pytest.approx(5.0, rel=0.01)
    assert found["touch size, mean"] == 20.0
    assert found["3rd level size, mean"] == 22.0
    assert found["depth within 2 bps of the mid, mean"] == pytest.approx(0.5 * (10 + 11 + 30 + 31))
    assert found["events, 1/s"] == pytest.approx(0.25, rel=0.01)
    assert found["prints an event, mean"] == 1.0
    assert found["event size, 50% quantile"] == 2.0
    assert found["sign autocorrelation, lag 1"] == pytest.approx(-1.0, abs=1e-6)
    assert found["sign autocorrelation, lag 2"] == pytest.approx(1.0, abs=1e-6)
    # Half of the seconds before the change see it come, half of those in it see it go.
    moved = np.zeros(1_000)
    moved[8::10], moved[9::10] = 1.0, -1.0
    assert found["return deviation, 1 s, bps"] == pytest.approx(moved.std(), rel=0.02)
    assert "20th level size, mean" not in found


def test_prints_of_one_time_and_side_are_one_event() -> None:
    recording = made(np.repeat(np.arange(1.0, 999.0, 4.0), 3), np.tile([1, 1, -1], 250), np.tile([0.0, 3.0, 0.0], 250))
    tape = market_tape(recording)
    assert len(tape.event_s) == 500
    assert sorted(set(tape.prints)) == [1.0, 2.0]
    assert tape.size[tape.side > 0].tolist() == [4.0] * 250
    assert reaches(tape)[tape.side > 0] == pytest.approx(np.full(250, 3.0), abs=1e-6)
    assert reaches(tape)[tape.side < 0] == pytest.approx(np.zeros(250), abs=1e-6)


# Kills: a decay that counts what stays at the touch; a Fano factor of something else than counts.
def test_laws_that_events_are_drawn_from_are_found_again() -> None:
    random = np.random.default_rng(5)
    times = np.cumsum(random.exponential(0.25, 40_000))
    reach = np.where(random.uniform(size=40_000) < 0.3, random.exponential(1 / 0.7, 40_000), 0.0)
    recording = made(times, random.choice([-1, 1], 40_000), reach, span_s=float(times[-1]))
    found = values(recording)
    print({name: round(value, 3) for name, value in found.items() if "Fano" in name or "beyond" in name})
    assert found["decay k of prints beyond the touch, 1/bps"] == pytest.approx(0.7, rel=0.03)
    assert found["events beyond the touch, share"] == pytest.approx(0.3 * np.exp(-0.007), rel=0.05)
    assert found["events beyond it by 2 bps, share"] == pytest.approx(0.3 * np.exp(-1.4), rel=0.08)
    for window in (1, 10, 60):
        assert found[f"Fano factor of events, {window} s"] == pytest.approx(1.0, abs=0.25)
    assert abs(found["sign autocorrelation, lag 1"]) < 0.02
    rate = reach_rate(market_tape(recording), 2.5)
    # Half a tick from the mid to the touch: 0.5 bps.
    assert rate.reaching_per_s == pytest.approx(4.0 * 0.3 * np.exp(-0.7 * 2.0), rel=0.08)
    assert rate.events_per_s == pytest.approx(4.0, rel=0.02)
    assert rate.branching < 0.15
    assert law_rate(rate.reaching_per_s / 0.3, 2.5, 0.7) == pytest.approx(4.0 * np.exp(0.35), rel=0.08)


def test_nothing_is_read_across_a_gap() -> None:
    # The mid jumps by 50 bps while nobody looks.
    whole = made(np.arange(1.0, 999.0, 2.0), np.tile([1], 499), mid=lambda t: 10_000.0 + 0.001 * t)
    torn = made(
        np.arange(1.0, 999.0, 2.0), np.tile([1], 499), gap=(400.0, 420.0), mid=lambda t: 10_000.0 + 50.0 * (t > 410)
    )
    tape = market_tape(torn)
    assert tape.gaps.tolist() == [[400.0, 420.0]]
    assert values(torn)["return deviation, 10 s, bps"] == pytest.approx(0.0, abs=1e-9)
    assert len(market_tape(whole).gaps) == 0
    second = tape.between(300.0, 900.0)
    assert second.gaps.tolist() == [[100.0, 120.0]]
    assert second.span_s == 600.0
    assert second.mid_at(np.array([50.0, 150.0])).tolist() == [10_000.0, 10_050.0]


# Oracle: the error of a mean of independent draws, and of block means where draws come in rows.
def test_errors_by_the_bootstrap_know_what_neighbors_have_in_common() -> None:
    random = np.random.default_rng(1)
    block = np.repeat(np.arange(60), 50)

    def mean(rows: Any) -> float:
        return float(rows[:, 0].mean())

    def item(rows: Any) -> Statistic:
        return Statistic("mean", mean(rows), rows, block, mean)

    free = random.normal(size=(3_000, 1))
    rows = np.repeat(random.normal(size=60), 50)[:, None]
    errors = bootstrap_errors([item(free), item(rows)], draws=400, seed=2)
    assert errors[0] == pytest.approx(1.0 / np.sqrt(3_000), rel=0.25)
    assert errors[1] == pytest.approx(1.0 / np.sqrt(60), rel=0.25)
    assert bootstrap_errors([item(free)], seed=3) == bootstrap_errors([item(free)], seed=3)


@pytest.mark.parametrize(
    ("recording", "field", "words"),
    [
        (lambda: made(np.arange(1.0, 100.0), np.ones(99), span_s=120.0), "recording", "at least 300 s"),
        (lambda: made([1.0, 2.0], [1, -1]), "trade_time_ns", "at least 50 aggressor events"),
        (lambda: made([1.0], [1], span_s=10.0), "best_time_ns", "at least 50 rows"),
    ],
)
def test_too_little_is_refused(recording: Any, field: str, words: str) -> None:
    with pytest.raises(RecordingError) as refused:
        market_tape(recording())
    print(refused.value)
    assert field in refused.value.field
    assert "MADE" in refused.value.field
    assert words in str(refused.value)


def test_a_record_of_fills_has_its_rate(tmp_path: Any) -> None:
    path = tmp_path / "fills.csv"
    lines = [
        f"2026-02-12 20:{minute:02d}:{second:02d},{depth}"
        for minute in range(20)
        for second, depth in ((0, 2.0), (30, ""))
    ]
    path.write_text("\n".join(["utc,realized_spread_bps", *lines, "2026-02-12 23:00:00,2.0"]) + "\n", "utf-8")
    found = fill_rate(path)
    assert (found.fills, found.seconds, found.per_s) == (41, 1_170.0, pytest.approx(1.0 / 30.0))
    assert found.median_depth_bps == 2.0
    for text, words in (
        ("time\n1\n", "utc"),
        ("utc\nnoon\n", "noon"),
        ("utc\n2026-02-12 20:00:00\n", "at least 20 fills"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(RecordingError, match=words):
            fill_rate(path)
    with pytest.raises(RecordingError, match="nowhere"):
        fill_rate(tmp_path / "nowhere.csv")
