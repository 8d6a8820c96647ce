"""The studies see an effect that is there, in its direction, and none that is not."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hypermm.cli import root
from hypermm.exceptions import RecordingError
from hypermm.recording import Recording
from hypermm.research.studies import funding_study, rate_spikes

START_NS = 1_757_000_000_000_000_000


def funding_folder(folder, effect_bps, hours=2_000, seed=3):
    """Rates around zero; the hour after each moves by −effect times its z-score, more or less."""
    rng = np.random.default_rng(seed)
    rates = 1e-5 * rng.standard_normal(hours)
    times = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(hours)]
    moves = -effect_bps * rates / 1e-5 + 20.0 * rng.standard_normal(hours)
    closes = 100.0 * np.exp(np.cumsum(moves) * 1e-4)
    opens = np.concatenate([[100.0], closes[:-1]])
    rows = [f"{time:%Y-%m-%dT%H:%M:%SZ},{rate}" for time, rate in zip(times, rates, strict=True)]
    candles = [f"{time:%Y-%m-%dT%H:%M:%SZ},{a},{a},{b},{b},1" for time, a, b in zip(times, opens, closes, strict=True)]
    for name, head, lines in (
        ("hourly_funding", "time,hourly_rate", rows),
        ("1h_candles", "time,open,high,low,close,volume", candles),
    ):
        with gzip.open(folder / f"BTC_{name}.csv.gz", "wt") as file:
            file.write("\n".join([head, *lines]) + "\n")
    return folder


def test_funding_that_precedes_falls_is_measured(tmp_path):
    # Kills: the sign of z, the hour before in place of the hour after, a z-score of another window.
    (row,) = funding_study(funding_folder(tmp_path, 6.0), ("BTC",))
    print(row)
    assert abs(row["alpha_bps"] - 6.0) < 3 * row["alpha_error_bps"] + 0.5
    assert row["r2"] > 0.04
    assert row["hours"] == 2_000 - 23


def test_funding_that_says_nothing_is_told_so(tmp_path):
    (row,) = funding_study(funding_folder(tmp_path, 0.0), ("BTC",))
    assert abs(row["alpha_bps"]) < 3 * row["alpha_error_bps"]
    assert row["r2"] < 0.005
    with pytest.raises(RecordingError, match="ETH_hourly_funding"):
        funding_study(tmp_path, ("ETH",))


def bursts(effect_bps, seed=5, minutes=60):
    """A calm tape with a burst of sells every two minutes, after which the mid falls over ten seconds."""
    rng = np.random.default_rng(seed)
    step_ns, rows = 500_000_000, minutes * 120
    times = START_NS + np.arange(rows) * step_ns
    moves = 0.05 * rng.standard_normal(rows)
    calm = np.sort(START_NS + (rng.random(minutes * 12) * rows * step_ns).astype(np.int64))
    sides = np.where(rng.random(len(calm)) < 0.5, 1, -1)
    burst = []
    for begin in range(600, rows - 100, 240):
        burst += [int(times[begin]) - 3_000_000 * (index + 1) for index in range(12)]
        moves[begin + 2 : begin + 22] -= effect_bps / 20
    mid = 2_000.0 * np.exp(np.cumsum(moves) * 1e-4)
    trade_times = np.concatenate([calm, burst])
    order = np.argsort(trade_times, kind="stable")
    sides = np.concatenate([sides, -np.ones(len(burst), int)])[order]
    trade_times = trade_times[order]
    ones = np.ones((rows, 1))
    return Recording.from_columns(
        "ETH",
        {
            "book_time_ns": times,
            "book_exchange_time_ns": times,
            "bid_prices": np.round(mid, 3)[:, None] - 0.1,
            "bid_sizes": ones,
            "ask_prices": np.round(mid, 3)[:, None] + 0.1,
            "ask_sizes": ones,
            "trade_time_ns": trade_times,
            "trade_exchange_time_ns": trade_times,
            "trade_price": np.full(len(trade_times), 2_000.0),
            "trade_size": np.ones(len(trade_times)),
            "trade_aggressor": sides.astype(np.int8),
            "trade_id": np.arange(1, len(trade_times) + 1, dtype=np.uint64),
        },
    )


def test_spikes_that_precede_falls_are_found_with_their_sign():
    # Kills: sides exchanged, the move before the spike counted, an error without its blocks.
    rows = {(row["spikes_of"], row["horizon_s"]): row for row in rate_spikes(bursts(2.0))}
    sells = rows["bids hit", 10]
    print(sells)
    assert sells["spikes"] >= 25
    assert sells["move_with_them_bps"] > 4 * sells["error_bps"]
    assert 1.0 < sells["move_with_them_bps"] < 2.4
    nothing = {(row["spikes_of"], row["horizon_s"]): row for row in rate_spikes(bursts(0.0))}["bids hit", 10]
    assert abs(nothing["move_with_them_bps"]) < 3 * nothing["error_bps"] + 0.05


def test_the_command_prints_one_object(tmp_path, capsys):
    from hypermm.recording.write import write_recording

    for coin in ("ETH", "SOL", "HYPE"):
        funding_folder(tmp_path, 1.0, hours=300)
        for name in ("hourly_funding", "1h_candles"):
            (tmp_path / f"{coin}_{name}.csv.gz").write_bytes((tmp_path / f"BTC_{name}.csv.gz").read_bytes())
    write_recording(bursts(2.0, minutes=12), tmp_path / "market")
    assert root.run(["studies", "--data", str(tmp_path / "market"), "--funding", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["rate_spikes"]) == 4
    assert [row["coin"] for row in said["funding"]] == ["BTC", "ETH", "SOL", "HYPE"]
    assert root.run(["studies"]) == 2
    assert "--data" in capsys.readouterr().err
