"""The venue over HTTP: questions are asked again when it stumbles, actions are sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from hypermm.exceptions import AnswerLostError, UnknownCoinError, VenueError
from hypermm.exchange.hyperliquid.answers import read_info
from hypermm.exchange.hyperliquid.assets import Universe
from hypermm.exchange.hyperliquid.encode import info_request
from hypermm.exchange.hyperliquid.rate_limit import NS_PER_S, IpWeight, info_weight

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from hypermm.exchange.hyperliquid.endpoint import Endpoint

__all__ = ["HttpClient", "load_universe"]

TIMEOUT_S = 10.0
ATTEMPTS = 4
FIRST_PAUSE_S = 0.25
_TIMED_OUT = 408
_TOO_MANY = 429
_SERVER_FAULT = 500
_JSON = {"Content-Type": "application/json"}


class HttpClient:
    """One venue's ``/info`` and ``/exchange``. Use it in an ``async with``.

    Args:
        venue: Where it is.
        clock: ns since 1970, never back.
        jitter: Draws from [0, 1); spreads repeated questions.
        weight: What this machine may ask for, shared with its websockets.
        timeout_s: How long an answer may take, s.
    """

    def __init__(
        self,
        venue: Endpoint,
        clock: Callable[[], int],
        jitter: Callable[[], float],
        *,
        weight: IpWeight | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.venue = venue
        self.weight = IpWeight() if weight is None else weight
        self.clock = clock
        self._jitter = jitter
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(5.0, timeout_s))
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(timeout=self._timeout, headers=_JSON)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
        self._client = None

    # --- questions ----------------------------------------------------------------------------------------------

    async def info(self, kind: str, *, urgent: bool = False, **fields: Any) -> Any:
        """Asks, and reads the answer; asks again after a fault of the venue or of the way to it.

        Args:
            kind: The request's type.
            urgent: It may use what is kept for cancels, and does not wait for a pause to end.
            fields: Its fields; those that are None are left out.

        Raises:
            VenueError: No answer after some attempts, or the question is refused.
            WireError: The answer cannot be read.
        """
        answer, _ = await self._ask(kind, fields, urgent=urgent)
        value = read_info(kind, answer)
        if isinstance(value, list):
            self.weight.charge_rows(self.clock(), kind, len(value))
        return value

    async def info_at(self, kind: str, **fields: Any) -> tuple[Any, int]:
        """The answer, and the middle of the one attempt that brought it, ns; errors as `info`."""
        answer, asked_ns = await self._ask(kind, fields)
        middle_ns = (asked_ns + self.clock()) // 2
        return read_info(kind, answer), middle_ns

    async def info_bytes(self, kind: str, **fields: Any) -> bytes:
        """The body of the answer, unread; errors as `info`."""
        return (await self._ask(kind, fields))[0]

    async def _ask(self, kind: str, fields: dict[str, Any], *, urgent: bool = False) -> tuple[bytes, int]:
        """The body of the answer, and when the attempt that brought it began."""
        body = msgspec.json.encode(info_request(kind, **fields))
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(FIRST_PAUSE_S * 2.0**attempt * (0.5 + 0.5 * self._jitter()))
            await self._afford(info_weight(kind), urgent=urgent)
            asked_ns = self.clock()
            try:
                status, answer = await self._post("/info", body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem = _words(error)
                continue
            if status == _TOO_MANY:
                self.weight.refused(self.clock())
            elif status < 300:
                return answer, asked_ns
            problem = f"HTTP {status} {_text(answer)}".rstrip()
            if status < _SERVER_FAULT and status != _TOO_MANY:
                break
        raise VenueError(
            field=f"info {kind}",
            value=problem,
            expected=f"an answer of {self.venue.http_url}",
            hint="this machine has used up its requests: wait a minute"
            if problem.startswith(f"HTTP {_TOO_MANY}")
            else "check base_url and the network, or try again later",
        )

    async def _afford(self, weight: int, *, urgent: bool) -> None:
        """Waits until the venue's limit leaves room for a question."""
        while not self.weight.try_spend(now_ns := self.clock(), weight, urgent=urgent):
            at_ns = self.weight.free_at_ns(now_ns, weight, urgent=urgent)
            await asyncio.sleep(max(0.01, ((at_ns or now_ns) - now_ns) / NS_PER_S))

    # --- actions ------------------------------------------------------------------------------------------------

    async def exchange(self, request: bytes, weight: int, *, urgent: bool = False) -> bytes:
        """Sends a signed action, once.

        Args:
            request: As `Signer.request` makes it.
            weight: What it costs, `exchange_weight`.
            urgent: It may use what is kept for cancels.

        Raises:
            VenueError: It was not sent, or was refused unread.
            AnswerLostError: It may have been carried out.
        """
        where = f"exchange of {self.venue.http_url}"
        if not self.weight.try_spend(self.clock(), weight, urgent=urgent):
            raise VenueError(field=where, value="429 before it was sent", expected="requests left for this minute")
        try:
            status, answer = await self._post("/exchange", request)
        except aiohttp.ClientConnectorError as error:
            raise VenueError(field=where, value=_words(error), expected="a connection; nothing was sent") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AnswerLostError(field=where, value=_words(error), expected="an answer") from error
        if status == _TOO_MANY:
            self.weight.refused(self.clock())
        # Who waited in vain may have passed on what he had.
        if status >= _SERVER_FAULT or status == _TIMED_OUT:
            raise AnswerLostError(field=where, value=f"HTTP {status} {_text(answer)}", expected="an answer")
        if status >= 300:
            raise VenueError(field=where, value=f"{status} {_text(answer)}", expected="200")
        return answer

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self._client is None:
            raise VenueError(field="client", value="closed", expected="one inside its async with")
        # A redirect would take what is signed to somebody else, and make a question of an action.
        async with self._client.post(self.venue.http_url + path, data=body, allow_redirects=False) as answer:
            return answer.status, await answer.read()


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _text(answer: bytes) -> str:
    return answer[:200].decode(errors="replace").strip()


async def load_universe(http: HttpClient, coins: Iterable[str]) -> Universe:
    """The venue's assets, of the first dex and of those that `coins` name; of all when one of `coins` is unknown.

    Raises:
        UnknownCoinError: A coin that the venue does not know or has delisted; suggests the nearest of all dexes.
        VenueError: The venue does not answer.
        WireError: Its answer cannot be read.
    """
    coins = list(coins)
    dexes = await http.info("perpDexs")
    spot = await http.info("spotMeta")
    known = {dex.name for dex in dexes if dex is not None}
    metas = {"": await http.info("meta")}
    wanted = {coin.partition(":")[0] for coin in coins if ":" in coin} & known

    async def read(names: Iterable[str]) -> Universe:
        for name in sorted(names):
            metas[name] = await http.info("meta", dex=name)
        return Universe.from_answers(dexes, metas, spot)

    universe = await read(wanted)
    try:
        for coin in coins:
            universe.check_feed(coin)
    except UnknownCoinError:
        universe = await read(known - wanted)
        for coin in coins:
            universe.check_feed(coin)
    return universe
