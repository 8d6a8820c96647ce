"""Facts of instruments: the packaged `instruments.toml`, a file of the user's own, and the command that makes it.

Facts are the venue's, each with its source; nothing here is derived from recorded prices. The command

    python -m hypermm.recording.instruments --frames ../shared/data/frames

reads every captured `meta` answer in the folder, keeps the stated entries that no frame has, and prints the file.
"""

from __future__ import annotations

import difflib
import json
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hypermm._core import Instrument
from hypermm.exceptions import InvalidInputError, UnknownCoinError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

__all__ = ["InstrumentFacts", "facts_beside", "from_frames", "instrument_facts", "load_instruments", "to_toml"]

_PACKAGED = "instruments.toml"
_FRAME_SOURCE = "frames/"


class InstrumentFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the venue publishes about one contract.

    Attributes:
        coin: Venue symbol.
        size_decimals: Decimal places of a size, 0–6 (the venue's szDecimals).
        max_leverage: Largest leverage, ≥ 1.
        min_notional: Smallest order value, USD.
        funding_interval_s: Seconds between settlements.
        source: Where the numbers come from.
    """

    coin: str
    size_decimals: int
    max_leverage: int
    min_notional: float = 10.0
    funding_interval_s: float = 3600.0
    source: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    instrument: list[InstrumentFacts]


def load_instruments(path: str | PathLike[str] | None = None) -> dict[str, InstrumentFacts]:
    """Reads an instruments file.

    Args:
        path: A TOML file of `[[instrument]]` tables; the packaged one when left out.

    Returns:
        Facts by coin.

    Raises:
        InvalidInputError: The file is missing, no TOML, or holds an unknown or wrong key.
    """
    name = _PACKAGED if path is None else str(path)
    try:
        if path is None:
            text = resources.files("hypermm.recording").joinpath(_PACKAGED).read_text("utf-8")
        else:
            text = Path(path).read_text("utf-8")
        entries = msgspec.convert(tomllib.loads(text), _File).instrument
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InvalidInputError(
            field=f"instrument file {name}",
            value=str(error).splitlines()[0],
            expected="[[instrument]] tables with " + ", ".join(InstrumentFacts.__struct_fields__),
        ) from error
    facts: dict[str, InstrumentFacts] = {}
    for index, entry in enumerate(entries):
        where = f"instrument file {name}, entry {index + 1}"
        try:
            Instrument(
                entry.coin,
                entry.size_decimals,
                entry.max_leverage,
                min_notional=entry.min_notional,
                funding_interval_s=entry.funding_interval_s,
            )
        except InvalidInputError as error:
            raise InvalidInputError(
                field=f"{where}: {error.field}", value=error.value, expected=error.expected, hint=error.hint
            ) from error
        if entry.coin in facts:
            raise InvalidInputError(field=f"{where}: coin", value=entry.coin, expected="each coin once")
        facts[entry.coin] = entry
    return facts


def instrument_facts(coin: str, path: str | PathLike[str] | None = None) -> InstrumentFacts:
    """Facts of one coin.

    Args:
        coin: Venue symbol.
        path: A file of the user's own; its entries go before the packaged ones.

    Raises:
        UnknownCoinError: Neither file knows the coin; lists those known.
    """
    known = load_instruments()
    if path is not None:
        known |= load_instruments(path)
    if coin not in known:
        near = difflib.get_close_matches(coin, known, n=1)
        raise UnknownCoinError(
            field="coin",
            value=coin,
            expected=f"one of {', '.join(known)}",
            hint=f"did you mean {near[0]}?" if near else "give its facts with --instrument FILE",
        )
    return known[coin]


def facts_beside(recording: str | PathLike[str]) -> Path | None:
    """The instruments file that a recording brings with it; None when it has none."""
    path = Path(recording) / _PACKAGED
    return path if path.is_file() else None


def from_frames(folder: str | PathLike[str]) -> list[InstrumentFacts]:
    """Reads the perpetual contracts of every captured `meta` answer below `folder`.

    Args:
        folder: Folder of `.json` payloads and `.jsonl` lines.

    Returns:
        One entry a coin, sorted; a coin in two frames must have the same facts in both.

    Raises:
        InvalidInputError: The folder is missing, or two frames disagree.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InvalidInputError(field="frames", value=str(root), expected="a folder of captured payloads")
    found: dict[str, InstrumentFacts] = {}
    for path in sorted(root.rglob("*.json*")):
        for entry in _universe(_payloads(path)):
            if entry.get("isDelisted") or "maxLeverage" not in entry:
                continue
            facts = InstrumentFacts(
                coin=entry["name"],
                size_decimals=entry["szDecimals"],
                max_leverage=entry["maxLeverage"],
                source=_FRAME_SOURCE + path.relative_to(root).as_posix(),
            )
            before = found.setdefault(facts.coin, facts)
            if msgspec.structs.replace(before, source="") != msgspec.structs.replace(facts, source=""):
                raise InvalidInputError(field=facts.coin, value=facts.source, expected=f"the facts of {before.source}")
    return [found[coin] for coin in sorted(found)]


def _payloads(path: Path) -> list[Any]:
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return [json.loads(text)]
    except ValueError as error:  # of UTF-8 or of JSON
        raise InvalidInputError(field=f"frame {path}", value=str(error), expected="a JSON payload") from error


def _universe(node: Any) -> Iterator[dict[str, Any]]:
    """Every entry of every list called `universe` that has a size_decimals, however deep."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "universe" and isinstance(value, list):
                yield from (entry for entry in value if isinstance(entry, dict) and "szDecimals" in entry)
            else:
                yield from _universe(value)
    elif isinstance(node, list):
        for value in node:
            yield from _universe(value)


_HEAD = """\
# Facts of perpetual contracts, from the venue's public meta. Made by
#   python -m hypermm.recording.instruments --frames DIR
# which reads the entries whose source is a frame and keeps those stated by hand. The venue's smallest order
# value is 10 USD and its funding is hourly for every perpetual (venue documentation)."""


def to_toml(entries: Sequence[InstrumentFacts], head: str = _HEAD) -> str:
    """The text of an instruments file, `head` being comment lines."""
    lines = [head]
    for entry in entries:
        lines += ["", "[[instrument]]"]
        for name, value in msgspec.structs.asdict(entry).items():
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def merged(folder: str | PathLike[str]) -> list[InstrumentFacts]:
    """Entries of the frames, then the packaged ones that no frame has and that a human stated with their source."""
    made = from_frames(folder)
    coins = {entry.coin for entry in made}
    stated = [
        entry
        for entry in load_instruments().values()
        if entry.coin not in coins and not entry.source.startswith(_FRAME_SOURCE)
    ]
    return made + stated


def _main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] != "--frames":
        sys.stderr.write("usage: python -m hypermm.recording.instruments --frames DIR > instruments.toml\n")
        return 2
    sys.stdout.write(to_toml(merged(arguments[1])))
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
