"""`hypermm market`: the synthetic market fitted to a recording, held against one, and how far its flow reaches."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

import hypermm
from hypermm.cli.output import json_option, print_json, print_table, progress_bar, stdout
from hypermm.cli.parameters import FiniteRange, OutFile
from hypermm.extras import needs
from hypermm.recording import load_recording
from hypermm.recording.load import held_coins
from hypermm.research.market_rates import fill_rate, law_rate, reach_rate
from hypermm.research.market_statistics import market_tape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from hypermm.research.market_classifier import ClassifierScore
    from hypermm.research.market_fit import StatisticRow

__all__ = ["market"]

_CLASSIFIER_SEEDS = range(2_000, 2_010)
_COMPARED_SEEDS = range(1_000, 1_008)
# Half of the touch spread of the old bot, and the k of the scenarios' flow: what their background rate is judged by.
_OLD_HALF_SPREAD_BPS = 2.85
_SCENARIOS = ("feb19", "feb12", "calm")


@click.group()
def market() -> None:
    """Fit the synthetic market to recordings, and hold it against them."""


_data = click.option("--data", required=True, type=click.Path(), help="Folder of the recording.")
_coin = click.option("--coin", required=True, help="Coin of the recording, such as ETH.")


@market.command()
@_data
@_coin
@click.option("--out", type=OutFile(".json"), help="JSON file for the fitted market.")
@click.option(
    "--budget", type=click.IntRange(1, 100_000), default=300, show_default=True, help="Parameter sets to simulate."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of simulations and bootstrap.")
@click.option(
    "--share",
    type=FiniteRange(0.2, 1.0),
    default=0.6,
    show_default=True,
    help="Share of the recording that is fitted; the rest judges. 1 fits all of it and judges by the same.",
)
@click.option(
    "--start", metavar="PRESET", help="Preset or JSON file to start from.  [default: ETH at the coin's scale]"
)
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
def fit(
    data: str,
    coin: str,
    out: str | None,
    budget: int,
    seed: int,
    share: float,
    start: str | None,
    instrument_file: str | None,
    as_json: bool,
) -> None:
    """Fit the synthetic market to a recording.

    Prints every statistic real beside simulated, for the part that was fitted and for the part that was not, and how
    well a classifier tells real minutes from simulated ones. `hypermm.MarketPreset.from_file` reads the file of --out,
    and so does `hypermm backtest --venue matching --preset FILE`.
    """
    fitting, classifying = _research()
    recording = load_recording(data, coin)
    begin = None if start is None else preset_of(start)
    with progress_bar(f"{coin}, fit") as advance:
        found = fitting.fit_market(
            recording,
            budget=budget,
            seed=seed,
            share=share,
            start=begin,
            instrument_file=instrument_file,
            progress=advance,
        )
    tape = market_tape(recording)
    seeds = [number + seed for number in _CLASSIFIER_SEEDS]
    score = classifying.tell_apart(tape, fitting.simulate(found.preset, seeds, tape.span_s), seed=seed)
    if out is not None:
        Path(out).write_text(json.dumps(found.preset.as_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    if as_json:
        print_json(
            {
                "preset": found.preset.as_dict(),
                "loss_before": found.loss_before,
                "loss": found.loss,
                "evaluations": found.evaluations,
                "fitted": [asdict(row) for row in found.fitted],
                "judged": [asdict(row) for row in found.judged],
                "classifier": asdict(score),
                "file": out,
            }
        )
        return
    sets = f"{found.evaluations} parameter sets"
    print_table(f"{coin}, first {share:.0%}, fitted with {sets}", _shown(found.fitted))
    if share < 1.0:
        print_table(f"{coin}, the other {1.0 - share:.0%}, held out", _shown(found.judged))
    _say(f"mean squared difference, in errors: {found.loss_before:.4g} at the start, {found.loss:.4g} fitted")
    _say_score(score)
    if out is not None:
        _say(f"wrote {out}")


@market.command()
@click.option("--preset", "name", required=True, help="Preset, or JSON file of a fitted market.")
@_data
@_coin
@json_option
def compare(name: str, data: str, coin: str, as_json: bool) -> None:
    """Hold a market against a recording, without fitting anything."""
    fitting, classifying = _research()
    preset = preset_of(name)
    tape = market_tape(load_recording(data, coin))
    markets = len(_COMPARED_SEEDS) + len(_CLASSIFIER_SEEDS)
    with progress_bar(f"{preset.name} beside {coin}") as advance:
        compared = fitting.simulate(preset, _COMPARED_SEEDS, tape.span_s, lambda done, _: advance(done, markets))
        others = fitting.simulate(
            preset, _CLASSIFIER_SEEDS, tape.span_s, lambda done, _: advance(len(_COMPARED_SEEDS) + done, markets)
        )
        rows = fitting.compare(tape, compared)
        score = classifying.tell_apart(tape, others)
    if as_json:
        statistics = [asdict(row) for row in rows]
        print_json({"preset": preset.name, "coin": coin, "statistics": statistics, "classifier": asdict(score)})
        return
    print_table(f"preset {preset.name} beside {coin}", _shown(rows))
    _say_score(score)


@market.command()
@_data
@click.option(
    "--fills", type=click.Path(dir_okay=False), help="CSV of a bot's fills, with columns utc, realized_spread_bps."
)
@click.option(
    "--distance-bps",
    type=FiniteRange(0.01, 1_000.0),
    default=_OLD_HALF_SPREAD_BPS,
    show_default=True,
    help="Distance from the mid that events are to reach: the old bot quoted there.",
)
@json_option
def rates(data: str, fills: str | None, distance_bps: float, as_json: bool) -> None:
    """Say how often aggressive flow comes and how often it reaches a distance from the mid.

    One row a coin of the recording, one a scenario by its constants, and one for a record of fills. The implied rate is
    that of all events, if their reach is exponential as in the scenarios and as many reach the distance.
    """
    rows: list[dict[str, Any]] = []
    scenarios = {name: hypermm.MarketPreset.of_scenario(name).parameters for name in _SCENARIOS}
    decay = scenarios["feb19"]["depth_decay_per_bps"]
    for coin in held_coins(data):
        found = reach_rate(market_tape(load_recording(data, coin)), distance_bps)
        rows.append(
            _rate(f"recording {coin}", found.events_per_s, found.reaching_per_s, decay, distance_bps)
            | {"fano_10_s": found.fano_10_s, "fano_60_s": found.fano_60_s, "branching": found.branching}
        )
    for name, parameters in scenarios.items():
        rate = parameters["event_rate_per_s"]
        reaching = rate / law_rate(1.0, distance_bps, decay)
        branching = parameters["self_excitation"] + parameters["cross_excitation"]
        clustering = {"fano_10_s": None, "fano_60_s": 1.0 / (1.0 - branching) ** 2, "branching": branching}
        rows.append(_rate(f"scenario {name}, chosen", rate, reaching, decay, distance_bps) | clustering)
    if fills is not None:
        record = fill_rate(fills)
        clustering = {"fano_10_s": None, "fano_60_s": record.fano_60_s, "branching": None}
        name = f"{record.fills} fills of {Path(fills).name}"
        rows.append(_rate(name, None, record.per_s, decay, distance_bps) | clustering)
    if as_json:
        print_json({"distance_bps": distance_bps, "decay_per_bps": decay, "rows": rows})
        return
    print_table(f"aggressor events that reach {distance_bps:g} bps from the mid", [_short(row) for row in rows])


def _rate(source: str, rate: float | None, reaching: float, decay: float, distance_bps: float) -> dict[str, Any]:
    return {
        "source": source,
        "events_per_s": rate,
        "reaching_per_s": reaching,
        "seconds_between": 1.0 / reaching if reaching > 0 else None,
        "implied_events_per_s": law_rate(reaching, distance_bps, decay),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: f"{value:.3g}" if isinstance(value, float) else value for name, value in row.items()}


def preset_of(name: str) -> hypermm.MarketPreset:
    """A preset by its name, or from a file whose name ends with .json."""
    return hypermm.MarketPreset.from_file(name) if name.endswith(".json") else hypermm.MarketPreset(name)


def _research() -> tuple[ModuleType, ModuleType]:
    with needs("cli,research", "SciPy and scikit-learn to fit a market"):
        from hypermm.research import market_classifier, market_fit
    return market_fit, market_classifier


def _shown(rows: Sequence[StatisticRow]) -> list[dict[str, str]]:
    return [
        {
            "statistic": row.name,
            "real": f"{row.real:.4g}",
            # Of a value that stands still in every draw, or of 0, there is nothing to say.
            "error": f"{row.error:.2g}" if math.isfinite(row.errors) else "none",
            "simulated": f"{row.simulated:.4g}",
            "off": f"{row.relative:+.0%}" if math.isfinite(row.relative) else "",
            "off_in_errors": f"{row.errors:+.1f}" if math.isfinite(row.errors) else "",
        }
        for row in rows
    ]


def _say(line: str) -> None:
    stdout().print(Text(line), soft_wrap=True)


def _say_score(score: ClassifierScore) -> None:
    folds = ", ".join(f"{area:.3f}" for area in score.folds)
    _say(
        f"classifier of minutes, {score.real_windows} real, {score.simulated_windows} simulated: AUC {score.auc:.3f} "
        f"± {score.spread:.3f} over folds ({folds}); 0.5 is a coin toss"
    )
    _say("tells most by itself: " + ", ".join(f"{name} {area:.2f}" for name, area in score.by_feature))
