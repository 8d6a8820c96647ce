"""Numbers as the venue writes them: plain decimals in strings, at least one decimal place, no exponent.

    83767 → "83767.0"; 0.004411 → "0.004411"; 0 → "0.0"
"""

from __future__ import annotations

__all__ = ["MICROS", "amount", "decimal", "micros", "price", "rate", "size", "spelled"]

MICROS = 1_000_000
_PRICE_DECIMALS = 6
_RATE_DECIMALS = 10


def decimal(value: float, decimals: int) -> str:
    """`value` rounded to `decimals` places, trailing zeros left out but for the first place."""
    text = f"{value:.{max(decimals, 1)}f}".rstrip("0")
    if text.endswith("."):
        text += "0"
    return text[1:] if text == "-0.0" else text


def price(value: float, size_decimals: int) -> str:
    """A price of a contract with so many decimals of size; mids have one more than orders may."""
    return decimal(value, _PRICE_DECIMALS - size_decimals + 1)


def size(value: float, size_decimals: int) -> str:
    """A size or position."""
    return decimal(value, size_decimals)


def amount(value: float) -> str:
    """An amount of money: six decimals."""
    return decimal(value, 6)


def rate(value: float) -> str:
    """A fraction, such as a funding rate or premium: ten decimals."""
    return decimal(value, _RATE_DECIMALS)


def micros(value: int) -> str:
    """An amount in millionths, exact: 14625485 → "14.625485"."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), MICROS)
    return f"{sign}{whole}." + (f"{fraction:06d}".rstrip("0") or "0")


def spelled(units: int, decimals: int) -> str:
    """`units`·10^−`decimals`, exact: (837670, 1) → "83767.0"."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), 10**decimals)
    return f"{sign}{whole}." + ((f"{fraction:0{decimals}d}".rstrip("0") or "0") if decimals else "0")
