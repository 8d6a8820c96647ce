"""One run under three fill models: what the public feed leaves open about our fills, as a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import hypermm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypermm.recording import Recording

__all__ = ["FillView", "fill_views", "resolved", "view_latency", "view_models", "view_settings"]

_NAMES = ("pessimistic", "calibrated", "optimistic")


class FillView(NamedTuple):
    """What a run comes to under one fill model.

    Attributes:
        view: "pessimistic", "calibrated" or "optimistic".
        fill_model: The model: risk-averse queue, calibrated, the old paper trader's chances.
        fills: Fills.
        volume_usd: Traded, USD.
        pnl_usd: Profit, USD.
        edge_bps: Mean edge a fill after fees, bps of mid; None without fills.
        markout_bps: Mean markout 10 s after a fill, bps; None without fills.
    """

    view: str
    fill_model: str
    fills: int
    volume_usd: float
    pnl_usd: float
    edge_bps: float | None
    markout_bps: float | None


def view_models() -> dict[str, str]:
    """The fill model of each view, most careful first, as `hypermm.backtest` takes it."""
    return dict(zip(_NAMES, ("risk_averse", "calibrated", "paper"), strict=True))


def view_latency(fill_model: object, latency: Any) -> Any:
    """The latency a view has: "venue" for the calibrated model, which was fitted with it, else the one given."""
    return "venue" if fill_model == "calibrated" else latency


def view_settings(fill_model: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `hypermm.backtest` for a view: its fill model, and the latency it has."""
    latency = view_latency(fill_model, settings.get("latency"))
    return {**settings, "fill_model": fill_model} | ({} if latency is None else {"latency": latency})


def resolved(fill_model: Any, coin: str) -> Any:
    """A fill model with the numbers that "calibrated" stands for; any other as it is."""
    return ("calibrated", *hypermm.fill_calibration(coin)) if fill_model == "calibrated" else fill_model


def fill_views(
    recording: Recording,
    instrument: hypermm.Instrument,
    config: hypermm.EngineConfig,
    **arguments: Any,
) -> list[FillView]:
    """Runs the engine under each of three fill models, most careful first.

    Pessimistic: nobody ahead of us in a queue cancels. Calibrated: what `hypermm gap` fitted to true queues for this
    coin, with the venue's blocks and delays, which it was fitted with, in place of the latency given. Optimistic:
    prints at our price fill by chance, whatever stands ahead.

    Args:
        recording: The market.
        instrument: Facts of the contract.
        config: Configuration of the engine.
        arguments: Other settings of `hypermm.backtest`.
    """
    views = []
    for view, model in view_models().items():
        settings = {"log_decisions": False} | view_settings(model, arguments)
        summary = hypermm.backtest(recording, instrument, config, **settings).summary()
        numbers = [f"{number:g}" for number in resolved(model, instrument.coin)[1:]] if model == "calibrated" else []
        shown = " ".join([model, *numbers])
        markouts = summary["markout_bps"] or {}
        figures = (summary["fills"], summary["volume_usd"], summary["pnl_usd"], summary["edge_bps"])
        views.append(FillView(view, shown, *figures, markouts.get("10s")))
    return views
