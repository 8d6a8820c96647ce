"""Many configurations over one recording: one row for each configuration and fill model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypermm._core import EngineConfig, Instrument, run_sweep
from hypermm.exceptions import InvalidInputError
from hypermm.extras import needs
from hypermm.recording import Recording, load_recording
from hypermm.recording.schema import STREAMS
from hypermm.research.grid import grid_configs
from hypermm.research.views import resolved, view_latency, view_models

with needs("research", "pyarrow to store a sweep"):
    import pyarrow as arrow

    from hypermm.research.sweep_store import SweepStore, configs_hash, recording_hash, references_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike

    FillModel = str | tuple[float, float] | tuple[str, float]
    Progress = Callable[[int, int], object]

__all__ = ["sweep"]

# Enough that reading and checking a recording once more does not show, few enough that a killed sweep loses little.
_CHUNK = 32
_FORMAT = 3
_ROW = re.compile(rf"\b(?P<stream>{'|'.join(STREAMS)}) row (?P<row>\d+)")
_COUNTS = (
    "fills",
    "buy_fills",
    "sell_fills",
    "quote_cycles",
    "events",
    "orders_placed",
    "orders_canceled",
    "orders_rejected",
)
_FIGURES = (
    "pnl_usd",
    "edge_bps",
    "expected_edge_bps",
    "volume_usd",
    "fees_usd",
    "funding_usd",
    "realized_usd",
    "unrealized_usd",
    "spread_capture_usd",
    "adverse_selection_usd",
    "inventory_usd",
    "adverse_share",
    "max_drawdown_usd",
    "max_abs_position",
    "final_position",
    "two_sided_share",
    "cost_bound_share",
    "post_only_share",
    "cap_share",
    "risk_aversion_too_high_share",
)
_HORIZONS = ("0.5s", "1s", "5s", "10s", "30s", "60s")


class _Task(NamedTuple):
    """What a worker needs for any chunk; the recording goes by its place."""

    source: tuple[str, str, str]
    instrument: Instrument
    views: tuple[tuple[str, FillModel], ...]
    settings: dict[str, Any]


def sweep(
    recording: Recording | tuple[str | PathLike[str], str],
    instrument: Instrument,
    configs: Sequence[EngineConfig] | Mapping[str, Sequence[Any]],
    executor: Executor | None = None,
    *,
    views: Mapping[str, FillModel] | None = None,
    seed: int = 0,
    cycle_ns: int = 250_000_000,
    latency: str | int | tuple[int, int] = (30_000_000, 30_000_000),
    references: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    in_sample: bool | None = None,
    out: str | PathLike[str] | None = None,
    chunk: int = _CHUNK,
    threads: int | None = None,
    progress: Progress | None = None,
) -> arrow.Table:
    """Plays every configuration over a recording; each row is what `hypermm.backtest` says of that run, to the bit.

    With `out`, rows are written as they come, and a sweep that was killed goes on where it was: the files are then the
    same as those of one that was not.

    Args:
        recording: The market: a `Recording`, or (folder, coin), which the workers of an executor then read there.
            One in memory is written once to a temporary folder that workers on this machine map into memory.
        instrument: Facts of the contract.
        configs: Configurations, or a grid: field → values to try, all combinations, the last field fastest.
        executor: Any `concurrent.futures.Executor`, one chunk of configurations a task; without it all cores of this
            process are used.
        views: Fill models by the name their rows shall have; pessimistic, calibrated and optimistic
            without it. One of the model "calibrated" has the venue's blocks and delays, as in `hypermm backtest`.
        seed: Seed of every draw.
        cycle_ns: Least time between quotes, ns.
        latency: Our messages' latency in the other views, as `hypermm.backtest` takes it.
        references: Prices of other markets by name, as `hypermm.backtest` takes them.
        in_sample: Whether a calibration of the configurations was fitted to this recording or to what came later, for
            the column of that name; `hypermm.config.engine_calibration.recorded_use` says so.
        out: Folder for the results.
        chunk: Configurations of one task and one part of the results.
        threads: Threads of one task: all cores without an executor, one with it.
        progress: Called with (events played, events in all), or with an executor (chunks done, chunks in all).

    Returns:
        One row for each configuration and view, in that order: point (the configuration's place), view, in_sample,
        every field of the configuration, and the figures of `BacktestResult.summary`; markout_bps_10s and so on by
        horizon.

    Raises:
        InvalidInputError: A setting is refused; or `out` holds another sweep: recording, grid, settings, the numbers of
            a fill model or the version of this package differ; or a worker reads another recording in that folder.
        InvalidConfigError: A grid is refused.
        RecordingError: The folder's recording is refused.
    """
    points = grid_configs(configs) if isinstance(configs, Mapping) else list(configs)
    _check(points, executor, chunk)
    loaded = recording if isinstance(recording, Recording) else load_recording(*recording)
    chosen = tuple((views or view_models()).items())
    latencies = [view_latency(model, latency) for _, model in chosen]
    settings: dict[str, Any] = {"seed": seed, "cycle_ns": cycle_ns, "latency": latencies}
    views_named = [name for name, _ in chosen]
    chunks = [points[start : start + chunk] for start in range(0, len(points), chunk)]
    store = None
    if out is not None:
        plan = _plan(loaded, instrument, points, chosen, settings, chunk)
        plan |= {"references": references_hash(references), "in_sample": in_sample}
        store = SweepStore(Path(out), plan, len(chunks))
    settings["references"] = dict(references or {})
    todo = store.missing() if store else list(range(len(chunks)))
    tables: list[arrow.Table | None] = [None] * len(chunks)
    if executor is None:
        done = _here(loaded, instrument, chunks, todo, chosen, settings, threads, progress)
    else:
        done = _elsewhere(
            executor,
            recording,
            recording_hash(loaded),
            instrument,
            chunks,
            todo,
            chosen,
            settings | {"threads": threads or 1},
            progress,
        )
    for place, summaries in done:
        rows = _rows(place * chunk, chunks[place], views_named, summaries, in_sample=in_sample)
        if store:
            store.write(place, rows)
        else:
            tables[place] = rows
    return store.finish() if store else arrow.concat_tables(table for table in tables if table is not None)


def _check(points: Sequence[EngineConfig], executor: object, chunk: int) -> None:
    for place, config in enumerate(points):
        if not isinstance(config, EngineConfig):
            raise InvalidInputError(field=f"configs[{place}]", value=config, expected="an EngineConfig")
    if not points:
        raise InvalidInputError(field="configs", value="[]", expected="at least one configuration")
    if executor is not None and not isinstance(executor, Executor):
        raise InvalidInputError(
            field="executor",
            value=executor,
            expected="a concurrent.futures.Executor, or None",
            hint="of a dask.distributed client: client.get_executor()",
        )
    if chunk < 1:
        raise InvalidInputError(field="chunk", value=chunk, expected="at least 1")


def _plan(
    recording: Recording,
    instrument: Instrument,
    points: Sequence[EngineConfig],
    views: Sequence[tuple[str, FillModel]],
    settings: Mapping[str, Any],
    chunk: int,
) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": version("hypermm"),
        "recording": recording_hash(recording),
        "instrument": repr(instrument),
        "grid": configs_hash(points),
        "configurations": len(points),
        "views": [[name, resolved(model, recording.coin)] for name, model in views],
        **settings,
        "chunk": chunk,
    }


def _here(
    recording: Recording,
    instrument: Instrument,
    chunks: Sequence[Sequence[EngineConfig]],
    todo: Sequence[int],
    views: Sequence[tuple[str, FillModel]],
    settings: dict[str, Any],
    threads: int | None,
    progress: Progress | None,
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Chunk after chunk on the cores of this process."""
    events = recording.events * len(views)
    total, before = events * sum(len(chunks[place]) for place in todo), 0
    for place in todo:
        told = None if progress is None else partial(_tell, progress, before, total)
        yield (
            place,
            _run(recording, instrument, chunks[place], views, settings | {"threads": threads, "progress": told}),
        )
        before += events * len(chunks[place])


def _tell(progress: Progress, before: int, total: int, done: int, _total: int) -> None:
    """How far the sweep is, from how far a chunk of it is."""
    progress(before + done, total)


def _elsewhere(
    executor: Executor,
    recording: Recording | tuple[str | PathLike[str], str],
    held: str,
    instrument: Instrument,
    chunks: Sequence[Sequence[EngineConfig]],
    todo: Sequence[int],
    views: Sequence[tuple[str, FillModel]],
    settings: dict[str, Any],
    progress: Progress | None,
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Chunks as tasks of an executor, in the order they come back."""
    with _shared(recording) as (kind, folder):
        task = _Task((kind, folder, held), instrument, tuple(views), settings)
        running: dict[Future[list[dict[str, Any]]], int] = {
            executor.submit(_play, task, chunks[place]): place for place in todo
        }
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    place = running.pop(future)
                    yield place, future.result()
                    if progress is not None:
                        progress(len(todo) - len(running), len(todo))
        finally:
            for future in running:
                future.cancel()


def _play(task: _Task, configs: Sequence[EngineConfig]) -> list[dict[str, Any]]:
    """One chunk in a worker."""
    return _run(_held(*task.source), task.instrument, configs, task.views, task.settings)


def _run(
    recording: Any,
    instrument: Instrument,
    configs: Sequence[EngineConfig],
    views: Sequence[tuple[str, FillModel]],
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Every configuration under every view. A row that is refused is named by its file and line where it has one."""
    try:
        return run_sweep(recording, instrument, configs, [model for _, model in views], **settings)
    except InvalidInputError as error:
        found = _ROW.search(error.hint)
        if not found or not isinstance(recording, Recording):
            raise
        place = recording.source_of(found["stream"], int(found["row"]), error.field) or found[0]
        hint = error.hint.replace(found[0], place)
        raise InvalidInputError(field=error.field, value=error.value, expected=error.expected, hint=hint) from None


@lru_cache(maxsize=2)
def _held(kind: str, place: str, expected: str) -> Any:
    """A recording read once by each worker: columns mapped into memory, or a folder's coin.

    Raises:
        InvalidInputError: The folder holds another recording than the one that is swept.
    """
    if kind == "columns":
        # Written for this sweep alone into a folder of its own.
        return {file.stem: np.load(file, mmap_mode="r") for file in Path(place).glob("*.npy")}
    recording = load_recording(place, kind.removeprefix("coin "))
    if (found := recording_hash(recording)) != expected:
        raise InvalidInputError(
            field="recording",
            value=f"{recording.coin} in {place}, hash {found}",
            expected=f"what is swept, hash {expected}",
            hint="it was written to since the sweep began, or this machine has another: give every worker the same",
        )
    return recording


@contextmanager
def _shared(recording: Recording | tuple[str | PathLike[str], str]) -> Iterator[tuple[str, str]]:
    """Where workers find the recording: its folder, or a temporary one with the columns of one in memory."""
    if not isinstance(recording, Recording):
        yield f"coin {recording[1]}", str(Path(recording[0]).absolute())
        return
    with tempfile.TemporaryDirectory(prefix="hypermm-sweep-") as folder:
        # What is empty cannot be mapped, and is not missed.
        for name, column in ((name, column) for name, column in recording.columns().items() if column.size):
            np.save(Path(folder) / f"{name}.npy", column)
        yield "columns", folder


def _rows(
    first: int,
    configs: Sequence[EngineConfig],
    views: Sequence[str],
    summaries: Sequence[Mapping[str, Any]],
    *,
    in_sample: bool | None,
) -> arrow.Table:
    """Rows of one chunk whose first configuration stands at place `first`."""
    rows = []
    for place, summary in enumerate(summaries):
        config = configs[place // len(views)]
        row = {"point": first + place // len(views), "view": views[place % len(views)], "in_sample": in_sample}
        row |= config.to_dict()
        row |= {name: summary[name] for name in _COUNTS + _FIGURES}
        row |= {f"markout_bps_{horizon}": summary["markout_bps"][horizon] for horizon in _HORIZONS}
        rows.append(row)
    return arrow.Table.from_pylist(rows, schema=_schema())


def _schema() -> arrow.Schema:
    kinds = {"integer": arrow.int64(), "bool": arrow.bool_()}
    columns = [("point", arrow.int64()), ("view", arrow.string()), ("in_sample", arrow.bool_())]
    columns += [(field.name, kinds.get(field.kind, arrow.float64())) for field in EngineConfig.fields()]
    columns += [(name, arrow.int64()) for name in _COUNTS]
    columns += [(name, arrow.float64()) for name in _FIGURES]
    columns += [(f"markout_bps_{horizon}", arrow.float64()) for horizon in _HORIZONS]
    return arrow.schema(columns)
