"""Numbers as the venue writes them: plain decimals in strings, at least one decimal place, no exponent.

83767 → "83767.0"; 0.004411 → "0.004411"; 0 → "0.0"
"""

from __future__ import annotations

__all__ = ["decimal"]


def decimal(value: float, decimals: int) -> str:
    """`value` rounded to `decimals` places, trailing zeros left out but for the first place."""
    text = f"{value:.{max(decimals, 1)}f}".rstrip("0")
    if text.endswith("."):
        text += "0"
    return text[1:] if text == "-0.0" else text
