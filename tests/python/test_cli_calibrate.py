"""`hypermm calibrate` and `hypermm validate`, on markets written to disk."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

import hypermm
from hypermm.cli import root
from hypermm.config.calibration_file import encode_calibration, load_calibration
from hypermm.recording import Recording
from hypermm.recording.convert import read_standx
from hypermm.recording.convert.standx import infer_aggressor
from hypermm.recording.write import write_recording
from test_calibration_file import artifact


def run(*arguments):
    return root.run([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Half an hour whose best sizes lean to where the price is going: the drift seen through the book."""
    columns = hypermm.synthetic_session(
        3,
        2_400.0,
        volatility=1.0,
        drift_mean_reversion_per_s=0.05,
        drift_deviation_bps_per_s=0.3,
        start_price=2_000.0,
        latency_s=0.0,
    )
    mid = (columns["bid_prices"][:, 0] + columns["ask_prices"][:, 0]) / 2
    times = columns["book_time_ns"]
    later = np.searchsorted(times, times + 10_000_000_000)
    ahead = np.log(mid[np.minimum(later, len(mid) - 1)] / mid) * 1e4
    # What will be, under noise: the feature pipeline is to find it in the book's imbalance.
    lean = np.tanh(0.15 * ahead + np.random.default_rng(1).standard_normal(len(ahead)))
    columns["bid_sizes"] = np.round(columns["bid_sizes"] * (1 + 0.9 * lean[:, None]), 4) + 0.0001
    columns["ask_sizes"] = np.round(columns["ask_sizes"] * (1 - 0.9 * lean[:, None]), 4) + 0.0001
    for name in (
        "best_time_ns",
        "best_exchange_time_ns",
        "best_bid_price",
        "best_bid_size",
        "best_ask_price",
        "best_ask_size",
    ):
        columns.pop(name, None)
    target = tmp_path_factory.mktemp("market")
    write_recording(Recording.from_columns("ETH", columns), target)
    return target


def test_calibrate_then_validate(folder, tmp_path, capsys):
    out = tmp_path / "calibration.json"
    assert run("calibrate", "--data", folder, "--coin", "ETH", "--out", out, "--span", "0:0.5", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [feature["name"] for feature in said["accepted"]][:1] != []
    assert said["accepted"][0]["name"].startswith("book_imbalance")
    assert said["provisional"] is True
    assert len(said["features"]) == len(hypermm.feature_table())
    assert (tmp_path / "calibration.html").stat().st_size > 100_000
    artifact = load_calibration(out)
    assert artifact.coin == "ETH"
    assert run("validate", "--calibration", out, "--data", folder, "--coin", "ETH", "--json") == 0
    judged = json.loads(capsys.readouterr().out)
    print({name: judged[name] for name in ("forecast_r2", "forecast_r2_error", "best_single_r2", "slope")})
    assert judged["forecast_r2"] > 0.02
    assert judged["independent_windows"] > 90
    # Kills: the charge judged on rows it was fitted to, by figures that a user is not shown.
    charge = judged["adverse_selection"]
    assert charge["events"] > 100
    assert abs(charge["r2"]) < 0.1 > charge["r2_error"] > 0.0
    assert [artifact.adverse_selection.ratio.state, artifact.adverse_selection.tail_factor.state] == ["rejected"] * 2
    assert (charge["ratio"], charge["tail_factor"]) == (0.5, 0.1)
    # Kills: an age by today's clock, or of the file in place of its data.
    assert (judged["in_sample"], 0.0 < judged["age_share"] < 0.001) == (False, True)
    again = ["validate", "--calibration", tmp_path / "moved.json", "--data", folder, "--coin", "ETH", "--json"]
    day_ns, span_ns = 86_400 * 10**9, artifact.data_to_ns - artifact.data_from_ns
    for later_ns, code, said_of_it in (
        (span_ns, 0, "in-sample"),
        (-4 * day_ns, 0, "4.0 days before its use"),
        (-8 * day_ns, 2, "8.0 days before their use"),
    ):
        # Kills: what came after the judged rows without a word, old data taken.
        span = {name: getattr(artifact, name) + later_ns for name in ("data_from_ns", "data_to_ns")}
        (tmp_path / "moved.json").write_bytes(encode_calibration(msgspec.structs.replace(artifact, **span)))
        assert run(*again) == code
        assert said_of_it in capsys.readouterr().err
    assert run("calibrate", "--data", folder, "--coin", "ETH", "--out", out, "--no-replay", "--cost-test", "taker") == 0
    whole = load_calibration(out)
    assert whole.data_to_ns > artifact.data_to_ns
    assert whole.data_hash != artifact.data_hash
    capsys.readouterr()
    assert run("validate", "--calibration", out, "--data", folder, "--coin", "ETH") == 2
    assert "not fitted to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--coin", "BTC"), "BTC"),
        (("--coin", "ETH", "--span", "0.5"), "FROM:TO"),
        (("--coin", "ETH", "--span", "0.6:0.5"), "FROM:TO"),
        (("--coin", "ETH", "--span", "0:0.1"), "15 minutes"),
        (("--coin", "ETH", "--lead", "ETH"), "another coin"),
    ],
)
def test_what_cannot_be_calibrated_is_said_in_one_line(folder, tmp_path, capsys, arguments, said):
    assert run("calibrate", "--data", folder, "--out", tmp_path / "c.json", *arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize("command", ["calibrate", "validate"])
def test_a_coin_that_is_not_recorded_is_told_by_what_is(folder, tmp_path, capsys, command):
    # Kills: the list of every packaged contract, of which the folder holds one.
    (tmp_path / "c.json").write_bytes(encode_calibration(artifact()))
    files = ["--calibration" if command == "validate" else "--out", tmp_path / "c.json"]
    assert run(command, "--data", folder, "--coin", "DOGE", *files) == 2
    assert "coin = DOGE: expected one of ETH\n" in capsys.readouterr().err


def test_the_aggressor_is_told_from_the_book_before_the_print():
    # Kills: the book after the print, buys and sells exchanged, a tie without the tick rule.
    book_time, mid = np.array([10, 20]), np.array([100.0, 102.0])
    times = np.array([5, 11, 12, 19, 20, 21, 22])
    prices = np.array([99.0, 100.5, 99.5, 101.0, 101.5, 102.0, 102.0])
    assert infer_aggressor(times, prices, book_time, mid).tolist() == [-1, 1, -1, 1, -1, 1, 1]


def test_standx_files_become_a_recording(tmp_path):
    levels = ",".join(f"bp{i},bq{i},ap{i},aq{i}" for i in range(5))
    locked = "100.1,0.5,100.1,0.2,100.0,0.1,100.2,0.3,99.9,1,100.3,1,99.8,1,100.4,1,99.7,1,100.5,1"
    plain = "100.1,0.5,100.3,0.2,100.0,0.1,100.4,0.3,99.9,1,100.5,1,99.8,1,100.6,1,99.7,1,100.7,1"
    (tmp_path / "book_top5_500ms.csv").write_text(
        f"ts_ms,recv_ms,{levels}\n1000000000000,1000000000100,{locked}\n1000000000500,1000000000600,{plain}\n"
    )
    (tmp_path / "trades.csv").write_text(
        "ts_ms,recv_ms,price,quantity,side\n1000000000400,1000000000700,100.13,0.02,SELL\n1000000000450,1000000000690,100.05,0.01,SELL\n"
    )
    recording = read_standx(tmp_path, "BTC")
    # Ten of the venue's contracts make one; the locked ask is one unit up and its next level joined it.
    assert recording.bid_prices[0, 0] == 1001
    assert recording.ask_prices[0].tolist()[:4] == [1002, 1003, 1004, 1005]
    assert np.isnan(recording.ask_prices[0, 4])
    assert recording.ask_sizes[0, 0] == pytest.approx(0.05)
    assert recording.ask_prices[1, 0] == 1003
    # The second book, received before both prints, has its mid above them, whenever the venue printed.
    assert recording.trade_aggressor.tolist() == [-1, -1]
    assert (np.diff(recording.trade_time_ns) >= 0).all()
    # Kills: a book of before the print by the venue's clock that was received only after it.
    late = plain.replace("100.1,0.5,100.3", "100.2,0.5,100.3")
    (tmp_path / "book_top5_500ms.csv").write_text(
        f"ts_ms,recv_ms,{levels}\n1000000000000,1000000000100,{locked}\n1000000000300,1000000000800,{late}\n"
    )
    assert read_standx(tmp_path, "BTC").trade_aggressor.tolist() == [1, -1]
    (tmp_path / "trades.csv").write_text("ts_ms,price\n1,2\n")
    with pytest.raises(hypermm.RecordingError, match="recv_ms"):
        read_standx(tmp_path, "BTC")
