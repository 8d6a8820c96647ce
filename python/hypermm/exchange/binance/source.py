"""The live bookTicker stream; what a frame says is told by `hypermm.exchange.binance.book_ticker`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from hypermm.exceptions import WireError
from hypermm.exchange.binance.book_ticker import BookTickerDecoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from hypermm.exchange.events import ReferenceUpdate

__all__ = ["BookTickerSource"]

_URL = "wss://fstream.binance.com"
_MAX_FRAME_BYTES = 65_536
_SERVER_FAULT = 500
# Too many requests: 429, then 418 while banned, 403 from the firewall. 408 and 425 are nobody's fault.
_COME_BACK_LATER = frozenset({403, 408, 418, 425, 429})
_log = logging.getLogger(__name__)


def _ending(error: Exception) -> Exception | None:
    """What ends the source, such as an address that is none; None is tried again, with pauses from 3 s to 90 s."""
    if isinstance(error, InvalidStatus):
        passes = error.response.status_code >= _SERVER_FAULT or error.response.status_code in _COME_BACK_LATER
    else:
        passes = isinstance(error, (OSError, TimeoutError, InvalidMessage))
    if not passes:
        return error
    _log.warning("no connection to the reference stream, trying again: %s", error)
    return None


class BookTickerSource:
    """Reference prices as they come, connecting again whenever the connection ends, is refused for now or fails.

    A silence needs no flag: features of another market are stale after seconds, and then say nothing.

    Args:
        markets: Name by symbol, such as ``{"BTCUSDT": "BTC"}``.
        clock_ns: The receiver's clock.
        url: Where the streams are.
        pause_s: Least time between a connection that ended and the next.
    """

    def __init__(
        self, markets: Mapping[str, str], clock_ns: Callable[[], int], *, url: str = _URL, pause_s: float = 1.0
    ) -> None:
        """Connects to nothing yet."""
        self._decoder = BookTickerDecoder(markets)
        self._clock_ns = clock_ns
        self._url = f"{url}/stream?streams={'/'.join(self._decoder.streams)}"
        self._pause_s = pause_s
        self.refused = 0

    async def prices(self) -> AsyncIterator[tuple[int, ReferenceUpdate]]:
        """(receiver's clock in ns, price), until closed; a frame that cannot be read is counted and passed over."""
        async for connection in connect(self._url, max_size=_MAX_FRAME_BYTES, process_exception=_ending):
            try:
                async for frame in connection:
                    time_ns = self._clock_ns()
                    try:
                        update = self._decoder.decode(frame)
                    except WireError as error:
                        self.refused += 1
                        _log.warning("reference frame refused: %s", error)
                        continue
                    if update is not None:
                        yield time_ns, update
            except ConnectionClosed as closed:
                _log.info("reference stream closed: %s", closed)
            await asyncio.sleep(self._pause_s)
