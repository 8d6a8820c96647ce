"""`hypermm backtest`: plays a recording, or a synthetic market, to the engine and judges its quotes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

import hypermm
from hypermm.cli.market import preset_of
from hypermm.cli.output import json_option, print_json, progress_bar, stderr
from hypermm.cli.parameters import FiniteRange, OutFolder
from hypermm.cli.run_output import Played, print_run, warn, write_run
from hypermm.config import RunConfig, Settings, load_settings, refuse_overrides
from hypermm.config.engine_calibration import recorded_use
from hypermm.recording import Recording, load_recording
from hypermm.recording.instruments import facts_beside, instrument_facts
from hypermm.research.evaluate import mid_path
from hypermm.research.views import FillView, fill_views

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from hypermm.config.engine_calibration import RecordedUse

    References = dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]

__all__ = [
    "backtest",
    "calibration_used",
    "configured",
    "known_instrument",
    "references_beside",
    "run_backtest",
    "run_session",
    "say_notes",
]

_MOST_EVENTS_TIMED_AGAIN = 5_000_000
_PRESET, _MINUTES = "hype", 30.0
_LEAST_DEPOSIT_USD = 10_000.0
# Keys of [run] that the matching venue has laws of its own for.
_RECORDED_ONLY = ("fill_model", "cancel_exponent", "to_venue_ms", "acknowledge_ms")


@click.command()
@click.option(
    "--venue",
    type=click.Choice(["recorded", "matching"]),
    default="recorded",
    show_default=True,
    help="Replay a recording, or trade among the agents of a synthetic market in a true queue.",
)
@click.option("--data", type=click.Path(), help="Folder of the recording.")
@click.option("--coin", help="Coin of the recording, such as ETH.")
@click.option(
    "--preset",
    help=f"Market of the matching venue: {', '.join(hypermm.MarketPreset.names())} or FILE.json.  [default: {_PRESET}]",
)
@click.option("--minutes", type=FiniteRange(1, 43_200), help=f"Length at the matching venue.  [default: {_MINUTES:g}]")
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), help=f"Seed of every draw.  [default: {RunConfig().seed}]")
@click.option(
    "--cycle-ms", type=FiniteRange(0, 60_000), help="Least time between quotes; 0: every event.  [default: 250]"
)
@click.option(
    "--fill-model",
    type=click.Choice(["paper", "default", "risk_averse", "power", "log", "calibrated"]),
    help="What fills our orders at the recorded venue.  [default: paper]",
)
@click.option("--calibration", type=click.Path(dir_okay=False), help="File that hypermm calibrate wrote for this coin.")
@click.option("--views/--no-views", default=True, help="Report the run under three fill models.  [default: views]")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@click.option("--out", type=OutFolder(), help="Folder for the results.  [default: out/COIN]")
@json_option
def backtest(
    venue: str,
    data: str | None,
    coin: str | None,
    preset: str | None,
    minutes: float | None,
    config_file: str | None,
    overrides: tuple[str, ...],
    seed: int | None,
    cycle_ms: float | None,
    fill_model: str | None,
    calibration: str | None,
    views: bool,
    instrument_file: str | None,
    out: str | None,
    as_json: bool,
) -> None:
    """Replay a recording to the engine, or let it trade in a synthetic market, and judge its quotes.

    Without max_position in the settings, the cap is max_position_usd (10,000 USD) at the first price.
    """
    _check_options(
        venue,
        recorded={"--data": data, "--coin": coin, "--fill-model": fill_model, "--instrument": instrument_file},
        matching={"--preset": preset, "--minutes": minutes},
    )
    given = {"run.seed": seed, "run.cycle_ms": cycle_ms, "run.fill_model": fill_model}
    flags = [f"{name}={value}" for name, value in given.items() if value is not None]
    if calibration is not None:
        flags.append(f"run.calibration={calibration!r}")
    if venue == "matching":
        refuse_overrides(
            overrides,
            _RECORDED_ONLY,
            "a setting of the matching venue",
            "its queue and its latencies are its own: leave this out, or use --venue recorded",
        )
    settings = load_settings(config_file, [*overrides, *flags])
    if venue == "matching":
        market = preset_of(preset or _PRESET)
        folder = Path(out) if out else Path("out") / f"matching-{market.name}"
        title = f"{market.instrument.coin}, matching venue"
        seconds = 60.0 * (minutes or _MINUTES)
        summary = run_session(market, seconds, settings, folder, title, as_json=as_json, views=views)
    elif data is None or coin is None:
        missing = "--data" if data is None else "--coin"
        raise click.UsageError(
            f"{missing} is missing: say which recording to replay, or use --venue matching, which needs none"
        )
    else:
        recording = load_recording(data, coin)
        instrument = known_instrument(coin, instrument_file or facts_beside(data))
        folder = Path(out) if out else Path("out") / coin.replace(":", "-")
        title = f"{coin}, recorded"
        used = calibration_used(settings, instrument, recording)
        markets = references_beside(data, used.calibration if used else None)
        summary = run_backtest(
            recording, instrument, settings, folder, title, as_json=as_json, views=views, references=markets
        )
    if as_json:
        print_json(summary)


def _check_options(venue: str, *, recorded: Mapping[str, object], matching: Mapping[str, object]) -> None:
    """Refuses options of the other venue."""
    foreign, other = (recorded, "recorded") if venue == "matching" else (matching, "matching")
    for name, value in foreign.items():
        if value is not None:
            raise click.UsageError(f"{name} is for --venue {other}: leave it out, or use --venue {other}")


def known_instrument(coin: str, instrument_file: str | Path | None = None) -> hypermm.Instrument:
    """The instrument of the packaged facts, or of a file of the user's own.

    Raises:
        UnknownCoinError: Neither knows the coin.
    """
    facts = instrument_facts(coin, instrument_file)
    return hypermm.Instrument(
        coin,
        facts.size_decimals,
        facts.max_leverage,
        min_notional=facts.min_notional,
        funding_interval_s=facts.funding_interval_s,
    )


def run_backtest(
    recording: Recording,
    instrument: hypermm.Instrument,
    settings: Settings,
    folder: Path,
    title: str,
    *,
    as_json: bool,
    views: bool = True,
    references: References | None = None,
) -> dict[str, Any]:
    """Replays a recording, writes the files into `folder`, prints the tables unless `as_json`, returns the summary.

    With a calibration the summary says `in_sample`: whether it was fitted to what is judged, or to what came later.
    """
    begin = time.perf_counter()
    cap = instrument.round_size(settings.run.max_position_usd / float(mid_path(recording).mid_price[0]))
    config = configured(settings, instrument, recording, max_position=cap)
    arguments = _arguments(settings) | {"references": references}
    with progress_bar(title) as advance:
        result = hypermm.backtest(
            recording, instrument, config, fill_model=settings.run.fills_by, progress=advance, **arguments
        )
    summary = result.summary()
    used = calibration_used(settings, instrument, recording)
    if used is not None:
        summary["in_sample"] = used.in_sample
    if recording.events <= _MOST_EVENTS_TIMED_AGAIN:
        # Speed is that of engine and venue over arrays in memory: once more without the log of decisions.
        bare = hypermm.backtest(
            recording, instrument, config, fill_model=settings.run.fills_by, log_decisions=False, **arguments
        )
        summary["events_per_s"] = bare.summary()["events_per_s"]
    shown = {name: getattr(settings.run, name) for name in settings.run.__struct_fields__}
    by_model = _views(recording, instrument, config, summary, arguments) if views else []
    played = Played(title, recording, instrument, config, shown, result, summary, by_model)
    return _finish(played, folder, begin, as_json=as_json)


def run_session(
    preset: hypermm.MarketPreset,
    duration_s: float,
    settings: Settings,
    folder: Path,
    title: str,
    *,
    as_json: bool,
    views: bool = True,
) -> dict[str, Any]:
    """The same for a session at the matching venue; the views replay what it published at the recorded one.

    The account holds the value of the cap, and 10,000 USD at least, so that margin is not what limits it.
    """
    begin = time.perf_counter()
    instrument, price = preset.instrument, preset.start_price
    cap = instrument.round_size(settings.run.max_position_usd / price)
    config = configured(settings, instrument, None, max_position=cap, maker_fee_bps=preset.maker_fee_bps)
    deposit_usd = max(_LEAST_DEPOSIT_USD, config.max_position * price)
    with progress_bar(title) as advance:
        result, columns = hypermm.matching_session(
            preset,
            config,
            seed=settings.run.seed,
            duration_s=duration_s,
            cycle_ns=settings.run.cycle_ns,
            deposit_usd=deposit_usd,
            progress=advance,
        )
    summary = result.summary()
    recording = Recording.from_columns(instrument.coin, columns)
    by_model = []
    if views:
        figures = (summary["fills"], summary["volume_usd"], summary["pnl_usd"], summary["edge_bps"])
        ours = FillView("this run", "matching venue", *figures, summary["markout_bps"]["10s"])
        by_model = [ours, *_views(recording, instrument, config, summary, _arguments(settings))]
    shown = {
        "venue": "matching",
        "preset": preset.name,
        "seed": settings.run.seed,
        "duration_s": duration_s,
        "cycle_ms": settings.run.cycle_ms,
        "max_position_usd": settings.run.max_position_usd,
        "deposit_usd": deposit_usd,
    }
    played = Played(title, recording, instrument, config, shown, result, summary, by_model)
    return _finish(played, folder, begin, as_json=as_json)


def references_beside(data: str | Path, calibration: hypermm.Calibration | None) -> References:
    """Mids of the other markets a calibration names, of the recordings of the same folder."""
    markets = {calibration.lead_market, calibration.basis_market} - {None} if calibration is not None else set()
    paths = {market: mid_path(load_recording(data, market)) for market in markets if market is not None}
    return {market: (path.time_ns, path.mid_price) for market, path in paths.items()}


def say_notes(used: RecordedUse | None) -> None:
    """Prints to stderr what a user of a calibration must be told."""
    for note in used.notes if used is not None else ():
        stderr.print(Text(note), soft_wrap=True)


def configured(
    settings: Settings, instrument: hypermm.Instrument, recording: Recording | None, **otherwise: float
) -> hypermm.EngineConfig:
    """The engine's configuration, with the calibration that the settings name; says on stderr what is to know of it.

    Args:
        settings: All of them.
        instrument: What is quoted.
        recording: What is played, at whose start the age of the calibration is taken; None for a synthetic market.
        otherwise: Fields used where the settings have none.

    Raises:
        InvalidConfigError: A setting is refused, or the calibration is of another instrument or too old.
    """
    used = calibration_used(settings, instrument, recording)
    say_notes(used)
    given = {} if used is None else {"calibration": used.calibration}
    return settings.engine_config(**otherwise, **given)


def calibration_used(
    settings: Settings, instrument: hypermm.Instrument, recording: Recording | None
) -> RecordedUse | None:
    """The calibration that the settings name, on a recording; None where they name none."""
    start_ns = None if recording is None else int(recording.book_time_ns[0])
    return recorded_use(settings.run.calibration, instrument, start_ns)


def _arguments(settings: Settings) -> dict[str, Any]:
    """Settings of the recorded venue but its fill model."""
    return {
        "seed": settings.run.seed,
        "cycle_ns": settings.run.cycle_ns,
        "latency": (round(settings.run.to_venue_ms * 1e6), round(settings.run.acknowledge_ms * 1e6)),
    }


def _views(
    recording: Recording,
    instrument: hypermm.Instrument,
    config: hypermm.EngineConfig,
    summary: dict[str, Any],
    arguments: dict[str, Any],
) -> list[FillView]:
    """The recording under three fill models, noted in the summary."""
    views = fill_views(recording, instrument, config, **arguments)
    summary["views"] = [view._asdict() for view in views]
    return views


def _finish(played: Played, folder: Path, begin_s: float, *, as_json: bool) -> dict[str, Any]:
    warn(played)
    written = write_run(played, folder)
    played.summary["wall_s"] = time.perf_counter() - begin_s
    if not as_json:
        print_run(played, written)
    return played.summary
