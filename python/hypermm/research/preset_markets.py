"""Markets of a preset that nobody of ours trades in: to calibrate on, and others to judge on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hypermm._core import MarketPreset, synthetic_market
from hypermm.recording import Recording
from hypermm.research.calibration.calibrate import Calibrated, Source, calibrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TRAIN_SEEDS_FROM", "Markets", "PresetMarkets", "calibrate_preset", "preset_market"]

# Seeds of markets calibrated on are those judged on plus this: no one judges a million.
TRAIN_SEEDS_FROM = 1_000_000


class Markets(Protocol):
    """Recordings of one contract, of known number, each read or made when its turn comes."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Recording]: ...


@dataclass(frozen=True, slots=True)
class PresetMarkets:
    """Markets of a preset by seed, each made when its turn comes: a day of one takes some 100 MB.

    Attributes:
        preset: The preset.
        seeds: Of the markets; below `TRAIN_SEEDS_FROM`, so that none is calibrated on.
        minutes: Length of each, min.
    """

    preset: MarketPreset
    seeds: range
    minutes: float

    def __len__(self) -> int:
        return len(self.seeds)

    def __iter__(self) -> Iterator[Recording]:
        return (preset_market(self.preset, seed, self.minutes) for seed in self.seeds)


def preset_market(preset: MarketPreset, seed: int, minutes: float) -> Recording:
    """What the venue publishes of one market of a preset."""
    columns = synthetic_market(preset, seed=seed, duration_s=60.0 * minutes)
    return Recording.from_columns(preset.instrument.coin, columns)


def calibrate_preset(
    preset: MarketPreset,
    *,
    seed: int = 0,
    minutes: float = 120.0,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> Calibrated:
    """A calibration on a market of the preset of its own, of seed `TRAIN_SEEDS_FROM` + seed.

    A market of a preset has no date: the calibration is as of the end of its data.
    """
    recording = preset_market(preset, TRAIN_SEEDS_FROM + seed, minutes)
    name = f"{preset.name}, seed {TRAIN_SEEDS_FROM + seed}, {minutes:g} min"
    end_ns = recording.end_ns + 1
    return calibrate([Source(name, recording)], preset.instrument, created_ns=end_ns, progress=progress)
