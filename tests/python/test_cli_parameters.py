"""Options are looked at before the work: NaN is no number, and a place that cannot be written to is told at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hypermm.cli.output import print_table
from hypermm.cli.root import run

if TYPE_CHECKING:
    from pathlib import Path

_FEATURES = ["features", "--data", "absent", "--coin", "ETH"]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "arguments",
    [
        [*_FEATURES, "--out", "x.parquet", "--cycle-ms"],
        ["calibrate", "--data", "absent", "--coin", "ETH", "--out", "x.json", "--cycle-ms"],
        ["exchange", "--speed"],
        ["record", "--coins", "ETH", "--out", "absent", "--flush"],
        ["market", "rates", "--data", "absent", "--distance-bps"],
        ["backtest", "--venue", "matching", "--preset", "hype", "--minutes"],
        ["ablation", "--preset", "hype", "--from"],
    ],
)
def test_a_number_that_is_none_is_refused(
    arguments: list[str], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a range whose comparisons NaN passes."""
    assert run([*arguments, number]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert arguments[-1] in said
    assert number in said


def test_a_file_whose_folder_is_not_there_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a folder missed only when the work is done. The data are absent too, and are not what is complained of."""
    assert run([*_FEATURES, "--out", str(tmp_path / "new" / "x.parquet")]) == 2
    assert f"mkdir -p {tmp_path / 'new'}" in capsys.readouterr().err
    assert run([*_FEATURES, "--out", str(tmp_path / "x.csv")]) == 2
    assert ".parquet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_refused_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: looking at the last part of the path only."""
    (tmp_path / "file").touch()
    assert run(["backtest", "--data", "absent", "--coin", "ETH", "--out", str(tmp_path / "file" / "a" / "b")]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'file'} is a file" in said


def test_a_narrow_terminal_cuts_no_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # Kills: rich's ellipsis in the middle of a number; a group of columns without the one that names the rows.
    rows = [
        {"step": name, **{f"figure_{place}": f"{place}.123456789±0.5" for place in range(12)}}
        for name in ("one", "two")
    ]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    print_table("figures", rows)
    shown = capsys.readouterr().out
    assert "…" not in shown
    for name in (f"{place}.123456789±0.5" for place in range(12)):
        assert len(re.findall(rf"(?<!\d){re.escape(name)}", shown)) == 2
    assert shown.count("one") == shown.count("step") > 1
    assert max(len(line) for line in shown.splitlines()) <= 80
