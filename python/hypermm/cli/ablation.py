"""`hypermm ablation`: what each part of the model, or each feature, buys."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

import hypermm
from hypermm.cli.backtest import known_instrument, references_beside, say_notes
from hypermm.cli.calibrate import require_research
from hypermm.cli.output import json_option, print_json, print_table, progress_bar
from hypermm.cli.parameters import FiniteRange, OutFile
from hypermm.config import Settings, load_settings
from hypermm.config.calibration import HORIZON_S
from hypermm.config.engine_calibration import RecordedUse, engine_calibration, recorded_use
from hypermm.recording import Recording, load_recording
from hypermm.recording.instruments import facts_beside
from hypermm.research.ablation import AblationRow, ablate, judge, judged_from, step_configs
from hypermm.research.blocks import RunBlocks
from hypermm.research.evaluate import mid_path
from hypermm.research.views import view_models

__all__ = ["ablation"]

_VIEWS = ("pessimistic", "calibrated")
# Least that is judged on: with less of a recording beyond the data of the calibration, all of it is, as in-sample.
_LEAST_JUDGED_NS = 300_000_000_000
_LEAST_DEPOSIT_USD = 10_000.0
# Intervals are of ten or more blocks; a market's rest of less than half a block joins its last.
_LEAST_LEFT_OUT_BLOCKS, _BLOCK_MINUTES = 10, 10


@click.command()
@click.option("--data", type=click.Path(), help="Folder of a recording.")
@click.option("--coin", help="Coin of the recording, such as ETH.")
@click.option("--preset", help=f"Instead of a recording, synthetic markets: {', '.join(hypermm.MarketPreset.names())}.")
@click.option("--minutes", type=FiniteRange(10, 43_200), default=60.0, show_default=True, help="Of each market.")
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=8, show_default=True, help="Markets of the preset to judge on."
)
@click.option(
    "--train-minutes",
    type=FiniteRange(20, 10_000),
    default=120.0,
    show_default=True,
    help="Of another market of the preset, to calibrate on.",
)
@click.option("--leave-one-out", is_flag=True, help="Each feature instead: Sharpe ratio with it less without. Presets.")
@click.option("--feature", "features", multiple=True, help="Feature to leave out; may be repeated.  [default: all]")
@click.option("--joint", is_flag=True, help="Leave each out of the model of all features, passed or not.")
@click.option(
    "--view", type=click.Choice(_VIEWS), default="calibrated", show_default=True, help="Of our fills, to leave out in."
)
@click.option("--page", type=OutFile(".html"), help="HTML page of --leave-one-out to write.")
@click.option("--calibration", default="", help="File that hypermm calibrate wrote; without it that step is left out.")
@click.option("--from", "from_share", type=FiniteRange(0, 0.95), default=0.0, help="Judge from this share of time.")
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="TOML file with [engine] and [run].")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one field; may be repeated.")
@click.option("--draws", type=click.IntRange(10, 100_000), default=1000, show_default=True, help="Of the bootstrap.")
@json_option
def ablation(
    data: str | None,
    coin: str | None,
    preset: str | None,
    minutes: float,
    seeds: int,
    train_minutes: float,
    leave_one_out: bool,
    features: tuple[str, ...],
    joint: bool,
    view: str,
    page: str | None,
    calibration: str,
    from_share: float,
    config_file: str | None,
    overrides: tuple[str, ...],
    draws: int,
    as_json: bool,
) -> None:
    """Play markets with one part of the model more at a time, and say what each part buys, with its error.

    What the calibration was fitted to is not judged; where there is nothing else of a recording, the result says
    in-sample. A preset is calibrated on a market of its own.

    With --leave-one-out, each feature a calibration of the preset could fit is judged by what it adds to the Sharpe
    ratio of a day: one that fails the gate and adds less than 0.1 is out.
    """
    require_research()
    settings = load_settings(config_file, overrides)
    if not leave_one_out and (features or joint or page is not None):
        raise click.UsageError("--feature, --joint and --page are of --leave-one-out")
    if leave_one_out and from_share > 0.0:
        raise click.UsageError("--leave-one-out judges whole markets: leave out --from")
    if calibration and settings.run.calibration not in ("", calibration):
        raise click.UsageError(
            f"--calibration and [run] calibration = {settings.run.calibration} are two: leave one out"
        )
    used = calibration or settings.run.calibration
    if leave_one_out and seeds * max(1, round(minutes / _BLOCK_MINUTES)) < _LEAST_LEFT_OUT_BLOCKS:
        raise click.UsageError(
            f"--leave-one-out needs {_LEAST_LEFT_OUT_BLOCKS} blocks of {_BLOCK_MINUTES} minutes in all: "
            "more --minutes or --seeds"
        )
    if preset is not None:
        if data is not None or coin is not None or calibration:
            raise click.UsageError("--preset is a market of its own: leave out --data, --coin and --calibration")
        if settings.run.calibration:
            raise click.UsageError("--preset is calibrated on a market of its own: leave out [run] calibration")
        on = _OnPreset(preset, minutes, seeds, train_minutes, draws, settings)
        if leave_one_out:
            on.leave_one_out(features, joint, view, page, as_json=as_json)
        else:
            _print(*on.steps(from_share), as_json=as_json)
    elif leave_one_out:
        raise click.UsageError("--leave-one-out needs --preset: recordings are too short for a Sharpe ratio")
    elif data is None or coin is None:
        raise click.UsageError("say which market: --data and --coin, or --preset")
    else:
        _print(*_on_recording(data, coin, used, from_share, draws, settings), as_json=as_json)


def _print(title: str, facts: dict[str, Any], rows: list[AblationRow], *, as_json: bool) -> None:
    if as_json:
        print_json({"title": title, **facts, "rows": [row._asdict() for row in rows]})
    else:
        print_table(title, [_shown(row) for row in rows])


def _on_recording(
    data: str, coin: str, calibration: str, from_share: float, draws: int, settings: Settings
) -> tuple[str, dict[str, Any], list[AblationRow]]:
    recording = load_recording(data, coin)
    instrument = known_instrument(coin, facts_beside(data))
    used, from_ns = _used(calibration, instrument, recording, from_share)
    say_notes(used)
    fitted = used.calibration if used is not None else None
    facts = {"judged_from_ns": from_ns} | ({"in_sample": used.in_sample} if used is not None else {})
    cap = instrument.round_size(settings.run.max_position_usd / float(mid_path(recording).mid_price[0]))
    title = f"{coin}, recorded" + (", in-sample" if used is not None and used.in_sample else "")
    with progress_bar(title) as advance:
        rows = ablate(
            [recording],
            instrument,
            settings.engine_config(max_position=cap),
            fitted,
            models=_models(),
            from_ns=from_ns,
            draws=draws,
            seed=settings.run.seed,
            advance=advance,
            references=references_beside(data, fitted),
            **_arguments(settings),
        )
    return title, facts, rows


def _models() -> dict[str, str]:
    return {view: model for view, model in view_models().items() if view in _VIEWS}


def _arguments(settings: Settings) -> dict[str, Any]:
    latency = (round(settings.run.to_venue_ms * 1e6), round(settings.run.acknowledge_ms * 1e6))
    return {"cycle_ns": settings.run.cycle_ns, "latency": latency}


def _used(
    path: str, instrument: hypermm.Instrument, recording: Recording, from_share: float
) -> tuple[RecordedUse | None, int]:
    """The calibration and where judging begins: a horizon beyond its data, if enough of the recording is left there."""
    first, last = int(recording.book_time_ns[0]), int(recording.book_time_ns[-1])
    from_ns = first + round(from_share * (last - first))
    used = recorded_use(path, instrument, from_ns)
    if used is not None and used.in_sample:
        beyond_ns = used.artifact.data_to_ns + round(HORIZON_S * 1e9) + 1
        if last - beyond_ns >= _LEAST_JUDGED_NS:
            return recorded_use(path, instrument, beyond_ns), beyond_ns
    return used, from_ns


class _OnPreset:
    """Markets of a preset, and a calibration on another of them."""

    def __init__(
        self, name: str, minutes: float, seeds: int, train_minutes: float, draws: int, settings: Settings
    ) -> None:
        from hypermm.research.preset_markets import TRAIN_SEEDS_FROM, PresetMarkets, calibrate_preset

        self._settings, self._draws = settings, draws
        self._preset = preset = hypermm.MarketPreset(name)
        first = settings.run.seed
        self._markets = PresetMarkets(preset, range(first, first + seeds), minutes)
        self._config = settings.engine_config(
            max_position=preset.instrument.round_size(settings.run.max_position_usd / preset.start_price),
            maker_fee_bps=preset.maker_fee_bps,
        )
        with progress_bar(f"calibrating {preset.name}") as progress:
            self._calibrated = calibrate_preset(preset, seed=first, minutes=train_minutes, progress=progress)
        self._title = f"{preset.name}, {seeds} × {minutes:g} min, calibrated on {train_minutes:g} others"
        self._facts = {
            "preset": preset.name,
            "judged_seeds": list(self._markets.seeds),
            "minutes": minutes,
            "train_seed": TRAIN_SEEDS_FROM + first,
            "train_minutes": train_minutes,
            "accepted": [feature.name for feature in self._calibrated.artifact.accepted],
        }

    def steps(self, from_share: float) -> tuple[str, dict[str, Any], list[AblationRow]]:
        """The ablation, in a true queue and under the views of what the same markets published without us."""
        artifact, instrument = self._calibrated.artifact, self._preset.instrument
        calibration = engine_calibration(artifact, instrument, artifact.data_to_ns)
        run = self._settings.run
        configs = step_configs(self._config, calibration)
        matched: dict[str, list[RunBlocks]] = {step: [] for step in configs}
        from hypermm.research.preset_markets import preset_market

        # Every market of a preset begins at the same time.
        start_ns = preset_market(self._preset, self._markets.seeds[0], 1.0).start_ns
        from_ns = start_ns + round(from_share * self._markets.minutes * 60e9) if from_share > 0.0 else 0
        with progress_bar(f"{self._preset.name}, true queue") as advance:
            for seed in self._markets.seeds:
                for step, config in configs.items():
                    result, _ = hypermm.matching_session(
                        self._preset,
                        config,
                        seed=seed,
                        duration_s=60.0 * self._markets.minutes,
                        cycle_ns=run.cycle_ns,
                        deposit_usd=max(_LEAST_DEPOSIT_USD, config.max_position * self._preset.start_price),
                        log_decisions=False,
                        **judged_from(instrument, config, from_ns),
                    )
                    matched[step].append(RunBlocks.of(result, from_ns))
                    advance(sum(map(len, matched.values())), len(self._markets) * len(configs))
        rows = judge("true queue", matched, draws=self._draws, seed=run.seed)
        with progress_bar(self._title) as advance:
            rows += ablate(
                self._markets,
                instrument,
                self._config,
                calibration,
                models=_models(),
                from_ns=from_ns,
                draws=self._draws,
                seed=run.seed,
                advance=advance,
                **_arguments(self._settings),
            )
        return self._title, self._facts, rows

    def leave_one_out(
        self, features: tuple[str, ...], joint: bool, view: str, page: str | None, *, as_json: bool
    ) -> None:
        """Each feature in and out, printed."""
        from hypermm.research.leave_one_out import leave_one_out
        from hypermm.research.leave_one_out_page import write_left_out

        with progress_bar(self._title) as advance:
            rows = leave_one_out(
                self._markets,
                self._preset.instrument,
                self._config,
                self._calibrated,
                features=features or None,
                joint=joint,
                model=_models()[view],
                draws=self._draws,
                seed=self._settings.run.seed,
                advance=advance,
                **_arguments(self._settings),
            )
        title = f"{self._title}, {view} fills: Sharpe ratio of a day with a feature less without"
        if page is not None:
            write_left_out(rows, title, Path(page))
        facts = {**self._facts, "view": view, "joint": joint, "page": page}
        if as_json:
            print_json({"title": title, **facts, "rows": [row._asdict() for row in rows]})
            return
        shown = [
            {
                "feature": row.feature,
                "sharpe": f"{row.sharpe:.2f}",
                "gain": f"{row.gain[0]:+.3f}",
                "from": f"{row.gain[1]:+.3f}",
                "to": f"{row.gain[2]:+.3f}",
                "verdict": row.verdict,
                "reason": row.reason,
            }
            for row in rows
        ]
        print_table(title, shown)


def _shown(row: AblationRow) -> dict[str, object]:
    """One line of the table: each figure with its interval, which need not be even."""
    cells: dict[str, object] = {"view": row.view, "step": row.step.removeprefix("+ "), "fills": row.fills}
    short = {"largest_position": "largest", "half_life_s": "half life", "drawdown_usd": "drawdown"}
    for name, (value, low, high) in (row.figures | {"gain_usd": row.gain_usd}).items():
        shown = f"{value:.3g}" if math.isfinite(value) else ""
        if math.isfinite(low):
            shown += f" ({low:.3g} to {high:.3g})"
        cells[short.get(name, name.removesuffix("_usd"))] = shown
    return cells
