"""Frames of the bookTicker stream to reference prices: bytes in, prices out, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hypermm.exceptions import InvalidInputError, WireError
from hypermm.exchange.events import ReferenceUpdate

__all__ = ["BookTickerDecoder"]

_NS_PER_MS = 1_000_000
_CHANNEL = "bookTicker"


class _BookTicker(msgspec.Struct, gc=False):
    """Best bid and offer of one symbol; prices and sizes come as text."""

    u: int
    s: str
    b: float
    B: float
    a: float
    A: float
    T: int


class _Envelope(msgspec.Struct, gc=False):
    """A frame of a combined stream."""

    stream: str
    data: msgspec.Raw


_envelopes = msgspec.json.Decoder(_Envelope)
_tickers = msgspec.json.Decoder(_BookTicker, strict=False)


class BookTickerDecoder:
    """Mids of the symbols that are followed, under the names an engine's calibration knows them by.

    Args:
        markets: Name by symbol, such as ``{"BTCUSDT": "BTC"}``.

    Raises:
        InvalidInputError: No symbol, or an empty name.
    """

    def __init__(self, markets: Mapping[str, str]) -> None:
        """Nothing has been heard yet."""
        if not markets or not all(markets) or not all(markets.values()):
            raise InvalidInputError(
                field="markets", value=dict(markets), expected="a name by symbol", hint='such as {"BTCUSDT": "BTC"}'
            )
        self._markets = {symbol.upper(): name for symbol, name in markets.items()}
        self._last: dict[str, tuple[int, int]] = {}

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams to subscribe to."""
        return tuple(f"{symbol.lower()}@bookTicker" for symbol in self._markets)

    def decode(self, frame: bytes | str) -> ReferenceUpdate | None:
        """The price a frame of the combined stream tells; None of other streams, other symbols, and what is old.

        A frame whose update id is not above the last one of its symbol came late, or twice after a reconnect; unless
        its time is later: then the exchange counts anew.

        Raises:
            WireError: A frame of bookTicker that cannot be read, or says what cannot be; nothing of it is kept.
        """
        try:
            envelope = _envelopes.decode(frame)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _refused("frame", frame, f"a frame of a combined stream: {error}") from error
        if not envelope.stream.endswith("@bookTicker"):
            return None
        try:
            ticker = _tickers.decode(envelope.data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _refused("data", bytes(envelope.data), f"a bookTicker: {error}") from error
        name = self._markets.get(ticker.s)
        last_id, last_ms = self._last.get(ticker.s, (-1, -1))
        if name is None or (last_id >= ticker.u and last_ms >= ticker.T):
            return None
        for field, price in (("b", ticker.b), ("a", ticker.a)):
            if not 0.0 < price < float("inf"):
                raise _refused(field, price, "a price above 0")
        if ticker.b > ticker.a:
            raise _refused("b", ticker.b, f"a bid of at most the offer, {ticker.a}")
        self._last[ticker.s] = (ticker.u, ticker.T)
        return ReferenceUpdate(name, ticker.T * _NS_PER_MS, 0.5 * (ticker.b + ticker.a))


def _refused(field: str, value: Any, expected: str) -> WireError:
    shown = value[:80] if isinstance(value, (bytes, str)) else value
    return WireError(field=field, value=shown, expected=expected, channel=_CHANNEL)
