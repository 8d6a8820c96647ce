"""What was searched on the data a calibration was fitted to says so in the answer, the rows and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyarrow import parquet

import hypermm
from hypermm.cli.root import run
from hypermm.config.calibration_file import encode_calibration
from hypermm.recording import Recording
from hypermm.recording.write import write_recording
from test_calibration_file import artifact

SECOND = 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes, with calibrations that end before them, in the second of three folds, and after them."""
    made = tmp_path_factory.mktemp("in-sample")
    recording = Recording.from_columns("ETH", hypermm.synthetic_session(7, 300.0))
    write_recording(recording, made / "data")
    (made / "grid.toml").write_text("[grid]\nlevels = [2, 3]\n")
    begin, end = int(recording.book_time_ns[0]), int(recording.book_time_ns[-1])
    pipeline = msgspec.structs.replace(artifact().pipeline, lead=None)
    for name, data_to_ns in (("before", begin - 60 * SECOND), ("within", (begin + end) // 2), ("after", end)):
        span = {"data_from_ns": begin - 3_600 * SECOND, "data_to_ns": data_to_ns, "created_ns": end + SECOND}
        (made / f"{name}.json").write_bytes(encode_calibration(artifact(pipeline=pipeline, **span)))
    return made


def line(command: str, folder: Path, calibration: str | None, out: Path) -> list[str]:
    arguments = [command, "--data", str(folder / "data"), "--coin", "ETH", "--out", str(out), "--set", "levels=2"]
    return arguments if calibration is None else [*arguments, "--set", f"calibration={folder / calibration}.json"]


def answered(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict[str, Any]:
    code = run([*arguments, "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    answer: dict[str, Any] = json.loads(printed.out)
    return answer


@pytest.mark.parametrize(("calibration", "marked"), [(None, None), ("before", False), ("within", True)])
def test_a_sweep_says_in_sample(
    calibration: str | None, marked: bool | None, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Kills: in-sample on stderr alone, where no reader of the answer or the rows sees it.
    arguments = line("sweep", folder, calibration, tmp_path / "out")
    arguments += ["--grid", str(folder / "grid.toml"), "--view", "pessimistic"]
    answer = answered(capsys, arguments)
    assert answer.get("in_sample") is marked
    assert parquet.read_table(answer["results"])["in_sample"].to_pylist() == [marked, marked]
    assert run(arguments) == 0
    assert ("in-sample: the best" in capsys.readouterr().out) == bool(marked)


@pytest.mark.parametrize(
    ("calibration", "folds", "told"),
    [
        (None, None, ""),
        ("before", [False, False, False], ""),
        ("within", [True, True, False], "folds 0, 1 of 0 to 2, or to what came after them; the one held out is not"),
        ("after", [True, True, True], "the one held out among them"),
    ],
)
def test_a_tuning_says_which_folds_are_in_sample(
    calibration: str | None,
    folds: list[bool] | None,
    told: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Kills: a page of a calibration's own data that looks like one of days it has not seen.
    arguments = [
        *line("tune", folder, calibration, tmp_path),
        "--trials",
        "2",
        "--folds",
        "3",
        "--fields",
        "risk_aversion",
    ]
    answer = answered(capsys, arguments)
    assert answer.get("folds_in_sample") == folds
    assert answer.get("in_sample") == (None if folds is None else folds[0])
    page = Path(answer["page"]).read_text("utf-8")
    assert told in page
    assert ("In-sample: the calibration" in page) == bool(told)
