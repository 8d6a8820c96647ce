"""Instrument facts: packaged with their sources, made again from frames, never guessed."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from hypermm.exceptions import InvalidInputError, UnknownCoinError
from hypermm.recording.instruments import from_frames, instrument_facts, load_instruments


def test_every_entry_has_its_source() -> None:
    facts = load_instruments()
    assert {"BTC", "ETH", "SOL", "WLFI", "HYPE"} <= set(facts)
    for entry in facts.values():
        assert entry.source.startswith(("frames/", "stated: ")), entry
        assert 0 <= entry.size_decimals <= 6
        assert entry.max_leverage >= 1


def test_the_packaged_file_is_what_the_command_makes(real_frames: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "hypermm.recording.instruments", "--frames", str(real_frames)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    packaged = resources.files("hypermm.recording").joinpath("instruments.toml").read_text("utf-8")
    assert made == packaged
    assert {entry.coin for entry in from_frames(real_frames)} >= {"BTC", "ETH", "ATOM", "km:US500", "hyna:BTC"}


def test_a_file_of_the_users_own_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[instrument]]\ncoin = "ETH"\nsize_decimals = 3\nmax_leverage = 7\n')
    assert instrument_facts("ETH", path).size_decimals == 3
    assert instrument_facts("ETH").size_decimals == 4
    assert instrument_facts("BTC", path).max_leverage == 40


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('coin = "A"\nsize_decimals = 9\nmax_leverage = 5', "size_decimals"),
        ('coin = "A"\nsize_decimals = 2\nmax_leverage = 0', "max_leverage"),
        ('coin = "A"\nsize_decimals = 2\nmax_leverage = 5\nmin_notional = nan', "min_notional"),
        ("\n[[instrument]]\n".join(['coin = "A"\nsize_decimals = 2\nmax_leverage = 5'] * 2), "coin"),
    ],
)
def test_facts_out_of_range_are_refused_by_entry(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[[instrument]]\n" + text)
    with pytest.raises(InvalidInputError) as caught:
        load_instruments(path)
    assert str(path) in caught.value.field
    assert caught.value.field.endswith(f": {field}")


def test_an_unknown_coin_is_never_guessed() -> None:
    with pytest.raises(UnknownCoinError, match="did you mean WLFI"):
        instrument_facts("WLF")


@pytest.mark.parametrize(
    "text",
    [
        '[[instrument]]\ncoin = "ETH"\nsize_decimal = 3\nmax_leverage = 7\n',
        "[[instrument]\n",
        '[[instrument]]\ncoin = "X"\n',
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        load_instruments(path)
    assert len(str(caught.value).splitlines()) == 1
