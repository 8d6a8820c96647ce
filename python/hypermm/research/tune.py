"""Looks for better settings: Optuna over named fields of the engine's configuration, judged on time it has not seen.

A recording is cut into spans of equal time, the folds. Every trial is played over all but the last; each fold is a run
of its own from the priors on. The last fold is played once at the end, with the base and the trials of the Pareto
front, and no trial was chosen by it.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hypermm._core import EngineConfig, Instrument, run_sweep
from hypermm.exceptions import InvalidConfigError, InvalidInputError
from hypermm.extras import needs
from hypermm.recording.whole_file import whole_file
from hypermm.research.folds import OBJECTIVES, Objective, folds_of, heard_in, joined
from hypermm.research.ranges import FieldRange, default_ranges
from hypermm.research.views import resolved

with needs("research", "Optuna and pyarrow to look for settings"):
    import optuna
    from optuna.trial import TrialState

    from hypermm.research.sweep_store import configs_hash, read_plan, recording_hash, references_hash, refuse_other

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike

    from hypermm.recording import Recording

    References = Mapping[str, tuple[ArrayLike, ArrayLike]]

__all__ = ["DEFAULT_FIELDS", "TriedPoint", "TuneResult", "WalkStep", "tune"]

DEFAULT_FIELDS = ("risk_aversion", "inventory_curvature", "levels", "level_spacing_bps", "adverse_selection_ratio")
# Trials asked for at once and played together: all cores at any number of them, the same trials on any machine.
_BATCH = 8
# Trials with values before the sampler learns from them; a batch that begins earlier is drawn at random.
_RANDOM = 10
_MIN_FOLDS, _MAX_FOLDS = 3, 100


class TriedPoint(NamedTuple):
    """A configuration that was tried.

    Attributes:
        trial: Its number; 0 begins at the base, as far as the ranges allow, and -1 is the base itself.
        fields: The fields that were moved.
        values: Each objective over the folds tuned on.
        by_fold: Each objective in each of these folds.
        held_out: Each objective in the last fold; empty for points that are not on the front.
    """

    trial: int
    fields: dict[str, Any]
    values: tuple[float | None, ...]
    by_fold: tuple[tuple[float | None, ...], ...]
    held_out: tuple[float | None, ...] = ()


class WalkStep(NamedTuple):
    """One step forward in time: the best of all folds before, in the next one.

    What is tried is learned from all folds but the last. A step into one of these therefore chooses only among the
    trials that were drawn before anything was learned; the step into the last chooses among all.

    Attributes:
        fold: The fold it is judged in, from 0; the last is the one held out.
        candidates: How many trials it chose among.
        trial: Best by the first objective over the folds before.
        before: Each objective of that trial over the folds before.
        after: Each objective of that trial in this fold.
        base: Each objective of the base in this fold.
    """

    fold: int
    candidates: int
    trial: int
    before: tuple[float | None, ...]
    after: tuple[float | None, ...]
    base: tuple[float | None, ...]


class TuneResult(NamedTuple):
    """What tuning found.

    Attributes:
        objectives: Names of the objectives, in the order of all values.
        spans: First and last receive time of each fold, ns.
        base: The configuration tuning began at.
        points: Every trial of which something can be said, by number.
        front: Those no other is better than in every objective, best by the first objective first.
        walk: Walking forward through the folds.
    """

    objectives: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    base: TriedPoint
    points: tuple[TriedPoint, ...]
    front: tuple[TriedPoint, ...]
    walk: tuple[WalkStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it, without the points behind the front."""
        return {
            "objectives": list(self.objectives),
            "folds": len(self.spans),
            "trials": len(self.points),
            "base": self.base._asdict(),
            "front": [point._asdict() for point in self.front],
            "walk": [step._asdict() for step in self.walk],
        }


class _Trial(NamedTuple):
    """A trial as it is kept: no values where nothing can be said of an objective, no runs where none was possible.

    One that is at random was drawn before any fold had a say.
    """

    fields: dict[str, Any]
    is_random: bool
    values: list[float]
    runs: list[dict[str, Any]]


class _Kept:
    """Trials so far, and their file, which holds whole batches."""

    def __init__(self, plan: Mapping[str, Any], folder: Path | None) -> None:
        self._plan = json.loads(json.dumps(plan))
        self._file = folder / "trials.json" if folder else None
        self.trials: list[_Trial] = []
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            before = read_plan(self._file)
            refuse_other(self._file, before.get("plan", {}), self._plan)
            self.trials = [_Trial(*trial) for trial in before["trials"]]

    def add(self, batch: Sequence[_Trial]) -> None:
        self.trials.extend(batch)
        if self._file is not None:
            with whole_file(self._file) as part:
                part.write_text(json.dumps({"plan": self._plan, "trials": self.trials}) + "\n", "utf-8")


class _Judge:
    """Plays configurations over folds."""

    def __init__(
        self,
        instrument: Instrument,
        objectives: Sequence[Objective],
        fill_model: Any,
        threads: int | None,
        settings: Mapping[str, Any],
        references: References | None,
    ) -> None:
        self._instrument, self._objectives, self._fill_model = instrument, objectives, fill_model
        self._threads, self._settings, self._references = threads, settings, references

    def play(self, fold: Recording, configs: Sequence[EngineConfig]) -> list[dict[str, Any]]:
        return run_sweep(
            fold,
            self._instrument,
            configs,
            [self._fill_model],
            threads=self._threads,
            references=heard_in(fold, self._references),
            **self._settings,
        )

    @property
    def objectives(self) -> int:
        return len(self._objectives)

    def values(self, summaries: Sequence[Mapping[str, Any]]) -> tuple[float | None, ...]:
        return tuple(joined(objective, summaries) for objective in self._objectives)


def tune(
    recording: Recording,
    instrument: Instrument,
    base: EngineConfig,
    *,
    objectives: Sequence[str] = ("edge_bps", "max_drawdown"),
    trials: int = 64,
    ranges: Mapping[str, FieldRange] | None = None,
    folds: int = 4,
    fill_model: str | tuple[str, float] | tuple[float, float] = ("power", 1.0),
    seed: int = 0,
    cycle_ns: int = 250_000_000,
    latency: str | int | tuple[int, int] = (30_000_000, 30_000_000),
    references: References | None = None,
    threads: int | None = None,
    out: str | PathLike[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> TuneResult:
    """Tries `trials` configurations, the base first, each next one by what was found so far (multi-objective TPE).

    The same arguments give the same trials on any number of threads.

    Args:
        recording: The market.
        instrument: Facts of the contract.
        base: Configuration whose fields are moved.
        objectives: Names of `OBJECTIVES`; the first one leads.
        trials: Configurations to try.
        ranges: Field → where it may go; without it those of `DEFAULT_FIELDS`, a decade to either side of the base.
        folds: Spans of time, 3 or more; the last one is held out.
        fill_model: As `hypermm.backtest` takes it.
        seed: Seed of the sampler and of every draw of the runs.
        cycle_ns: Least time between quotes, ns.
        latency: Our messages' latency, as `hypermm.backtest` takes it.
        references: Prices of other markets by name, as `hypermm.backtest` takes them; a fold hears
            those of its own span.
        threads: Threads to play on; all cores without it.
        out: Folder that keeps the trials in `trials.json`: a search that was killed goes on after its last whole batch,
            and one that was finished goes on to more trials.
        progress: Called with (trials done, trials).

    Raises:
        InvalidInputError: An argument is refused, or `out` holds the trials of something else.
        InvalidConfigError: A range is refused.
    """
    chosen = _objectives(objectives)
    if trials < 1:
        raise InvalidInputError(field="trials", value=trials, expected="at least 1")
    if not _MIN_FOLDS <= folds <= _MAX_FOLDS:
        raise InvalidInputError(field="folds", value=folds, expected=f"{_MIN_FOLDS} to {_MAX_FOLDS}")
    moved = dict(ranges) if ranges else default_ranges(base, DEFAULT_FIELDS)
    parts = folds_of(recording, folds)
    settings = {"seed": seed, "cycle_ns": cycle_ns, "latency": latency}
    judge = _Judge(instrument, chosen, fill_model, threads, settings, references)
    plan = {
        "version": version("hypermm"),
        "recording": recording_hash(recording),
        "instrument": repr(instrument),
        "base": configs_hash([base]),
        "objectives": list(objectives),
        "ranges": {name: list(place) for name, place in moved.items()},
        "folds": folds,
        "fill_model": resolved(fill_model, recording.coin),
        **settings,
        "references": references_hash(references),
    }
    kept = _Kept(plan, None if out is None else Path(out))
    distributions = {name: place.distribution() for name, place in moved.items()}
    start = {name: place.nearest(base.to_dict()[name]) for name, place in moved.items()}
    while (done := len(kept.trials)) < trials:
        batch = _batch(chosen, distributions, start, kept.trials, min(_BATCH, trials - done), seed)
        is_random = sum(bool(trial.values) for trial in kept.trials) < _RANDOM
        kept.add(_played(base, batch, judge, parts[:-1], is_random=is_random))
        if progress is not None:
            progress(min(done + _BATCH, trials), trials)
    on_front = {trial.number for trial in _study(chosen, distributions, kept.trials[:trials]).best_trials}
    return _judged(kept.trials[:trials], on_front, base, objectives, chosen, judge, parts)


def _objectives(names: Sequence[str]) -> list[Objective]:
    for name in names:
        if name not in OBJECTIVES:
            raise InvalidInputError(field="objectives", value=name, expected=f"of {', '.join(OBJECTIVES)}")
    if not names or len(set(names)) != len(names):
        raise InvalidInputError(field="objectives", value=list(names), expected="one or more, each once")
    return [OBJECTIVES[name] for name in names]


def _study(objectives: Sequence[Objective], distributions: Mapping[str, Any], trials: Sequence[_Trial]) -> optuna.Study:
    """A study that knows these trials and nothing else."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [up if objective.better == "higher" else down for objective in objectives]
    study = optuna.create_study(directions=directions)
    for trial in trials:
        state = TrialState.COMPLETE if trial.values else TrialState.FAIL
        study.add_trial(
            optuna.trial.create_trial(
                state=state, params=trial.fields, distributions=dict(distributions), values=trial.values or None
            )
        )
    return study


def _batch(
    objectives: Sequence[Objective],
    distributions: Mapping[str, Any],
    start: Mapping[str, Any],
    trials: Sequence[_Trial],
    count: int,
    seed: int,
) -> list[dict[str, Any]]:
    """What to try next: of the trials so far and the seed alone, so that a second life goes on as the first would."""
    study = _study(objectives, distributions, trials)
    study.sampler = optuna.samplers.TPESampler(seed=(seed * 1_000_003 + len(trials)) % 2**32, n_startup_trials=_RANDOM)
    if not trials:
        study.enqueue_trial(dict(start))
    return [study.ask(dict(distributions)).params for _ in range(count)]


def _played(
    base: EngineConfig, batch: Sequence[dict[str, Any]], judge: _Judge, folds: Sequence[Recording], *, is_random: bool
) -> list[_Trial]:
    configs: list[EngineConfig | None] = []
    for fields in batch:
        try:
            configs.append(base.replace(**fields))
        except InvalidConfigError:
            # Fields that are fine alone but not together, such as a horizon's lower bound above its upper.
            configs.append(None)
    playable = [config for config in configs if config is not None]
    by_fold = [iter(judge.play(fold, playable)) for fold in folds]
    trials = []
    for fields, config in zip(batch, configs, strict=True):
        if config is None:
            trials.append(_Trial(fields, is_random, [], []))
            continue
        runs = [_figures(next(summaries)) for summaries in by_fold]
        values = [value for value in judge.values(runs) if value is not None]
        trials.append(_Trial(fields, is_random, values if len(values) == judge.objectives else [], runs))
    return trials


def _figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run every objective can be told from."""
    return {objective.figure: summary[objective.figure] for objective in OBJECTIVES.values()}


def _judged(
    trials: Sequence[_Trial],
    on_front: set[int],
    base: EngineConfig,
    names: Sequence[str],
    objectives: Sequence[Objective],
    judge: _Judge,
    parts: Sequence[Recording],
) -> TuneResult:
    """Plays the front and the base over the fold held out, and walks through the folds."""
    points = {
        number: TriedPoint(number, trial.fields, tuple(trial.values), tuple(judge.values([run]) for run in trial.runs))
        for number, trial in enumerate(trials)
        if trial.values
    }
    front = sorted(on_front, key=lambda number: (-_rank(points[number].values[0], objectives[0]), number))
    judged_base = [judge.play(fold, [base])[0] for fold in parts]
    configs = [base.replace(**points[number].fields) for number in front]
    last = judge.play(parts[-1], configs) if configs else []
    for number, summary in zip(front, last, strict=True):
        points[number] = points[number]._replace(held_out=judge.values([summary]))
    base_by_fold = tuple(judge.values([summary]) for summary in judged_base)
    start = TriedPoint(-1, {}, judge.values(judged_base[:-1]), base_by_fold[:-1], base_by_fold[-1])
    walk = []
    blind = {number: trials[number].runs for number in points if trials[number].is_random}
    for fold in range(1, len(parts) if front else 0):
        # All folds tuned on are before the last one: their best leads the front.
        is_last = fold == len(parts) - 1
        best = front[0] if is_last else _best(fold, blind, objectives[0])
        by_fold = (*points[best].by_fold, points[best].held_out)
        before = judge.values(trials[best].runs[:fold])
        walk.append(
            WalkStep(fold, len(points) if is_last else len(blind), best, before, by_fold[fold], base_by_fold[fold])
        )
    spans = tuple((part.start_ns, part.end_ns) for part in parts)
    ordered = tuple(points[number] for number in sorted(points))
    return TuneResult(tuple(names), spans, start, ordered, tuple(points[number] for number in front), tuple(walk))


def _rank(value: float | None, objective: Objective) -> float:
    """A number that is higher for what is better."""
    if value is None:
        return float("-inf")
    return value if objective.better == "higher" else -value


def _best(fold: int, runs: Mapping[int, Sequence[Mapping[str, Any]]], leader: Objective) -> int:
    """The trial that is best by the leading objective over the folds before `fold`."""
    return max(runs, key=lambda number: (_rank(joined(leader, runs[number][:fold]), leader), -number))
