"""Exact long-run solution of the Guéant–Lehalle–Fernandez-Tapia market maker, by eigenvectors.

A market maker with CARA utility of risk aversion γ (per clip and bp) trades one clip at a time against Poisson
flow of intensity A·exp(−kδ) a side while mid is a Brownian motion of σ bps/√s; inventory stays within ±N clips. The
same γ stands in the utility and in the fill term. Source: Guéant, Lehalle, Fernandez-Tapia, "Dealing with the
inventory risk" (2013): with θ the certainty equivalent, v = exp(kθ) solves a linear system, so the long-run
quotes come from its principal eigenvector. Nothing is expanded or approximated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Market:
    """One market: units bps, seconds, clips."""

    volatility: float
    """σ, bps/√s."""
    depth_decay: float
    """k, 1/bps, the same for both sides (the linear system needs it)."""
    bid_intensity: float
    """A_b, 1/s: rate at which a bid at mid would be hit."""
    ask_intensity: float
    """A_a, 1/s: rate at which an ask at mid would be lifted."""
    risk_aversion: float
    """γ, 1/bps per clip."""
    clips: int = 20
    """N: inventory cap in clips."""

    @property
    def inventories(self) -> Array:
        """−N … N clips."""
        return np.arange(-self.clips, self.clips + 1, dtype=np.float64)


@dataclass(frozen=True)
class Quotes:
    """Depths from mid by inventory −N … N, bps; +inf where the cap forbids the side."""

    bid_depths: Array
    ask_depths: Array


def exact_quotes(market: Market) -> tuple[Quotes, float]:
    """The optimal long-run quotes and their value, bps·clips a second."""
    gamma, k = market.risk_aversion, market.depth_decay
    shrink = (1.0 + gamma / k) ** (-(1.0 + k / gamma))
    bid_rate, ask_rate = market.bid_intensity * shrink, market.ask_intensity * shrink
    q = market.inventories
    # Similar to a symmetric matrix, from which the eigenvalue; the tails of the eigenvector fall below the rounding
    # error of any eigensolver, so its ratios come from the stable recursion inward from both caps.
    diagonal = 0.5 * k * gamma * market.volatility**2 * q**2
    off = np.full(q.size - 1, -math.sqrt(bid_rate * ask_rate))
    lowest = float(eigh_tridiagonal(diagonal, off, eigvals_only=True, select="i", select_range=(0, 0))[0])
    log_steps = np.empty(q.size - 1)
    outward = 0.0
    for i in range(q.size - 1, market.clips, -1):
        outward = ask_rate / (diagonal[i] - lowest - bid_rate * outward)
        log_steps[i - 1] = math.log(outward)
    outward = 0.0
    for i in range(market.clips):
        outward = bid_rate / (diagonal[i] - lowest - ask_rate * outward)
        log_steps[i] = -math.log(outward)
    steps = log_steps / k
    margin = math.log(1.0 + gamma / k) / gamma
    return Quotes(np.append(margin - steps, np.inf), np.concatenate(([np.inf], margin + steps))), -lowest / k


def value_of(market: Market, quotes: Quotes) -> float:
    """Long-run certainty equivalent of any quotes, bps·clips a second.

    E exp(−γ·wealth) grows like exp(ρt), ρ the principal eigenvalue of the tilted generator of inventory; the value is
    −ρ/γ.
    """
    gamma, k = market.risk_aversion, market.depth_decay
    q = market.inventories
    with np.errstate(over="ignore"):
        buys = np.where(np.isinf(quotes.bid_depths), 0.0, market.bid_intensity * np.exp(-k * quotes.bid_depths))
        sells = np.where(np.isinf(quotes.ask_depths), 0.0, market.ask_intensity * np.exp(-k * quotes.ask_depths))
    diagonal = 0.5 * (gamma * market.volatility * q) ** 2 - buys - sells
    # Tridiagonal with off-diagonals of one sign: the symmetric similar matrix has the same eigenvalues.
    upward = buys[:-1] * np.exp(-gamma * quotes.bid_depths[:-1])
    downward = sells[1:] * np.exp(-gamma * quotes.ask_depths[1:])
    top = q.size - 1
    rho = eigh_tridiagonal(
        diagonal, np.sqrt(upward) * np.sqrt(downward), eigvals_only=True, select="i", select_range=(top, top)
    )
    return -float(rho[0]) / gamma
