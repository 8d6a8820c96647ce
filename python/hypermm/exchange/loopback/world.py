"""The state behind every answer: the matching venue, what is listed, whose account is which, what is remembered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hypermm._core import LoopbackVenue
from hypermm.exchange.loopback.records import AccountRecords, Tape
from hypermm.exchange.loopback.rows import NS_PER_MS, Addresses, RowMaker, context_row, delisted_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypermm._core import LoopbackCoin
    from hypermm.exchange.loopback.listing import Contract, Listing
    from hypermm.exchange.loopback.settings import AccountSettings, ExchangeSettings

__all__ = ["MAKER_FEE_BPS", "TAKER_FEE_BPS", "ServerFault", "World"]

TAKER_FEE_BPS, MAKER_FEE_BPS = 4.5, 1.5
"""Fees of the lowest tier."""
KEPT_SETTLEMENTS = 1000


class ServerFault(Exception):  # noqa: N818 - an outcome, caught where the answer is made
    """The venue answers with status 500 and null."""


class World:
    """The venue with names.

    Args:
        listing: What is listed.
        coins: What trades, with its market.
        settings: Accounts and the rest.
        start_ns: Time of the first block, ns since 1970.
    """

    def __init__(
        self, listing: Listing, coins: Sequence[LoopbackCoin], settings: ExchangeSettings, start_ns: int
    ) -> None:
        self.listing = listing
        self.settings = settings
        self.start_ns = start_ns
        self.block_ns = start_ns
        self.venue = LoopbackVenue(
            coins,
            seed=settings.seed,
            start_ns=start_ns,
            initial_requests=settings.initial_requests,
            schedule_cancel_volume_usd=settings.schedule_cancel_volume_usd,
        )
        addresses = Addresses()
        self.rows = RowMaker(addresses)
        self.accounts: dict[str, int] = {}
        self.users: dict[int, str] = {}
        self.records: dict[str, AccountRecords] = {}
        self.settings_of: dict[str, AccountSettings] = {}
        for account in settings.accounts:
            number = self.venue.open_account(
                dict.fromkeys(listing.dexes, account.deposit_usd),
                taker_fee_bps=TAKER_FEE_BPS,
                maker_fee_bps=MAKER_FEE_BPS,
                volume_usd=account.volume_usd,
            )
            addresses.add(number, account.address)
            self.accounts[account.address] = number
            self.users[number] = account.address
            self.records[account.address] = AccountRecords()
            self.settings_of[account.address] = account
        self.tapes = {coin: Tape() for coin in listing.by_coin}
        self.settlements: dict[str, deque[dict[str, Any]]] = {
            coin: deque(maxlen=KEPT_SETTLEMENTS) for coin in listing.by_coin
        }

    @property
    def block_ms(self) -> int:
        """Time of the last block, ms since 1970."""
        return self.block_ns // NS_PER_MS

    def dex(self, name: str | None) -> str:
        """Name of a dex that is there, "" for the first.

        Raises:
            ServerFault: It is not.
        """
        if (name or "") not in self.listing.dexes:
            raise ServerFault
        return name or ""

    def context(self, contract: Contract) -> dict[str, Any]:
        """Row of a contract's context."""
        if contract.is_delisted:
            return delisted_row(contract.last_price)
        return context_row(self.venue.context(contract.coin))

    def contexts(self, dex: str) -> list[dict[str, Any]]:
        """Rows of a dex, in the order of its universe."""
        return [self.context(contract) for contract in self.listing.universe[dex]]

    def mid(self, coin: str) -> str | None:
        """Mid, or the last trade's price where a side is empty; None when nothing ever traded."""
        return self.venue.context(coin).mid_price or self.venue.last_trade(coin)

    def mids(self, dex: str) -> dict[str, str]:
        """Mids of a dex."""
        found = ((each.coin, self.mid(each.coin)) for each in self.listing.universe[dex] if not each.is_delisted)
        return {coin: mid for coin, mid in found if mid is not None}
