"""The HTML page of a calibration: what passed and why the rest did not, one file that needs no network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from hypermm.recording.whole_file import whole_file
from hypermm.research.calibration.score import reliability
from hypermm.research.charts import as_html, dress
from hypermm.research.page import page_of

if TYPE_CHECKING:
    from pathlib import Path

    from hypermm.config.calibration import CalibrationArtifact, FeatureVerdict, HawkesFit
    from hypermm.research.calibration.calibrate import Calibrated

__all__ = ["write_page"]

_IN, _OUT = "#0a8f6c", "#8a97a6"
_MOST_SHOWN = 14
_LEAST_R2 = -0.02


def write_page(calibrated: Calibrated, path: Path) -> None:
    """Writes the page.

    Raises:
        MissingDependencyError: plotly or jinja2 is not installed.
    """
    artifact = calibrated.artifact
    page = page_of("calibration.html.j2")(
        title=f"Calibration of {artifact.coin}",
        span=_span(artifact),
        provisional=artifact.provisional,
        windows=artifact.independent_windows,
        folds=as_html(_folds_chart(artifact), "folds"),
        reliability=as_html(_reliability_chart(calibrated), "reliability"),
        covariance=as_html(_covariance_chart(artifact), "covariance"),
        features=[_row(verdict) for verdict in _ordered(artifact)],
        facts=_facts(artifact),
    )
    with whole_file(path) as part:
        part.write_text(page, "utf-8")


def _span(artifact: CalibrationArtifact) -> str:
    begin, end = (datetime.fromtimestamp(time / 1e9, UTC) for time in (artifact.data_from_ns, artifact.data_to_ns))
    return (
        f"{begin:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC, cycles of {artifact.cycle_s:g} s, "
        f"{artifact.independent_windows:,} independent windows of 10 s"
    )


def _ordered(artifact: CalibrationArtifact) -> list[FeatureVerdict]:
    """Accepted first, then by R²."""
    return sorted(artifact.features, key=lambda verdict: (not verdict.accepted, -(verdict.r2 or -1e9), verdict.name))


def _folds_chart(artifact: CalibrationArtifact) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    shown = [v for v in _ordered(artifact) if v.r2 is not None and v.r2 > _LEAST_R2][:_MOST_SHOWN]
    count = max((len(verdict.folds) for verdict in shown), default=0)
    for fold in range(count):
        offset = 0.62 * (fold - (count - 1) / 2) / max(count, 1)
        scores = [verdict.folds[fold] for verdict in shown]
        figure.add_trace(
            go.Scatter(
                x=[place + offset for place in range(len(shown))],
                y=[score.r2 for score in scores],
                error_y={"type": "data", "array": [score.r2_error for score in scores], "thickness": 1, "width": 2},
                mode="markers",
                marker={"size": 7, "color": [_IN if verdict.accepted else _OUT for verdict in shown]},
                customdata=[score.alpha for score in scores],
                hovertemplate=f"fold {fold + 1}: R² %{{y:.4f}}, α %{{customdata:.4g}}<extra></extra>",
            )
        )
    dress(figure, height=420)
    figure.add_hline(y=artifact.gates.r2, line={"color": "#d98e04", "width": 1, "dash": "dot"})
    figure.update_layout(showlegend=False, margin={"b": 130})
    names = [verdict.name.replace("_", " ") for verdict in shown]
    figure.update_xaxes(tickvals=list(range(len(shown))), ticktext=names, tickangle=-35)
    figure.update_yaxes(title_text="R², gate dotted")
    return figure


def _reliability_chart(calibrated: Calibrated) -> Any:
    import plotly.graph_objects as go

    sample, forecast = calibrated.sample, calibrated.held_out_bps
    known = np.isfinite(forecast) & np.isfinite(sample.target_bps)
    rows = reliability(sample.target_bps[known], forecast[known], sample.lags)
    x = [row["forecast_bps"] for row in rows]
    figure = go.Figure()
    if x:
        edge = max(abs(min(x)), abs(max(x)), 1e-9) * 1.1
        line = {"color": _OUT, "width": 1, "dash": "dot"}
        figure.add_trace(go.Scatter(x=[-edge, edge], y=[-edge, edge], mode="lines", line=line, hoverinfo="skip"))
    figure.add_trace(
        go.Scatter(
            x=x,
            y=[row["realized_bps"] for row in rows],
            error_y={"type": "data", "array": [row["error_bps"] for row in rows], "thickness": 1, "width": 2},
            mode="markers",
            marker={"size": 8, "color": "#2563eb"},
            hovertemplate="forecast %{x:.3f}, realized %{y:.3f} bps<extra></extra>",
        )
    )
    dress(figure, height=360)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text="mean forecast, bps")
    figure.update_yaxes(title_text="mean 10 s return, bps")
    return figure


def _covariance_chart(artifact: CalibrationArtifact) -> Any:
    import plotly.graph_objects as go

    count = len(artifact.accepted)
    matrix = np.array(artifact.error_covariance).reshape(count, count)
    deviation = np.sqrt(np.diag(matrix)) if count else np.zeros(0)
    names = [feature.name.replace("_", " ") for feature in artifact.accepted]
    figure = go.Figure(
        go.Heatmap(
            z=matrix / np.outer(deviation, deviation) if count else [],
            x=names,
            y=names,
            zmin=-1,
            zmax=1,
            colorscale="RdBu",
            texttemplate="%{z:.2f}",
            showscale=False,
        )
    )
    dress(figure, height=360)
    figure.update_layout(margin={"l": 150, "b": 90})
    figure.update_yaxes(autorange="reversed")
    if not count:
        figure.add_annotation(text="no feature was accepted", showarrow=False)
    return figure


def _row(verdict: FeatureVerdict) -> dict[str, Any]:
    def pair(value: float | None, error: float | None, pattern: str) -> str:
        if value is None:
            return ""
        return f"{value:{pattern}}" + ("" if error is None else f" ± {error:{pattern}}")

    return {
        "name": verdict.name,
        "accepted": verdict.accepted,
        "alpha": pair(verdict.alpha, verdict.alpha_error, ".3g"),
        "r2": pair(verdict.r2, verdict.r2_error, ".4f"),
        "t": pair(verdict.clark_west_t, None, ".2f"),
        "added": pair(verdict.incremental_r2, None, ".4f"),
        "reason": verdict.reason,
    }


def _facts(artifact: CalibrationArtifact) -> list[tuple[str, str]]:
    fit, own, use = artifact.filter, artifact.own_fill, artifact.volatility
    charge = artifact.adverse_selection
    rows = [
        ("mean reversion κ_μ", f"{fit.mean_reversion_per_s:.4g} 1/s"),
        ("stationary deviation √P∞", f"{np.sqrt(fit.stationary_variance):.4g} bps/s"),
        (
            "innovations of the features",
            f"error covariance × {fit.noise_scale:.3g}; held-out NIS "
            f"{'none' if fit.held_out_nis is None else format(fit.held_out_nis, '.3g')}",
        ),
        (
            "returns alone would say",
            f"κ_μ {fit.return_only.mean_reversion_per_s:.4g} 1/s, √P∞ "
            f"{np.sqrt(fit.return_only.stationary_variance):.4g} bps/s, σ {fit.return_only.volatility:.4g} bps/√s",
        ),
        ("own fills", f"{own.state.replace('_', ' ')}: {own.reason}"),
        (
            "volatility features",
            f"ν {_or_default(use.ratio_exponent)}, c_I {_or_default(use.informed_volatility)}; "
            f"log-score {use.log_score_gain:+.4f} ± {use.log_score_error:.4f}",
        ),
    ]
    rows += [
        (f"adverse selection, {name}", one.summary)
        for name, one in (("a₀", charge.ratio), ("κ_tail", charge.tail_factor))
    ]
    rows += [(f"Hawkes, {name}", _hawkes(one)) for name, one in _sides(artifact)]
    rows += [
        (
            feature.name,
            f"gain {feature.gain:.3f}, noise memory {feature.noise_memory_s:.3g} s, fresh noise "
            f"{feature.fresh_noise_share:.2f}, {feature.target}",
        )
        for feature in artifact.accepted
    ]
    return rows


def _sides(artifact: CalibrationArtifact) -> list[tuple[str, HawkesFit | None]]:
    return [("buys", artifact.hawkes_buy), ("sells", artifact.hawkes_sell)]


def _hawkes(fit: HawkesFit | None) -> str:
    if fit is None:
        return "too few events"
    return (
        f"base {fit.base_rate_per_s:.3g} 1/s, branching ratio {fit.branching_ratio:.3f}, "
        f"decay {fit.decay_per_s:.3g} 1/s, "
        f"{fit.events:,} events, time-rescaling p {fit.rescaling_p_value:.2g}"
    )


def _or_default(value: float | None) -> str:
    return "default" if value is None else f"{value:.3g}"
