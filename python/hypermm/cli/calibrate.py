"""`hypermm calibrate`, `validate` and `studies`: which features forecast the price, and how well."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec
from rich.text import Text

from hypermm.cli.backtest import known_instrument
from hypermm.cli.output import json_option, print_json, print_table, progress_bar, stderr, stdout
from hypermm.cli.parameters import FiniteRange, OutFile
from hypermm.config.calibration import Gates
from hypermm.config.calibration_file import check_use, encode_calibration, load_calibration
from hypermm.exceptions import InvalidInputError
from hypermm.extras import needs
from hypermm.recording import Recording, load_recording
from hypermm.recording.instruments import facts_beside
from hypermm.recording.load import held_coins, require_coin
from hypermm.recording.whole_file import whole_file

if TYPE_CHECKING:
    from hypermm import Instrument
    from hypermm.config.calibration import CalibrationArtifact
    from hypermm.research.calibration.calibrate import Source

__all__ = ["calibrate", "require_research", "studies", "validate"]

_DEFAULT_LEADER = "BTC"
_TAKER_FEE_BPS = 4.5
_EARLIER = "in-sample: some of what is judged here comes before the data the calibration was fitted to"


@click.command()
@click.option("--data", "folders", required=True, multiple=True, type=click.Path(), help="Folder; may be repeated.")
@click.option("--coin", required=True, help="Coin of the recordings, such as ETH.")
@click.option("--out", required=True, type=OutFile(".json"), help="Calibration file to write.")
@click.option("--page", type=OutFile(".html"), help="HTML page to write.  [default: beside --out]")
@click.option("--span", default="0:1", metavar="FROM:TO", help="Part of each recording, as shares of its time.")
@click.option("--cycle-ms", type=FiniteRange(50, 10_000), default=500.0, show_default=True, help="Time between cycles.")
@click.option(
    "--cost-test", type=click.Choice(["maker", "taker"]), default="maker", show_default=True, help="Of the gate."
)
@click.option("--replay/--no-replay", default=True, help="Also ask that a replay does not lose by a feature.")
@click.option("--lead", help="Coin of the same folders that leads.  [default: BTC where all have it]")
@click.option("--basis", help="Coin of the same folder to take the basis against.  [default: the recorded oracle]")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
def calibrate(
    folders: tuple[str, ...],
    coin: str,
    out: str,
    page: str | None,
    span: str,
    cycle_ms: float,
    cost_test: Literal["maker", "taker"],
    replay: bool,
    lead: str | None,
    basis: str | None,
    instrument_file: str | None,
    as_json: bool,
) -> None:
    """Measure which features forecast the price, and write what the engine takes.

    Walk-forward folds, purged and embargoed; a feature is in only when it passes every part of the gate.
    """
    research = _research()
    instrument = _instrument(folders, coin, instrument_file)
    sources = [_source(folder, coin, lead or _leader(folders, coin), basis, span) for folder in folders]
    begun = time.perf_counter()
    with progress_bar(f"calibrating {coin}") as progress:
        done = research.calibrate(
            sources,
            instrument,
            created_ns=time.time_ns(),
            gates=Gates(cost_test=cost_test),
            taker_cost_bps=_TAKER_FEE_BPS + research.half_spread_bps(sources),
            cycle_ns=round(cycle_ms * 1e6),
            with_replay=replay,
            progress=progress,
        )
    artifact = done.artifact
    with whole_file(Path(out)) as part:
        part.write_bytes(encode_calibration(artifact))
    shown = Path(page) if page else Path(out).with_suffix(".html")
    research.write_page(done, shown)
    wall_s = time.perf_counter() - begun
    if as_json:
        print_json(_summary(artifact) | {"file": out, "page": str(shown), "wall_s": round(wall_s, 3)})
        return
    _print_verdicts(artifact)
    if artifact.provisional:
        stderr.print(
            Text(f"provisional: {artifact.independent_windows} independent windows, 600 needed"), soft_wrap=True
        )
    stdout().print(Text(f"wrote {out} and {shown} in {wall_s:.1f} s", style="dim"), soft_wrap=True)


@click.command()
@click.option("--calibration", "file", required=True, type=click.Path(dir_okay=False), help="What calibrate wrote.")
@click.option("--data", "folders", required=True, multiple=True, type=click.Path(), help="Folder; may be repeated.")
@click.option("--coin", required=True, help="Coin of the recordings, such as ETH.")
@click.option("--instrument", "instrument_file", type=click.Path(dir_okay=False), help="Instruments file of your own.")
@json_option
def validate(file: str, folders: tuple[str, ...], coin: str, instrument_file: str | None, as_json: bool) -> None:
    """Judge a calibration on data it was not fitted to.

    Rows of the span it was fitted to are left out. forecast_r2 is that of the whole filter at 10 s, against no move.
    Own fills, where the calibration takes them, are those of a pessimistic replay, held against what the price-only
    filter leaves of the return that follows them, and against what the whole filter leaves. a₀ and κ_tail, the config's
    where the calibration has none, are held against the adverse moves that follow the aggressor events of the tape.
    """
    research = _research()
    instrument = _instrument(folders, coin, instrument_file)
    artifact = load_calibration(file)
    # The coin and its units, before the recordings are read; the age when it is known what is judged.
    check_use(artifact, instrument, artifact.data_to_ns)
    pipeline, stages = artifact.pipeline, len(folders) + 3
    with progress_bar(f"validating {coin}") as advance:
        sources = []
        for done, folder in enumerate(folders):
            advance(done, stages)
            sources.append(_source(folder, coin, pipeline.lead, pipeline.basis, "0:1"))
        advance(stages - 3, stages)
        sample = research.samples_of(sources, instrument, pipeline, round(artifact.cycle_s * 1e9))
        unseen = research.unseen_rows(artifact, sample)
        advance(stages - 2, stages)
        judged = research.validation(artifact, unseen)
        advance(stages - 1, stages)
        # Segments of the sample are numbered by time.
        recordings = sorted((source.recording for source in sources), key=lambda one: int(one.book_time_ns[0]))
        own_fills = research.validate_own_fills(artifact, unseen, recordings, instrument)
        adverse = research.validate_adverse_selection(artifact, unseen, recordings)
    beyond = unseen.time_ns[unseen.time_ns > artifact.data_to_ns]
    earlier = len(beyond) < len(unseen)
    used_ns = int(beyond[0]) if len(beyond) else artifact.data_to_ns
    check_use(artifact, instrument, used_ns)
    for note in (artifact.age_warning(used_ns), _EARLIER if earlier else ""):
        if note:
            stderr.print(Text(note), soft_wrap=True)
    result: dict[str, Any] = {
        "coin": coin,
        "calibration": file,
        "age_share": artifact.stale_share(used_ns),
        "in_sample": earlier,
    }
    result |= judged | {"own_fills": own_fills, "adverse_selection": adverse}
    if as_json:
        print_json(result)
        return
    rows = [
        {
            "what": "whole filter",
            "r2": f"{result['forecast_r2']:.4f} ± {result['forecast_r2_error']:.4f}",
            "t": "",
        }
    ]
    rows += [
        {
            "what": row["name"],
            "r2": f"{row['r2']:.4f} ± {row['r2_error']:.4f}",
            "t": f"{row['clark_west_t']:.2f}",
        }
        for row in result["features"]
    ]
    if own_fills["state"] == "accepted" and own_fills["fills"] > 1:
        for what, name in (("price", "r2_price_only"), ("the whole filter", "r2_whole_filter")):
            shown = f"{own_fills[name]:.4f} ± {own_fills[f'{name}_error']:.4f}"
            rows.append({"what": f"{own_fills['fills']:,} own fills, of what {what} leaves", "r2": shown, "t": ""})
    if adverse["r2"] is not None:
        shown = f"{adverse['r2']:.4f} ± {adverse['r2_error']:.4f}"
        charge = f"a₀ {adverse['ratio']:.3g}, κ_tail {adverse['tail_factor']:.3g}"
        what = f"{charge}, of what follows {adverse['events']:,} aggressor events"
        rows.append({"what": what, "r2": shown, "t": ""})
    print_table(f"{coin}: {result['independent_windows']:,} independent windows not fitted to", rows)


@click.command()
@click.option("--data", "folders", multiple=True, type=click.Path(), help="Folder of a recording; may be repeated.")
@click.option("--coin", "coins", multiple=True, help="Coin of the recordings; may be repeated.  [default: all]")
@click.option("--funding", type=click.Path(file_okay=False), help="Folder of hourly funding and candles.")
@json_option
def studies(folders: tuple[str, ...], coins: tuple[str, ...], funding: str | None, as_json: bool) -> None:
    """Measure whether spikes of the rate of sells precede falls, and what funding says of the next hour."""
    _research()
    from hypermm.research.studies import funding_study, rate_spikes

    if not folders and funding is None:
        raise InvalidInputError(field="--data", value="", expected="a recording, or --funding a folder of rates")
    markets = [
        (folder, coin)
        for folder in folders
        for coin in (coins or (["BTC"] if _is_standx(folder) else held_coins(folder)))
    ]
    rows, total = [], len(markets) + (funding is not None)
    with progress_bar("studies") as advance:
        for done, (folder, coin) in enumerate(markets):
            advance(done, total)
            rows += [{"data": Path(folder).resolve().name} | row for row in rate_spikes(_recording(folder, coin))]
        advance(len(markets), total)
        hours = funding_study(Path(funding)) if funding else []
    if as_json:
        print_json({"rate_spikes": rows, "funding": hours})
        return
    for title, table in (("Moves after spikes of the rate, with them", rows), ("Funding and the next hour", hours)):
        if table:
            shown = [{name: round(v, 5) if isinstance(v, float) else v for name, v in row.items()} for row in table]
            print_table(title, shown)


def require_research() -> None:
    """Says what to install where the packages that calibrating needs are not there.

    Raises:
        MissingDependencyError: One of them is not.
    """
    with needs("research", "scipy, statsmodels and scikit-learn to calibrate"):
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
        import statsmodels  # noqa: F401


class _research:  # noqa: N801 - stands for the package, which needs an extra
    """The research package, imported when it is needed."""

    def __init__(self) -> None:
        require_research()
        from hypermm.research.calibration import adverse_selection, held_out_fills, page, score
        from hypermm.research.calibration import calibrate as fitting

        self.calibrate, self.samples_of = fitting.calibrate, fitting.samples_of
        self.half_spread_bps = fitting.half_spread_bps
        self.validation, self.unseen_rows = score.validation, score.unseen_rows
        self.validate_own_fills = held_out_fills.validate_own_fills
        self.validate_adverse_selection = adverse_selection.validate_adverse_selection
        self.write_page = page.write_page


def _instrument(folders: tuple[str, ...], coin: str, instrument_file: str | None) -> Instrument:
    """The instrument; a coin that is not recorded is told by what is, not by the facts that are known."""
    for folder in folders:
        if not _is_standx(folder):
            require_coin(folder, coin)
    return known_instrument(coin, instrument_file or facts_beside(folders[0]))


def _source(folder: str, coin: str, lead: str | None, basis: str | None, span: str) -> Source:
    from hypermm.research.calibration.calibrate import Source

    for name, market in (("--lead", lead), ("--basis", basis)):
        if market == coin:
            raise InvalidInputError(field=name, value=coin, expected="another coin than --coin")
    recording = _recording(folder, coin)
    begin, end = _shares(span)
    first, last = int(recording.book_time_ns[0]), int(recording.book_time_ns[-1])
    return Source(
        Path(folder).resolve().name,
        recording,
        _recording(folder, lead) if lead else None,
        _recording(folder, basis) if basis else None,
        0 if begin <= 0.0 else first + round(begin * (last - first)),
        2**62 if end >= 1.0 else first + round(end * (last - first)),
    )


def _leader(folders: tuple[str, ...], coin: str) -> str | None:
    """BTC, where every folder holds it: the feature is one only if it is there in all of the data."""
    held = all(not _is_standx(folder) and _DEFAULT_LEADER in held_coins(folder) for folder in folders)
    return _DEFAULT_LEADER if held and coin != _DEFAULT_LEADER else None


def _recording(folder: str, coin: str) -> Recording:
    if _is_standx(folder):
        from hypermm.recording.convert import read_standx

        return read_standx(folder, coin)
    return load_recording(folder, coin)


def _is_standx(folder: str) -> bool:
    return any(Path(folder).glob("book_top5_500ms.csv*"))


def _shares(span: str) -> tuple[float, float]:
    begin, colon, end = span.partition(":")
    try:
        shares = float(begin), float(end)
    except ValueError:
        shares = (1.0, 0.0)
    if not colon or not 0.0 <= shares[0] < shares[1] <= 1.0:
        raise InvalidInputError(
            field="--span", value=span, expected="FROM:TO, shares of the time", hint="the first half is 0:0.5"
        )
    return shares


def _summary(artifact: CalibrationArtifact) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(artifact)
    return facts


def _print_verdicts(artifact: CalibrationArtifact) -> None:
    order = sorted(artifact.features, key=lambda verdict: (not verdict.accepted, -(verdict.r2 or -1e9)))
    rows = [
        {
            "feature": verdict.name,
            "alpha_bps": "" if verdict.alpha is None else f"{verdict.alpha:.4g} ± {verdict.alpha_error or 0.0:.2g}",
            "r2": "" if verdict.r2 is None else f"{verdict.r2:.4f} ± {verdict.r2_error or 0.0:.4f}",
            "t": "" if verdict.clark_west_t is None else f"{verdict.clark_west_t:.2f}",
            "verdict": ("in: " if verdict.accepted else "out: ") + verdict.reason,
        }
        for verdict in order
    ]
    print_table(f"{artifact.coin}: {artifact.independent_windows:,} independent windows of 10 s", rows)
    fit, own = artifact.filter, artifact.own_fill
    lines = [
        f"filter: κ_μ {fit.mean_reversion_per_s:.4g} 1/s, √P∞ {fit.stationary_variance**0.5:.4g} bps/s",
        f"own fills {own.state.replace('_', ' ')}: {own.reason}",
        f"a₀ of adverse selection {artifact.adverse_selection.ratio.summary}",
        f"κ_tail {artifact.adverse_selection.tail_factor.summary}",
    ]
    for side, hawkes in (("buys", artifact.hawkes_buy), ("sells", artifact.hawkes_sell)):
        if hawkes is not None:
            lines.append(
                f"Hawkes of {side}: branching ratio {hawkes.branching_ratio:.3f}, decay {hawkes.decay_per_s:.3g} 1/s, "
                f"time-rescaling test p = {hawkes.rescaling_p_value:.3g} of {hawkes.events:,} events"
            )
    for line in lines:
        stdout().print(Text(line), soft_wrap=True)
