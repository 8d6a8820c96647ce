"""Recordings: what is read, what is dropped, and what a damaged file says."""

from __future__ import annotations

import gzip
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hypermm
from hypermm.exceptions import HypermmError, InvalidInputError, RecordingError, UnknownCoinError
from hypermm.recording import COLUMNS, Recording, available_coins, load_recording
from hypermm.recording.convert import convert_recording

BEGIN_S = 1_757_015_216
COIN = "ETH"
INSTRUMENT = hypermm.Instrument(COIN, size_decimals=2, max_leverage=25)


def _book_line(second: float, bid: float = 100.0, ask: float = 100.1) -> str:
    venue_ms = int((BEGIN_S + second) * 1e3) - 400
    levels = f"{bid},1.5,{ask},2.5,{bid - 0.1:.1f},3.0,{ask + 0.1:.1f},4.0"
    return f"{BEGIN_S + second:.7f},1,{venue_ms},{levels}"


BOOK_HEADER = (
    "timestamp,sequence,exchange_timestamp,bid_price_0,bid_size_0,ask_price_0,ask_size_0,"
    "bid_price_1,bid_size_1,ask_price_1,ask_size_1"
)
BOOKS = [BOOK_HEADER, *(_book_line(0.5 * index) for index in range(6))]
PRICES = ["timestamp,price,size,side,exchange_timestamp"]
for _index in range(4):
    _clock = f"{BEGIN_S + 0.1 + 0.4 * _index:.7f}"
    _venue = str(BEGIN_S * 1000 + 400 * _index - 300)
    PRICES += [f"{_clock},100.0,1.5,bid,{_venue}", f"{_clock},100.1,2.5,ask,{_venue}"]
TRADES = [
    "timestamp,price,size,side,trade_id,exchange_timestamp",
    f"{BEGIN_S}.8704605,99.9,0.5,buy,11,{BEGIN_S * 1000 - 9000}",  # older than the first book: a replay
    f"{BEGIN_S}.8704605,100.0,0.5,sell,12,{BEGIN_S * 1000 + 100}",
    f"{BEGIN_S + 1}.25,100.1,0.25,buy,1125890010744384,{BEGIN_S * 1000 + 900}",
    f"{BEGIN_S + 1}.5,100.0,0.5,sell,12,{BEGIN_S * 1000 + 100}",  # the same print again
]


def _write(folder: Path, stream: str, lines: list[str]) -> Path:
    path = folder / f"{stream}_{COIN}.csv.gz"
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for stream, lines in (("orderbooks", BOOKS), ("prices", PRICES), ("trades", TRADES)):
        _write(tmp_path, stream, lines)
    return tmp_path


def _edit(lines: list[str], line: int, column: str, text: str) -> list[str]:
    """The lines with one cell replaced; `line` counts as editors do."""
    edited = list(lines)
    cells = edited[line - 1].split(",")
    cells[lines[0].split(",").index(column)] = text
    edited[line - 1] = ",".join(cells)
    return edited


def test_both_clocks_are_read_exactly(folder: Path) -> None:
    recording = load_recording(folder, COIN)
    assert recording.trade_time_ns[0] == BEGIN_S * 1_000_000_000 + 870_460_500
    assert recording.trade_exchange_time_ns[0] == BEGIN_S * 1_000_000_000 + 100_000_000
    assert recording.bid_prices.shape == (6, 2)
    assert recording.best_bid_price.tolist() == [100.0] * 4
    assert recording.best_ask_size.tolist() == [2.5] * 4
    assert recording.trade_id.tolist() == [12, 1125890010744384]
    assert recording.trade_aggressor.tolist() == [-1, 1]
    assert recording.span_s == pytest.approx(2.5)


def test_replayed_and_repeated_prints_are_dropped_and_counted(folder: Path) -> None:
    recording = load_recording(folder, COIN)
    assert (recording.dropped_replay_trades, recording.dropped_duplicate_trades) == (1, 1)
    assert len(recording.trade_price) == 2


def test_a_best_row_alone_is_a_one_sided_market(folder: Path) -> None:
    _write(folder, "prices", PRICES[:2] + PRICES[3:])
    recording = load_recording(folder, COIN)
    assert np.isnan(recording.best_ask_price[0])
    assert recording.best_bid_price[0] == 100.0
    assert np.isfinite(recording.best_ask_price[1:]).all()


def test_a_missing_level_is_nan_and_ends_the_side(folder: Path) -> None:
    lines = _edit(_edit(BOOKS, 3, "bid_price_1", ""), 3, "bid_size_1", "")
    _write(folder, "orderbooks", lines)
    recording = load_recording(folder, COIN)
    assert np.isnan(recording.bid_prices[1, 1])
    assert np.isfinite(recording.bid_prices[:, 0]).all()


def test_columns_are_read_only_contiguous_and_pickle(folder: Path) -> None:
    recording = load_recording(folder, COIN)
    again = pickle.loads(pickle.dumps(recording))
    assert recording.columns().keys() == COLUMNS.keys()
    for name, array in recording.columns().items():
        assert not array.flags.writeable, name
        assert array.flags.c_contiguous, name
        assert array.dtype == COLUMNS[name].dtype, name
        assert np.array_equal(array, getattr(again, name), equal_nan=array.dtype.kind == "f"), name
        assert not getattr(again, name).flags.writeable, name


def test_parquet_and_csv_hold_the_same_recording(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "parquet"
    convert_recording(folder, target)
    one, other = load_recording(folder, COIN), load_recording(target, COIN)
    assert one.columns().keys() == COLUMNS.keys()
    for name, array in one.columns().items():
        assert np.array_equal(array, getattr(other, name), equal_nan=array.dtype.kind == "f"), name


# --- what a damaged recording says: field, value, expectation, row -------------------------------------------------

DAMAGE: list[tuple[str, list[str], str, int | None]] = [
    ("orderbooks", _edit(BOOKS, 4, "bid_price_0", "1OO.0"), "bid_price_0", 4),
    ("orderbooks", _edit(BOOKS, 4, "bid_price_0", "inf"), "bid_price_0", 4),
    ("orderbooks", _edit(BOOKS, 4, "ask_size_1", "-1"), "ask_size_1", 4),
    ("orderbooks", _edit(BOOKS, 5, "bid_price_1", "100.05"), "bid_price_1", 5),
    ("orderbooks", _edit(BOOKS, 5, "ask_price_0", "99.0"), "bid_price_0", 5),
    ("orderbooks", _edit(BOOKS, 5, "timestamp", str(BEGIN_S - 1)), "timestamp", 5),
    ("orderbooks", _edit(BOOKS, 5, "timestamp", str(BEGIN_S * 1000)), "timestamp", 5),
    ("orderbooks", _edit(BOOKS, 5, "exchange_timestamp", str(BEGIN_S * 1000 - 60_000)), "exchange_timestamp", 5),
    ("prices", _edit(PRICES, 6, "exchange_timestamp", str(BEGIN_S * 1000 - 60_000)), "exchange_timestamp", 6),
    ("orderbooks", [*BOOKS[:3], BOOKS[3].rsplit(",", 2)[0]], "ask_price_1", 4),
    ("orderbooks", BOOKS[:1], "bid_price_0", None),
    ("prices", _edit(PRICES, 2, "side", "bod"), "side", 2),
    ("prices", _edit(PRICES, 3, "price", "0"), "price", 3),
    ("trades", _edit(TRADES, 3, "side", "seller"), "side", 3),
    ("trades", _edit(TRADES, 3, "size", "nan"), "size", 3),
    ("trades", _edit(TRADES, 4, "trade_id", "x1"), "trade_id", 4),
    ("trades", [TRADES[0].replace("trade_id", "tid"), *TRADES[1:]], "trade_id", None),
]


@pytest.mark.parametrize(("stream", "lines", "column", "line"), DAMAGE)
def test_a_damaged_cell_is_named(folder: Path, stream: str, lines: list[str], column: str, line: int | None) -> None:
    _write(folder, stream, lines)
    with pytest.raises(RecordingError) as caught:
        load_recording(folder, COIN)
    error = caught.value
    assert error.field == f"{stream}_{COIN}.csv.gz:{column}"
    assert error.row == line
    assert error.value
    assert error.expected
    assert len(str(error).splitlines()) == 1
    assert line is None or f"row {line}" in str(error)


def test_a_locked_book_is_kept_counted_and_not_quoted_on(folder: Path) -> None:
    _write(folder, "orderbooks", _edit(BOOKS, 4, "bid_price_0", "100.1"))
    recording = load_recording(folder, COIN)
    assert (recording.locked_books, len(recording.book_time_ns)) == (1, 6)
    engine = hypermm.QuoteEngine(INSTRUMENT, hypermm.EngineConfig())
    for row in range(3):
        levels = [getattr(recording, name)[row] for name in ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")]
        engine.on_book(int(recording.book_time_ns[row]), *levels)
    assert engine.quote(int(recording.book_time_ns[2])).status is hypermm.QuoteStatus.CROSSED
    assert hypermm.backtest(recording, INSTRUMENT, hypermm.EngineConfig()).summary()["events"] == recording.events


OFF_GRID = [
    ("orderbooks", _edit(BOOKS, 5, "ask_price_1", "100.20001"), "ask_prices", 5),
    ("prices", _edit(PRICES, 6, "price", "99.90001"), "bid_price", 6),
    ("prices", _edit(PRICES, 7, "price", "100.20001"), "ask_price", 7),
    ("trades", _edit(TRADES, 4, "price", "100.10001"), "price", 4),
]


@pytest.mark.parametrize(("stream", "lines", "field", "line"), OFF_GRID)
def test_a_row_the_engine_refuses_is_named_by_file_and_line(
    folder: Path, tmp_path: Path, stream: str, lines: list[str], field: str, line: int
) -> None:
    _write(folder, stream, lines)
    with pytest.raises(InvalidInputError) as caught:
        hypermm.backtest(load_recording(folder, COIN), INSTRUMENT, hypermm.EngineConfig())
    assert caught.value.field == field
    assert caught.value.hint.startswith(f"{stream}_{COIN}.csv.gz line {line}; ")
    again = pickle.loads(pickle.dumps(load_recording(folder, COIN)))
    with pytest.raises(InvalidInputError, match=rf"{stream}_{COIN}\.csv\.gz line {line};"):
        hypermm.backtest(again, INSTRUMENT, hypermm.EngineConfig())
    pytest.importorskip("pyarrow")
    convert_recording(folder, tmp_path / "parquet")
    with pytest.raises(InvalidInputError, match=rf"{stream}_{COIN}\.parquet row [0-3];"):
        hypermm.backtest(load_recording(tmp_path / "parquet", COIN), INSTRUMENT, hypermm.EngineConfig())


def test_rows_of_a_recording_in_memory_have_no_file(folder: Path) -> None:
    recording = Recording.from_columns(COIN, _columns())
    assert recording.source_of("book", 0) == ""
    read = load_recording(folder, COIN)
    assert read.source_of("trade", 0) == f"trades_{COIN}.csv.gz line 3"
    assert read.source_of("trade", 99) == ""


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / f"trades_{COIN}.csv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(RecordingError, match=f"trades_{COIN}.csv.gz"):
        load_recording(folder, COIN)


@pytest.mark.parametrize("stream", ["orderbooks", "prices", "trades"])
def test_a_missing_file_is_named(folder: Path, stream: str) -> None:
    if stream == "orderbooks":
        shutil.copy(folder / f"orderbooks_{COIN}.csv.gz", folder / "orderbooks_BTC.csv.gz")
    (folder / f"{stream}_{COIN}.csv.gz").unlink()
    with pytest.raises(HypermmError) as caught:
        load_recording(folder, COIN)
    assert isinstance(caught.value, UnknownCoinError if stream == "orderbooks" else RecordingError)
    assert COIN in str(caught.value)


def test_an_unknown_coin_lists_those_there_and_guesses(folder: Path) -> None:
    with pytest.raises(UnknownCoinError) as caught:
        load_recording(folder, "eth")
    assert "one of ETH" in caught.value.expected
    assert "did you mean ETH?" in caught.value.hint
    with pytest.raises(RecordingError):
        load_recording(folder / "nowhere", COIN)


def _columns() -> dict[str, Any]:
    clock = np.array([BEGIN_S, BEGIN_S + 1], "int64") * 1_000_000_000
    side = {"bid": np.array([[99.0], [99.0]]), "ask": np.array([[101.0], [101.0]])}
    columns: dict[str, Any] = {"book_time_ns": clock, "book_exchange_time_ns": clock}
    for name, prices in side.items():
        columns |= {f"{name}_prices": prices, f"{name}_sizes": np.ones((2, 1))}
    return columns


@pytest.mark.parametrize("lost", ["bid_price_0", "ask_size_0", "bid_price_1", "ask_size_1"])
def test_a_missing_level_column_is_no_shallower_book(folder: Path, lost: str) -> None:
    path = folder / f"orderbooks_{COIN}.csv.gz"
    lines = [line.split(",") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    index = lines[0].index(lost)
    path.write_bytes(gzip.compress("\n".join(",".join(line[:index] + line[index + 1 :]) for line in lines).encode()))
    with pytest.raises(RecordingError, match="missing column") as caught:
        load_recording(folder, COIN)
    assert caught.value.field == f"{path.name}:{lost}"


def test_a_column_of_lists_is_refused(folder: Path, tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "parquet"
    convert_recording(folder, target)
    path = target / f"trades_{COIN}.parquet"
    table = parquet.read_table(path)
    index = table.column_names.index("size")
    parquet.write_table(table.set_column(index, "size", arrow.array([[1.0]] * table.num_rows)), path)
    with pytest.raises(RecordingError) as caught:
        load_recording(target, COIN)
    assert caught.value.field == f"{path.name}:size"


@pytest.mark.parametrize("path", [5, None, "a\0b"])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(RecordingError):
        load_recording(path, COIN)


@pytest.mark.parametrize("coin", [5, None, b"ETH"])
def test_a_coin_that_is_no_text_is_refused(folder: Path, coin: Any) -> None:
    with pytest.raises(UnknownCoinError):
        load_recording(folder, coin)


def test_columns_that_are_no_mapping_are_refused() -> None:
    nothing: Any = None
    with pytest.raises(RecordingError, match="columns"):
        Recording.from_columns(COIN, nothing)


def test_a_recording_in_memory_needs_the_book_only() -> None:
    recording = Recording.from_columns(COIN, _columns())
    assert recording.events == 2
    assert recording.depth == 1
    assert len(recording.trade_price) == 0


@pytest.mark.parametrize(
    ("name", "value", "row"),
    [
        ("bid_prices", np.array([[99.0], [np.inf]]), 1),
        ("bid_prices", np.array([[99.0], [102.0]]), 1),
        ("bid_sizes", np.ones((2, 2)), None),
        ("book_time_ns", np.array([2, 1], "int64"), 1),
        ("book_exchange_time_ns", np.array([2, 1], "int64"), 1),
        ("book_time_ns", np.array([1.0, 2.0]), None),
        ("ask_prices", np.array([101.0, 101.0]), None),
        ("trade_time_ns", np.array([1], "int64"), None),
    ],
)
def test_a_recording_in_memory_is_checked(name: str, value: Any, row: int | None) -> None:
    with pytest.raises(RecordingError) as caught:
        Recording.from_columns(COIN, _columns() | {name: value})
    assert caught.value.row == row


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(RecordingError, match="bid_price"):
        Recording.from_columns(COIN, _columns() | {"bid_price": np.ones(2)})


def test_the_real_recording_is_read_whole(real_recordings: Path) -> None:
    expected = {"BTC": (3785, 13896, 6645, 0), "ETH": (3785, 15259, 6837, 17), "SOL": (3785, 13211, 4397, 10)}
    assert available_coins(real_recordings) == ["BTC", "ETH", "SOL", "WLFI"]
    for coin, (books, best, trades, duplicates) in expected.items():
        recording = load_recording(real_recordings, coin)
        counts = (len(recording.book_time_ns), len(recording.best_time_ns), len(recording.trade_time_ns))
        latency_s = np.median(recording.book_time_ns - recording.book_exchange_time_ns) / 1e9
        print(f"{coin}: {counts}, latency {latency_s:.3f} s, gap {recording.longest_gap_s:.1f} s")
        assert counts == (books, best, trades)
        assert (recording.dropped_replay_trades, recording.dropped_duplicate_trades) == (30, duplicates)
        assert 0.3 < latency_s < 0.5
        assert 17 < recording.longest_gap_s < 19
