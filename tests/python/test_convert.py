"""What other programs recorded, in the shape their documentation gives, against rows worked out by hand."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as arrow
import pytest

from conftest import beside
from hypermm.cli.root import run
from hypermm.exceptions import InvalidInputError, RecordingError
from hypermm.recording import load_recording
from hypermm.recording.check import check_recording
from hypermm.recording.convert import read_source
from hypermm.recording.convert.archive import read_node_fills
from hypermm.recording.write import write_recording

if TYPE_CHECKING:
    from pathlib import Path

T_US = 1_725_000_000_000_000
HEAD = "exchange,symbol,timestamp,local_timestamp"


def _gzip(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def _lz4(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with arrow.output_stream(str(path), compression="lz4") as stream:
        stream.write(("\n".join(lines) + "\n").encode())
    return path


def _row(at_us: int, rest: str, symbol: str = "SOL") -> str:
    return f"hyperliquid,{symbol},{T_US + at_us},{T_US + at_us + 400},{rest}"


TRADES = [
    f"{HEAD},id,side,price,amount",
    _row(10, "900,buy,200.1,1.5"),
    _row(20, "901,sell,200.0,0.5"),
    _row(20, "902,sell,9.0,0.5", "BTC"),
    _row(30, "901,sell,200.0,0.5"),
]
SNAPSHOTS = [
    f"{HEAD},asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,asks[1].price,asks[1].amount,"
    "bids[1].price,bids[1].amount",
    _row(0, "200.1,5,200.0,4,200.2,6,199.9,3"),
    _row(50, "200.1,2,200.0,4,,,199.9,3"),
]
CHANGES = [
    f"{HEAD},is_snapshot,side,price,amount",
    _row(0, "false,bid,150.0,9"),  # before the first snapshot: nothing to change yet
    _row(5, "true,bid,200.0,4"),
    _row(5, "true,bid,199.9,3"),
    _row(5, "true,ask,200.1,5"),
    _row(5, "true,ask,200.2,6"),
    _row(60, "false,bid,200.0,0"),
    _row(60, "false,ask,200.1,2"),
    _row(70, "false,bid,200.1,7"),  # the ask at 200.1 is gone, though nobody says so
    _row(90, "true,bid,198.0,1"),
    _row(90, "true,ask,198.1,2"),
]
TICKER = [
    f"{HEAD},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,mark_price",
    _row(15, ",0.0000125,,1000.5,200.0,200.05,200.06"),
    _row(25, ",,,1001,200.0,,200.07"),
]


def test_tardis_snapshots_trades_and_ticker(tmp_path: Path) -> None:
    """Kills: clocks swapped or of the wrong unit, sides swapped, another symbol's rows, a print counted twice."""
    for name, lines in (("trades", TRADES), ("book_snapshot_5", SNAPSHOTS), ("derivative_ticker", TICKER)):
        _gzip(tmp_path / name / "2024" / "SOL.csv.gz", lines)
    found = read_source("tardis", tmp_path, "SOL")
    assert found.book_exchange_time_ns.tolist() == [T_US * 1000, (T_US + 50) * 1000]
    assert found.book_time_ns.tolist() == [(T_US + 400) * 1000, (T_US + 450) * 1000]
    assert found.bid_prices.tolist() == [[200.0, 199.9], [200.0, 199.9]]
    assert found.ask_sizes[0].tolist() == [5, 6]
    assert found.ask_sizes[1, 0] == 2
    assert np.isnan(found.ask_prices[1, 1])
    assert found.trade_id.tolist() == [900, 901]
    assert found.trade_aggressor.tolist() == [1, -1]
    assert found.trade_price.tolist() == [200.1, 200.0]
    assert found.trade_exchange_time_ns.tolist() == [(T_US + 10) * 1000, (T_US + 20) * 1000]
    assert found.mark_price.tolist() == [200.06, 200.07]
    assert found.oracle_price[0] == 200.05
    assert np.isnan(found.oracle_price[1])
    assert found.funding_rate[0] == 1.25e-5
    assert found.next_settlement_ns[0] % 3_600_000_000_000 == 0
    assert 0 < found.next_settlement_ns[0] - found.context_time_ns[0] <= 3_600_000_000_000


def test_tardis_changes_become_books_after_each_receive_time(tmp_path: Path) -> None:
    """Kills: a book before the first snapshot, a snapshot laid over the old book, crossed books, a removed level."""
    _gzip(tmp_path / "incremental.csv.gz", CHANGES)
    found = read_source("tardis", tmp_path, "SOL")
    bids = [[level for level in row if level == level] for row in found.bid_prices.tolist()]
    asks = [[level for level in row if level == level] for row in found.ask_prices.tolist()]
    assert bids == [[200.0, 199.9], [199.9], [200.1, 199.9], [198.0]]
    assert asks == [[200.1, 200.2], [200.1, 200.2], [200.2], [198.1]]
    assert found.ask_sizes[1, 0] == 2
    assert [(time - T_US * 1000) // 1000 - 400 for time in found.book_time_ns.tolist()] == [5, 60, 70, 90]


@pytest.mark.parametrize(
    ("lines", "field", "row"),
    [
        ([*TRADES, _row(40, "903,unknown,200.0,1")], ":side", 6),
        ([*TRADES, _row(40, "903,buy,-200.0,1")], ":price", 6),
        ([*TRADES, _row(40, "903,buy,200.0,nan")], ":amount", 6),
        ([*TRADES, _row(40, "x,buy,200.0,1")], ":id", 6),
        ([*TRADES, _row(40, "903,buy")], "", 6),
        ([*TRADES, "hyperliquid,SOL,1725000000,1725000000,903,buy,200.0,1"], ":local_timestamp", 6),
        ([*CHANGES, _row(95, "false,bid,199.0,-1")], ":amount", 12),
        (["a,b,c"], "", 1),
    ],
)
def test_a_bad_cell_of_tardis_is_named_with_file_and_line(
    lines: list[str], field: str, row: int, tmp_path: Path
) -> None:
    _gzip(tmp_path / "bad.csv.gz", lines)
    with pytest.raises(RecordingError) as caught:
        read_source("tardis", tmp_path, "SOL")
    assert (caught.value.field, caught.value.row) == (f"bad.csv.gz{field}", row)


def test_two_kinds_of_book_are_not_mixed(tmp_path: Path) -> None:
    _gzip(tmp_path / "a.csv.gz", SNAPSHOTS)
    _gzip(tmp_path / "b.csv.gz", CHANGES)
    with pytest.raises(RecordingError, match="not both"):
        read_source("tardis", tmp_path, "SOL")


def _book(second: str, venue_ms: int, coin: str = "SOL") -> str:
    sides = [
        [{"px": "19.0", "sz": "1.0", "n": 1}, {"px": "18.9", "sz": "2.5", "n": 3}],
        [{"px": "19.1", "sz": "4.0", "n": 2}],
    ]
    data = {"coin": coin, "time": venue_ms, "levels": sides}
    return json.dumps({"time": f"2023-09-16T09:00:{second}", "ver_num": 1, "raw": {"channel": "l2Book", "data": data}})


CONTEXTS = [
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,impact_ask_px",
    "2023-09-16T09:00:00Z,SOL,0.0000125,1000.0,18.0,1e6,0.0001,19.05,19.06,19.05,19.0,19.1",
    "2023-09-16T09:00:00Z,BTC,0.0000125,1000.0,18.0,1e6,0.0001,26000,26001,26000,1,2",
    "2023-09-16 09:01:00,SOL,,1000.0,18.0,1e6,,19.05,19.07,,,",
]


def _leg(side: str, crossed: bool, tid: int, venue_ms: int) -> list[Any]:
    fill = {"coin": "SOL", "px": "19.1", "sz": "0.5", "side": side, "time": venue_ms, "crossed": crossed, "tid": tid}
    return ["0xuser", fill]


def test_archive_books_contexts_and_fills(tmp_path: Path) -> None:
    """Kills: the outer and the inner time swapped, nanoseconds lost, the passive leg taken, both counted."""
    venue_ms = 1_694_854_800_000
    _lz4(tmp_path / "l2Book" / "SOL.lz4", [_book("00.123456789", venue_ms), _book("01.5", venue_ms + 900)])
    _lz4(tmp_path / "asset_ctxs" / "20230916.csv.lz4", CONTEXTS)
    block = {
        "local_time": "2023-09-16T09:00:01.000000001",
        "block_time": "2023-09-16T09:00:00.700",
        "block_number": 1,
        "events": [_leg("A", False, 7, venue_ms + 700), _leg("B", True, 7, venue_ms + 700)],
    }
    old = [_leg("A", True, 8, venue_ms + 800), _leg("B", False, 8, venue_ms + 800)]
    _lz4(tmp_path / "node_fills_by_block" / "9.lz4", [json.dumps(block)])
    _lz4(tmp_path / "node_fills" / "9.lz4", [json.dumps(leg) for leg in old])
    found = read_source("hyperliquid", tmp_path, "SOL")
    second = venue_ms // 1000 * 1_000_000_000
    assert found.book_time_ns.tolist() == [second + 123_456_789, second + 1_500_000_000]
    assert found.book_exchange_time_ns.tolist() == [second, second + 900_000_000]
    assert found.bid_sizes[0].tolist() == [1.0, 2.5]
    assert found.ask_prices[0, 0] == 19.1
    assert np.isnan(found.ask_prices[0, 1])
    assert found.trade_id.tolist() == [8, 7]
    assert found.trade_aggressor.tolist() == [-1, 1]
    assert found.trade_time_ns.tolist() == [second + 800_000_000, second + 1_000_000_001]
    assert found.trade_exchange_time_ns.tolist() == [second + 800_000_000, second + 700_000_000]
    assert found.mark_price.tolist() == [19.06, 19.07]
    assert np.isnan(found.funding_rate[1])
    assert found.next_settlement_ns.tolist() == [second + 3_600_000_000_000] * 2


def test_a_bad_line_of_the_archive_is_named(tmp_path: Path) -> None:
    good = _book("00.1", 1_694_854_800_000)
    for name, bad in {
        "cut": good[:80],
        "levels": good.replace('"levels"', '"sides"'),
        "price": good.replace('"19.0"', '"-1"'),
        "time": good.replace("09:00:00", "29:00:00"),
    }.items():
        file = _lz4(tmp_path / name / "SOL.lz4", [good, bad])
        with pytest.raises(RecordingError) as caught:
            read_source("hyperliquid", file, "SOL")
        assert caught.value.row == 2, name
        assert caught.value.field.startswith("SOL.lz4")
    with pytest.raises(RecordingError, match="symbol"):
        read_source("hyperliquid", _lz4(tmp_path / "SOL.lz4", [good]), "ETH")
    with pytest.raises(InvalidInputError):
        read_source("binance", tmp_path, "SOL")
    damaged = tmp_path / "damaged.lz4"
    damaged.write_bytes(b"not a frame")
    with pytest.raises(RecordingError, match="damaged"):
        read_source("hyperliquid", damaged, "SOL")


def test_node_fills_of_the_chain_are_prints_once_each() -> None:
    """Held against the file read again: of each trade two legs, of which the crossed one is the aggressor's."""
    folder = beside("node-fills")
    legs: dict[int, list[dict[str, Any]]] = defaultdict(list)
    with arrow.input_stream(str(next(folder.glob("*.zst"))), compression="zstd") as stream:
        for line in stream.read().splitlines():
            for _, fill in json.loads(line)["events"]:
                if fill["coin"] == "ETH":
                    legs[fill["tid"]].append(fill)
    found = read_node_fills(folder, "ETH")
    print(f"{len(legs)} trades of ETH, {found['trade_size'].sum():.4f} contracts")
    assert len(legs) > 100
    assert sorted(found["trade_id"].tolist()) == sorted(legs)
    assert (np.diff(found["trade_time_ns"]) >= 0).all()
    for name, price, size, sign in zip(
        *(found[f"trade_{what}"].tolist() for what in ("id", "price", "size", "aggressor")), strict=True
    ):
        aggressor = next(fill for fill in legs[name] if fill["crossed"])
        assert (price, size) == (float(aggressor["px"]), float(aggressor["sz"]))
        assert sign == (1 if aggressor["side"] == "B" else -1)


EVENT = [("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8")]
BOTH, EXCHANGE_ONLY, BUY, SELL = 3 << 30, 2 << 30, 1 << 29, 1 << 28
NPZ = [
    (4 | BOTH | BUY, 1_000, 1_400, 99.9, 3.0),
    (4 | BOTH | SELL, 1_000, 1_400, 100.1, 4.0),
    (1 | EXCHANGE_ONLY | BUY, 1_100, 1_450, 99.8, 50.0),  # the trader sees it later, as a row of its own
    (2 | BOTH | SELL, 1_200, 1_600, 99.9, 1.0),
    (1 | BOTH | BUY, 1_200, 1_600, 99.9, 2.0),
    (1 | BOTH | BUY, 1_300, 1_700, 99.9, 0.0),
]


def test_hftbacktest_rows_the_trader_saw(tmp_path: Path) -> None:
    """Kills: rows of the exchange's clock counted too, a level of no size kept, aggressors swapped."""
    np.savez(tmp_path / "a.npz", data=np.array([*NPZ, (1 | BOTH | BUY, 1_300, 1_700, 99.7, 6.0)], EVENT))
    found = read_source("hftbacktest", tmp_path, "ETH")
    assert found.book_time_ns.tolist() == [1_400, 1_600, 1_700]
    assert found.book_exchange_time_ns.tolist() == [1_000, 1_200, 1_300]
    assert found.bid_prices[:, 0].tolist() == [99.9, 99.9, 99.7]
    assert found.bid_sizes[:, 0].tolist() == [3.0, 2.0, 6.0]
    assert found.trade_aggressor.tolist() == [-1]
    for row, field in [
        ((1 | BOTH | BUY, 1_400, 1_650, 99.0, 1.0), "local_ts"),
        ((2 | BOTH | BUY, 1_400, 1_750, 99.0, 0.0), "qty"),
        ((1 | BOTH | BUY, 1_400, 1_750, -1.0, 1.0), "px"),
        ((1 | BOTH, 1_400, 1_750, 99.0, 1.0), "ev"),
    ]:
        np.savez(tmp_path / "a.npz", data=np.array([*NPZ, row], EVENT))
        with pytest.raises(RecordingError) as caught:
            read_source("hftbacktest", tmp_path, "ETH")
        assert (caught.value.field, caught.value.row) == (f"a.npz:{field}", len(NPZ))


def test_what_was_converted_is_a_recording_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _gzip(tmp_path / "in" / "trades.csv.gz", TRADES)
    _gzip(tmp_path / "in" / "book.csv.gz", SNAPSHOTS)
    command = ["data", "convert", "--from", "tardis", "--data", str(tmp_path / "in"), "--coin", "SOL"]
    assert run([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == {"book": 2, "best": 0, "trade": 2, "context": 0}
    found = load_recording(tmp_path / "out", "SOL")
    assert found.trade_id.tolist() == [900, 901]
    assert run(["data", "check", str(tmp_path / "out")]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_check_names_everything_with_row_and_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: a check that stops at the first thing, counts lines from elsewhere, or says no mend."""
    _gzip(tmp_path / "in" / "trades.csv.gz", TRADES)
    _gzip(tmp_path / "in" / "book.csv.gz", SNAPSHOTS)
    write_recording(read_source("tardis", tmp_path / "in", "SOL"), tmp_path)
    for file in tmp_path.glob("*.parquet"):
        file.unlink()
    header = "timestamp,exchange_timestamp,bid_price_0,bid_size_0,ask_price_0,ask_size_0,bid_price_1,bid_size_1,note"
    rows = [
        "1725000001.0,1725000000600,200.0,1,200.1,1,199.9,1,0",
        "1725000000.5,1725000000700,200.0,1,200.1,1,199.9,1,0",  # line 3: before the row above
        "1725000002.0,1725000000800,200.0,1,199.9,1,199.8,1,0",  # line 4: crossed
        "1725000003.0,1725000000900,200.0,-1,200.1,1,200.0,1,0",  # line 5: negative size, level not beyond
        "1725000004.0,1725000001000,200.123,1,200.2,1,200.1,1,0",  # line 6: off the grid
        "1725000005.0,1725000001100,200.123,1,200.2,1,200.1,1,0",
        "1725000006.0,1725000000850,200.0,1,200.1,1,199.9,1,0",  # line 8: of an earlier block than the row above
    ]
    _gzip(tmp_path / "orderbooks_SOL.csv.gz", [header, *rows])
    _gzip(tmp_path / "notes.csv.gz", ["a,b", "1,2"])
    findings = {(found.file, found.column, found.row): found for found in check_recording(tmp_path)}
    book = "orderbooks_SOL.csv.gz"
    expected = {
        (book, "note", None): "unknown column",
        (book, "timestamp", 3): "earlier",
        (book, "exchange_timestamp", 8): "earlier",
        (book, "bid_price_0", 4): "crossed",
        (book, "bid_size_0", 5): "negative",
        (book, "bid_price_1", 5): "not beyond",
        (book, "bid_price_0", 6): "grid",
        ("notes.csv.gz", "", None): "not orderbooks_COIN",
    }
    assert findings.keys() == expected.keys()
    for place, word in expected.items():
        assert word in findings[place].problem
        assert findings[place].mend
    assert findings[book, "bid_price_0", 6].rows == 2
    assert run(["data", "check", str(tmp_path)]) == 2
    shown = capsys.readouterr().out
    assert f"{book} row 6, bid_price_0 = 200.123: off the venue's price grid (2 rows)" in shown


def test_check_finds_nothing_in_the_real_recordings(real_recordings: Path) -> None:
    assert check_recording(real_recordings) == []
