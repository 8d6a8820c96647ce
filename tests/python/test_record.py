"""What `hypermm record` leaves on disk is what the venue sent, each event once; it replays to the same decisions."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from pyarrow import parquet

import hypermm
from fake_exchange import COINS, DECIMALS, FakeExchange
from hypermm.cli.record import _line
from hypermm.cli.root import run
from hypermm.exceptions import InvalidInputError, VenueError
from hypermm.exchange.events import apply_frame
from hypermm.exchange.hyperliquid import http
from hypermm.exchange.hyperliquid.endpoint import endpoint
from hypermm.exchange.hyperliquid.streams import StreamAge, StreamStatus
from hypermm.exchange.hyperliquid.websocket import Counts, Received
from hypermm.recording import check as check_module
from hypermm.recording import layout as layout_module
from hypermm.recording import load as load_module
from hypermm.recording.check import check_recording
from hypermm.recording.instruments import facts_beside, instrument_facts
from hypermm.recording.layout import folders
from hypermm.recording.load import available_coins, load_recording
from hypermm.recording.rolling import RollingRecording, Rows
from hypermm.runtime.record import Recorder, RecorderSettings, Status

HOUR_NS = 3_600_000_000_000
CONFIG = hypermm.EngineConfig(max_position=2.0)


def settings(venue: FakeExchange, folder: Path, **changes: Any) -> RecorderSettings:
    plain = {"venue": endpoint(venue.url), "coins": tuple(COINS), "folder": folder, "piece_s": 0.3}
    return RecorderSettings(**(plain | changes))


def record(settings: RecorderSettings, seconds: float, meanwhile: Any = None, on_item: Any = None) -> Status:
    async def main() -> Status:
        return await Recorder(structs.replace(settings, duration_s=seconds), on_item=on_item).run()

    if meanwhile is not None:
        threading.Thread(target=meanwhile, daemon=True).start()
    return asyncio.run(main())


def command(*arguments: str, **streams: Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "hypermm.cli", "record", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **streams)


def log_of(folder: Path, kind: str) -> list[tuple[int, str]]:
    """(time, text) of the log, read by pyarrow alone."""
    rows: list[tuple[int, str]] = []
    for span in folders(folder)[1:]:
        whole = span / "frames.parquet"
        for path in [whole] if whole.exists() else sorted(span.glob("frames~*.parquet")):
            table = parquet.read_table(path).to_pydict()
            rows += [
                (at, text)
                for at, told, text in zip(table["time_ns"], table["kind"], table["text"], strict=True)
                if told == kind
            ]
    return rows


def drops(venue: FakeExchange, times: int, every_s: float) -> Any:
    def run() -> None:
        for _ in range(times):
            time.sleep(every_s)
            venue.drop()

    return run


def test_with_dropped_sockets_every_frame_is_recorded_once_and_no_print_is_lost(tmp_path: Path) -> None:
    """Killed by: a frame applied twice after a reconnection, a replayed print recorded anew, a piece lost."""
    with FakeExchange(seed=1, tick_s=0.02) as venue:
        status = record(settings(venue, tmp_path, span_s=0.8), 2.6, drops(venue, 2, 0.9))
        assert status.counts.connections == len(venue.connections) == 3
        # Each connection's frames as recorded begin those it sent: what it lost is what was under way at its end.
        recorded = [text for _, text in log_of(tmp_path, "frame")]
        lost, place = 0, 0
        for connection in venue.connections:
            sent = list(connection.sent)
            same = 0
            while same < len(sent) and place + same < len(recorded) and recorded[place + same] == sent[same]:
                same += 1
            place, lost = place + same, lost + len(sent) - same
        assert place == len(recorded)
        assert status.counts.frames == len(recorded)
        assert lost < 200
        for coin in COINS:
            loaded = load_recording(tmp_path, coin)
            ids = [row["tid"] for row in venue.trades[coin]]
            kept = loaded.trade_id.tolist()
            # From the first print recorded to the last: every one of the venue's, once, in its order. Where a machine
            # under load stays away for longer than the 30 prints repeated reach back, that is told.
            between = ids[ids.index(kept[0]) : ids.index(kept[-1]) + 1]
            assert kept == [number for number in between if number in set(kept)]
            assert kept == between or status.tape_gaps > 0
            assert loaded.dropped_duplicate_trades == 0
            told = [json.loads(text) for text in recorded]
            bests = [row["data"] for row in told if row["channel"] == "bbo" and row["data"]["coin"] == coin]
            assert loaded.best_bid_price.tolist() == [float(row["bbo"][0]["px"]) for row in bests]
            assert (loaded.best_exchange_time_ns // 1_000_000).tolist() == [row["time"] for row in bests]
            books = [row["data"] for row in told if row["channel"] == "l2Book" and row["data"]["coin"] == coin]
            assert [np.count_nonzero(~np.isnan(row)) for row in loaded.ask_prices] == [
                len(row["levels"][1]) for row in books
            ]
            assert len(loaded.context_time_ns) == sum(
                row["channel"] == "activeAssetCtx" and row["data"]["coin"] == coin for row in told
            )
            settlement = loaded.next_settlement_ns - loaded.context_time_ns
            assert ((settlement > 0) & (settlement <= HOUR_NS)).all()
            assert not (loaded.next_settlement_ns % HOUR_NS).any()
            assert all(np.diff(times).min() >= 0 for times in (loaded.best_time_ns, loaded.trade_time_ns))
        print(f"{len(recorded):,} frames over {len(venue.connections)} sockets, {lost} under way when one was cut")
    assert check_recording(tmp_path) == []
    assert len(folders(tmp_path)) >= 3  # the folder and two spans of 0.8 s
    assert not list(tmp_path.rglob("*~*")) + list(tmp_path.rglob("*.part"))


def test_a_recording_replays_to_the_decisions_made_live(tmp_path: Path) -> None:
    """Killed by: a clock rounded to ms, an event in another order, history applied."""
    live: dict[str, dict[int, Any]] = {coin: {} for coin in COINS}
    with FakeExchange(seed=2) as venue:
        engines = {coin: _holding(coin) for coin in COINS}

        def on_item(item: Received) -> None:
            apply_frame(item.events, engines, item.time_ns)
            for coin in {event.coin for event in item.events}:
                live[coin][item.time_ns] = engines[coin].quote(item.time_ns)

        record(settings(venue, tmp_path, span_s=0.6), 1.4, drops(venue, 1, 0.6), on_item)
    for coin in COINS:
        engine = _holding(coin)
        replayed: dict[int, Any] = {}

        class Replay:
            def on_event(self, event: hypermm.Event) -> None:
                event.apply(engine)  # noqa: B023 - used within the loop

            def quote(self, time_ns: int) -> None:
                replayed[time_ns] = engine.quote(time_ns)  # noqa: B023 - used within the loop

        hypermm.backtest(load_recording(tmp_path, coin), _instrument(coin), CONFIG, cycle_ns=0, strategy=Replay())
        # Prints from before the subscription are told live, and to no engine.
        told = {at: decision for at, decision in live[coin].items() if at in replayed}
        assert len(live[coin]) - len(told) <= 1
        assert 0 < load_recording(tmp_path, coin).dropped_replay_trades <= 30
        assert set(replayed) <= set(live[coin])
        assert replayed == told
        quoting = sum(decision.status is hypermm.QuoteStatus.QUOTING for decision in told.values())
        assert quoting > 100
        print(f"{coin}: {len(told)} decisions equal to the bit, {quoting} with quotes")


def _holding(coin: str) -> hypermm.QuoteEngine:
    """An engine with a position, so that funding matters to it."""
    engine = hypermm.QuoteEngine(_instrument(coin), CONFIG)
    engine.on_position(1, 1.0)
    return engine


def _instrument(coin: str) -> hypermm.Instrument:
    leverage = {"BTC": 40, "ETH": 25}.get(coin, 20)
    return hypermm.Instrument(coin, DECIMALS[coin], leverage)


def test_a_killed_recording_can_be_read_and_goes_on_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """Killed by: a Parquet file open across pieces, pieces dropped at the next start, a signal that leaves pieces."""
    with FakeExchange(seed=3) as venue:
        arguments = ("--coins", "ETH", "--out", str(tmp_path), "--base-url", venue.url, "--flush", "0.3")
        process = command(*arguments)
        deadline = time.monotonic() + 20.0
        while len(list(tmp_path.rglob("trades_ETH~*.parquet"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        killed_ns = time.time_ns()
        process.communicate()
        loaded = load_recording(tmp_path, "ETH")
        assert (killed_ns - loaded.end_ns) / 1e9 < 3.0
        assert loaded.events > 100
        assert check_recording(tmp_path) == []
        pieces = list(tmp_path.rglob("*~*.parquet"))
        assert pieces
        again = command(*arguments, "--json")
        while not list(tmp_path.rglob("trades_ETH~*.parquet")) or len(folders(tmp_path)) < 3:
            assert time.monotonic() < deadline + 20.0
            assert again.poll() is None
            time.sleep(0.05)
        again.send_signal(signal.SIGTERM)
        printed, said = again.communicate(timeout=30)
        assert again.returncode == 0, said
        assert json.loads(printed)["rows"]["best"] > 0
    assert not list(tmp_path.rglob("*~*"))
    assert len(folders(tmp_path)) == 3
    both = load_recording(tmp_path, "ETH")
    assert both.events > loaded.events
    assert both.book_time_ns[: len(loaded.book_time_ns)].tolist() == loaded.book_time_ns.tolist()
    assert check_recording(tmp_path) == []


@pytest.mark.verify
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_whole_files(tmp_path: Path, number: signal.Signals) -> None:
    """Killed by: a signal that ends the process before the last piece, or leaves the span in pieces."""
    with FakeExchange(seed=4) as venue:
        out = ("--coins", "ETH,xyz:GOLD", "--out", str(tmp_path), "--base-url", venue.url, "--json", "--flush", "60")
        process = command(*out)
        deadline = time.monotonic() + 20.0
        while len(venue.trades["ETH"]) < 1 or not venue.connections or len(venue.connections[0].sent) < 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        printed, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    summary = json.loads(printed)
    assert not list(tmp_path.rglob("*~*"))
    for coin in ("ETH", "xyz:GOLD"):
        assert load_recording(tmp_path, coin).events > 50
    total = summary["rows"]
    assert sum(load_recording(tmp_path, coin).best_time_ns.size for coin in ("ETH", "xyz:GOLD")) == total["best"] > 50
    facts = instrument_facts("xyz:GOLD", facts_beside(tmp_path))
    assert (facts.size_decimals, facts.max_leverage) == (3, 20)
    assert "growth mode on" in facts.source


def test_of_a_refused_frame_nothing_is_recorded_but_the_frame(tmp_path: Path) -> None:
    """Killed by: the good half of a frame written, a crossed book written, a refusal not counted."""
    with FakeExchange(seed=5) as venue:
        level = {"px": "3000.0", "sz": "1.0", "n": 1}
        crossed = {"coin": "ETH", "time": 1, "levels": [[level | {"px": "3001.0"}], [level]]}
        print_row = {"coin": "ETH", "side": "B", "px": "3000.0", "sz": "7.77", "time": 1, "hash": "0x0", "tid": 1}
        unreadable = [print_row, print_row | {"px": "-1"}]

        def meanwhile() -> None:
            time.sleep(0.5)
            for channel, data in (("l2Book", crossed), ("trades", unreadable), ("bbo", "nonsense")):
                venue.send(json.dumps({"channel": channel, "data": data}))
            venue.send("not JSON")

        status = record(settings(venue, tmp_path, coins=("ETH",)), 1.0, meanwhile)
    assert status.counts.refused == 4
    assert sum(status.refused_by.values()) == 4
    refused = [text for _, text in log_of(tmp_path, "refused")]
    assert len(refused) == 4
    assert refused[-1] == "not JSON"
    assert len(log_of(tmp_path, "reason")) == 4
    loaded = load_recording(tmp_path, "ETH")
    assert not np.isclose(loaded.trade_size, 7.77).any()
    assert (loaded.bid_prices[:, 0] < loaded.ask_prices[:, 0]).all()
    assert check_recording(tmp_path) == []


def test_two_recordings_do_not_share_a_folder(tmp_path: Path) -> None:
    """Killed by: the second making whole files of pieces that the first goes on adding to."""
    first = RollingRecording(tmp_path, ["ETH"], 60.0)
    rows = Rows()
    rows.best("ETH", 1, 1, 1.0, 1.0, 2.0, 1.0)
    first.write(rows, 5 * 10**18 // 4)
    with pytest.raises(InvalidInputError, match="nobody records into"):
        RollingRecording(tmp_path, ["ETH"], 60.0)
    assert list(tmp_path.rglob("prices_ETH~000001.parquet"))
    first.close()
    RollingRecording(tmp_path, ["ETH"], 60.0).close()
    assert len(folders(tmp_path)) == 2
    with pytest.raises(InvalidInputError, match="span_s"):
        RollingRecording(tmp_path, ["ETH"], 0.0)


def test_a_recording_does_not_go_on_where_one_in_one_piece_stands(tmp_path: Path) -> None:
    """Killed by: spans beside a whole file of the folder itself, which no reader ever looks at."""
    (tmp_path / "trades_ETH.csv.gz").touch()
    with pytest.raises(InvalidInputError, match=r"trades_ETH\.csv\.gz.*another folder"):
        RollingRecording(tmp_path, ["ETH"], 60.0)
    RollingRecording(tmp_path, ["BTC"], 60.0).close()


@pytest.mark.parametrize("moment", ["before the pieces are listed", "before they are read", "while they are checked"])
def test_pieces_joined_while_they_are_read_are_read_as_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed by: whole files looked for before pieces are, and a piece that is gone taken for a damaged one."""
    recording = RollingRecording(tmp_path, ["ETH"], 3_600.0)
    for second in (1, 2, 3):
        rows = Rows()
        time_ns = 1_700_000_000_000_000_000 + second * 1_000_000_000
        rows.book("ETH", time_ns, time_ns - 1_000_000, [3000.0], [1.0], [3001.0], [1.0])
        rows.best("ETH", time_ns, time_ns - 1_000_000, 3000.0, 1.0, 3001.0, 1.0)
        recording.write(rows, time_ns)
    expected = load_recording(tmp_path, "ETH").best_time_ns
    module, name = {
        "before the pieces are listed": (layout_module, "_pieces"),
        "before they are read": (load_module, "read_tables"),
        "while they are checked": (check_module, "read_table"),
    }[moment]
    read = getattr(module, name)

    calls = itertools.count()
    # Pieces are listed in the folder itself first, then in the span.
    due = 1 if module is layout_module else 0

    def seal_and_read(*arguments: Any) -> Any:
        if next(calls) == due:
            recording.close()
            assert not list(tmp_path.rglob("*~*"))
        return read(*arguments)

    monkeypatch.setattr(module, name, seal_and_read)
    if module is check_module:
        assert check_recording(tmp_path) == []
    assert load_recording(tmp_path, "ETH").best_time_ns.tolist() == expected.tolist()
    assert expected.size == 3


def test_the_status_line_says_phase_prices_refusals_and_what_is_late() -> None:
    ages = [
        StreamAge("l2Book", "ETH", StreamStatus.LATE, 12.4, 0.54),
        StreamAge("bbo", "ETH", StreamStatus.LIVE, 9.0, None),
    ]
    counts = Counts(frames=12_345, refused=2, connections=3)
    line = _line(Status(61.0, "ready", counts, {}, {}, 9_876, 0, ages, {"ETH": 3000.5, "BTC": None}))
    for words in ("ready 61 s", "ETH 3000.5", "12,345 frames", "9,876 rows on disk", "2 refused", "2 reconnections"):
        assert words in line
    assert line.endswith("late: l2Book ETH 12 s")


def test_spot_references_are_recorded_under_a_name_a_file_can_have(tmp_path: Path) -> None:
    with FakeExchange(seed=6) as venue:
        level = {"px": "0.2", "sz": "1.0", "n": 1}

        def meanwhile() -> None:
            time.sleep(0.5)
            book = {"coin": "PURR/USDC", "time": venue.now_ms(), "levels": [[level], [level | {"px": "0.21"}]]}
            venue.send(json.dumps({"channel": "l2Book", "data": book}))

        record(settings(venue, tmp_path, coins=("ETH",), references=("PURR/USDC", "BTC")), 1.0, meanwhile)
    assert available_coins(tmp_path) == ["BTC", "ETH", "PURR/USDC"]
    assert load_recording(tmp_path, "PURR/USDC").ask_prices.tolist() == [[0.21]]


@pytest.mark.parametrize(
    ("coins", "said"),
    [
        ("ETHH", "did you mean ETH?"),
        ("eth", "did you mean ETH?"),
        ("MATIC", "MATIC is delisted"),
        ("GOLD", "did you mean xyz:GOLD?"),
        ("XYZ:GOLD", "did you mean xyz:GOLD?"),
        ("nodex:GOLD", "did you mean xyz:GOLD?"),
        ("ETH,ETH", "each once"),
    ],
)
def test_a_coin_that_would_cost_the_socket_is_refused_before_a_socket_is_opened(
    tmp_path: Path, coins: str, said: str
) -> None:
    with FakeExchange() as venue:
        with pytest.raises((LookupError, ValueError)) as caught:
            record(settings(venue, tmp_path, coins=tuple(coins.split(","))), 5.0)
        assert said in str(caught.value)
        assert not venue.connections
    assert not list(tmp_path.iterdir())


def test_a_venue_that_does_not_answer_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.01)
    line = ["record", "--coins", "ETH", "--out", str(tmp_path / "new"), "--base-url"]
    assert run([*line, "http://127.0.0.1:9"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "info perpDexs" in said
    assert "http://127.0.0.1:9" in said
    assert not (tmp_path / "new").exists()
    assert run([*line, "127.0.0.1:9"]) == 2
    assert "expected mainnet, testnet, or an address such as" in capsys.readouterr().err


def test_a_full_or_forbidden_folder_ends_the_recording_with_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    with FakeExchange() as venue, pytest.raises(OSError, match="file"):
        record(settings(venue, folder), 5.0)


def test_it_asks_again_while_the_venue_stumbles_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.01)
    with FakeExchange() as venue:
        venue.statuses = {"meta": [502]}
        status = record(settings(venue, tmp_path, coins=("ETH",)), 0.6)
        assert venue.asked["http meta"] == 2
        assert status.rows["best"] > 0
        venue.statuses = {"meta": [500] * 20}
        with pytest.raises(VenueError, match="HTTP 500"):
            record(settings(venue, tmp_path, coins=("ETH",)), 30.0)
        assert venue.asked["http meta"] == 2 + 4


SEALS = """
import os, sys
from pathlib import Path
from hypermm.recording.rolling import RollingRecording, Rows
recording = RollingRecording(Path(sys.argv[1]), ["ETH"], 3600.0)
def write(second):
    rows = Rows()
    rows.best("ETH", second * 10**9, second * 10**9, 3000.0, 1.0, 3001.0, 1.0)
    rows.log(second * 10**9, "frame", "{}")
    recording.write(rows, second * 10**9)
threads = lambda: len(os.listdir("/proc/self/task"))
write(1), write(2)
before = threads()
recording.close()
print(before, threads())
"""


def test_a_span_is_joined_without_threads_that_stay(tmp_path: Path) -> None:
    """Killed by: pieces read by Arrow's threads, whose memory stays resident: 10 to 20 MB from the first span on."""
    line = [sys.executable, "-c", SEALS, str(tmp_path)]
    printed = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60).stdout
    before, after = map(int, printed.split())
    assert after == before


def test_a_span_is_joined_some_megabytes_at_a_time(tmp_path: Path) -> None:
    """Killed by: frames gathered by number, not by size: 100 MB more for 60,000 of 1.5 kB; a piece left out."""
    recording = RollingRecording(tmp_path, ["ETH"], 3_600.0)
    for second in (1, 2, 3, 4):
        rows = Rows()
        rows.log(second * 1_000_000_000, "frame", str(second) * (3 * 2**20))
        recording.write(rows, second * 1_000_000_000)
    recording.close()
    (whole,) = tmp_path.glob("*/frames.parquet")
    with parquet.ParquetFile(whole) as joined:
        assert [joined.metadata.row_group(group).num_rows for group in range(joined.num_row_groups)] == [3, 1]
    assert [text[:1] for _, text in log_of(tmp_path, "frame")] == ["1", "2", "3", "4"]


ALLOCATOR = """
import sys
from hypermm.cli.root import run
run(["record", "--coins", "ETH", "--out", sys.argv[1], "--base-url", "no address"])
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


def test_arrow_allocates_as_the_system_does_while_it_records(tmp_path: Path) -> None:
    """Killed by: Arrow loaded before its allocator is chosen, which then keeps 15 MB that come and go."""
    line = [sys.executable, "-c", ALLOCATOR, str(tmp_path)]
    # A recording started in this process before has set it.
    clean = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60, env=clean)
    assert "expected mainnet, testnet" in done.stderr
    assert done.stdout == "system\n"


def _resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.verify
def test_memory_stays_flat_while_spans_come_and_go(tmp_path: Path) -> None:
    """Killed by: rows kept after they are written, a queue or log that grows. Prints its figures."""
    with FakeExchange(seed=7, tick_s=0.003) as venue:
        line = ("--coins", "BTC,ETH,xyz:GOLD", "--out", str(tmp_path), "--base-url", venue.url, "--json")
        process = command(*line, "--flush", "1", "--rotate", "5")
        time.sleep(20.0)
        early = _resident_mb(process.pid)
        for _ in range(8):
            time.sleep(5.0)
            venue.drop()
        late = _resident_mb(process.pid)
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=30)
    frames = json.loads(printed)["frames"]
    print(f"{frames:,} frames: {early:.1f} MB after 20 s, {late:.1f} MB after 60 s")
    assert late < early * 1.1 + 5.0
