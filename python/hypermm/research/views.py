"""One run under three fill models: what the public feed leaves open about our fills, as a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import hypermm

if TYPE_CHECKING:
    from hypermm.recording import Recording

__all__ = ["FillView", "fill_views", "view_models"]

_NAMES = ("pessimistic", "calibrated", "optimistic")


class FillView(NamedTuple):
    """What a run comes to under one fill model.

    Attributes:
        view: "pessimistic", "calibrated" or "optimistic".
        fill_model: The model: risk-averse queue, power queue, the old paper trader's chances.
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


def view_models(cancel_exponent: float = 1.0) -> dict[str, str | tuple[str, float]]:
    """The fill model of each view, most careful first, as `hypermm.backtest` takes it.

    Args:
        cancel_exponent: Exponent of the power model; 1 until one is fitted.
    """
    models: tuple[str | tuple[str, float], ...] = ("risk_averse", ("power", cancel_exponent), "paper")
    return dict(zip(_NAMES, models, strict=True))


def fill_views(
    recording: Recording,
    instrument: hypermm.Instrument,
    config: hypermm.EngineConfig,
    *,
    cancel_exponent: float = 1.0,
    **arguments: Any,
) -> list[FillView]:
    """Runs the engine under each of three fill models, most careful first.

    Pessimistic: nobody ahead of us in a queue cancels. Calibrated: cancels are shared by the power model. Optimistic:
    prints at our price fill by chance, whatever stands ahead.

    Args:
        recording: The market.
        instrument: Facts of the contract.
        config: Configuration of the engine.
        cancel_exponent: Exponent of the power model; 1 until one is fitted.
        arguments: Other settings of `hypermm.backtest`.
    """
    views = []
    for view, model in view_models(cancel_exponent).items():
        summary = hypermm.backtest(
            recording, instrument, config, fill_model=model, log_decisions=False, **arguments
        ).summary()
        shown = model if isinstance(model, str) else f"{model[0]} {model[1]:g}"
        markouts = summary["markout_bps"] or {}
        figures = (summary["fills"], summary["volume_usd"], summary["pnl_usd"], summary["edge_bps"])
        views.append(FillView(view, shown, *figures, markouts.get("10s")))
    return views
