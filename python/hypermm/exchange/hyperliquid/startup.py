"""What is asked before anything is traded: is this the right key, account, network, clock; is there money.

Every mistake a stranger makes here has a line of its own that says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from hypermm.exceptions import AnswerLostError
from hypermm.exchange.hyperliquid.clock import CLOCK_TOLERANCE_S
from hypermm.exchange.hyperliquid.decode import NS_PER_MS, own_order, position_updates
from hypermm.exchange.hyperliquid.encode import address
from hypermm.exchange.hyperliquid.rate_limit import NS_PER_S
from hypermm.exchange.hyperliquid.signer import AgentExpiry, agent_expiry
from hypermm.exchange.orders import OutcomeKind

if TYPE_CHECKING:
    from hypermm._core import Signer
    from hypermm.exchange.events import OwnOrder
    from hypermm.exchange.hyperliquid.assets import Asset
    from hypermm.exchange.hyperliquid.gateway import Gateway
    from hypermm.exchange.hyperliquid.http import HttpClient
    from hypermm.exchange.hyperliquid.wire_info import UserRole

__all__ = ["AccountReport", "Finding", "Margin", "examine"]

CLOCK_WARNING_S = 2.0
_MASTER_HINT = "approve an agent and use its key: this one can also withdraw; --allow-master-key takes it all the same"

Level: TypeAlias = Literal["info", "warning", "error"]


class Finding(Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: What: "clock", "key", "account", "money", "agent" or "signature".
        level: "error" when trading cannot work.
        text: What was found.
        hint: What to do about it; "" where there is nothing to do.
    """

    name: str
    level: Level
    text: str
    hint: str = ""


class Margin(Struct, frozen=True):
    """The account on one dex, in its collateral."""

    dex: str
    account_value: float
    withdrawable: float
    positions: dict[str, float]


class AccountReport(Struct, frozen=True):
    """What the venue says of the account.

    Attributes:
        account: Its address.
        signer: Address of the key.
        findings: In the order they were looked at.
        expiry: How long the agent may still sign; None for a master key.
        margins: One for each dex of the coins.
        open_orders: Those of the coins' dexes.
    """

    account: str
    signer: str
    findings: list[Finding]
    expiry: AgentExpiry | None
    margins: list[Margin]
    open_orders: list[OwnOrder]

    @property
    def errors(self) -> list[Finding]:
        """What keeps us from trading."""
        return [finding for finding in self.findings if finding.level == "error"]


async def examine(
    http: HttpClient,
    assets: Sequence[Asset],
    signer: Signer,
    account: str | None,
    gateway: Gateway | None = None,
    *,
    allow_master_key: bool = False,
) -> AccountReport:
    """Asks the venue about clock, key, account, agent, money and open orders, and whether it takes our signature.

    Args:
        http: The venue.
        assets: Assets to be traded.
        signer: The key.
        account: Address of the account traded for; "" or None is a mistake that is told.
        gateway: Sends an action that does nothing, to prove the signature; None leaves that out.
        allow_master_key: The account's own key is a warning and no error.

    Raises:
        InvalidInputError: `account` is no address.
        VenueError: The venue does not answer.
        WireError: Its answer cannot be read.
    """
    findings = [await _clock(http)]
    role = await http.info("userRole", user=signer.address)
    where = http.venue.network
    if not account:
        findings.append(_no_account(signer, role))
        return AccountReport("", signer.address, findings, None, [], [])
    account = address(account)
    own = role if account == signer.address else await http.info("userRole", user=account)
    findings.append(_account(account, own, where))
    if own.role in ("vault", "subAccount") and gateway is not None and gateway.vault_address != account:
        kind = "a vault" if own.role == "vault" else "a sub-account"
        text = f"{account} is {kind}, and actions are not signed for it: they would be its master's"
        findings.append(Finding("key", "error", text, "set vault_address"))
    elif own.role == "vault" and role.role in ("agent", "user"):
        findings.append(_vault_key(signer.address, role, account, allow_master_key=allow_master_key))
    else:
        findings.append(_key(signer.address, role, account, own, where, allow_master_key=allow_master_key))
    expiry = None
    if role.role == "agent":
        expiry = await _expiry(http, signer.address, role)
        findings.append(Finding("agent", expiry.level, expiry.text))
    margins, orders = await _holdings(http, assets, account)
    if own.role != "agent":
        findings += await _money(http, assets, account, margins)
    if gateway is not None and not {"clock", "key"} & {row.name for row in findings if row.level == "error"}:
        findings.append(await _signature(gateway, signer, where))
    return AccountReport(account, signer.address, findings, expiry, margins, orders)


async def _clock(http: HttpClient) -> Finding:
    status, middle_ns = await http.info_at("exchangeStatus")
    ahead_s = (middle_ns - status.time * NS_PER_MS) / NS_PER_S
    text = f"this machine is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} the venue"
    if abs(ahead_s) <= CLOCK_WARNING_S:
        return Finding("clock", "info", text)
    hint = "set the clock, for instance with: sudo timedatectl set-ntp true"
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return Finding("clock", "warning", text, hint)
    return Finding("clock", "error", text, f"{hint}; orders would expire before they arrive, or never")


def _no_account(signer: Signer, role: UserRole) -> Finding:
    hint = "set account_address to the address of the account that approved the agent, not to the agent's own"
    master = role.data.user if role.role == "agent" and role.data is not None else None
    if master is not None:
        hint = f"this key is an agent of {master}: set account_address to it"
    elif role.role == "user":
        hint = f"this key is the master key of {signer.address}: approve an agent and use the agent's key"
    return Finding("account", "error", "account_address is empty: nobody to trade for", hint)


def _account(account: str, own: UserRole, network: str) -> Finding:
    if own.role == "agent":
        master = own.data.user if own.data is not None else None
        text = f"{account} is an agent, which holds no money and no orders"
        return Finding("account", "error", text, f"set account_address to the account it signs for: {master}")
    if own.role == "missing":
        hint = f"deposit to it, or check the address and the network: this is {network}"
        return Finding("account", "error", f"nobody on {network} knows {account}: it was never funded here", hint)
    return Finding("account", "info", f"{account} is a {own.role} on {network}")


def _key(signer: str, role: UserRole, account: str, own: UserRole, network: str, *, allow_master_key: bool) -> Finding:
    masters = {account}
    if own.data is not None and own.data.master is not None:
        masters.add(own.data.master.lower())
    if role.role == "agent" and role.data is not None and role.data.user is not None:
        # Where the account is the agent itself, that is what is wrong, and not the key.
        if role.data.user.lower() in masters or account == signer:
            return Finding("key", "info", f"{signer} is an agent of {role.data.user}")
        text = f"the key {signer} is an agent of {role.data.user}, not of {account}"
        return Finding("key", "error", text, "use the key of an agent of this account, or set its account_address")
    if signer in masters:
        level: Level = "warning" if allow_master_key else "error"
        return Finding("key", level, "the key is the account's master key", _MASTER_HINT)
    if role.role == "missing":
        other = "testnet" if network == "mainnet" else "mainnet"
        hint = f"approve it as an agent of the account here; if it was approved on {other}, set base_url to {other}"
        return Finding("key", "error", f"nobody on {network} knows the key {signer}: it is no agent here", hint)
    text = f"the key {signer} is that of another account, not of an agent of {account}"
    return Finding("key", "error", text, "use the key of an agent that this account approved")


def _vault_key(signer: str, role: UserRole, account: str, *, allow_master_key: bool) -> Finding:
    """Whose a vault is the venue does not tell here, only whether it takes an action signed for it."""
    if role.role == "user":
        return Finding("key", "warning" if allow_master_key else "error", "the key is a master key", _MASTER_HINT)
    master = role.data.user if role.data is not None else None
    text = f"{signer} is an agent of {master}; whether that one leads the vault {account} the signature shows"
    return Finding("key", "info", text)


async def _expiry(http: HttpClient, signer: str, role: UserRole) -> AgentExpiry:
    """The one agent without a name is not listed by the venue: it has no stated end."""
    master = role.data.user if role.data is not None else None
    rows = await http.info("extraAgents", user=master)
    until = next((row.validUntil for row in rows if row.address.lower() == signer), None)
    return agent_expiry(until, http.clock() // NS_PER_MS)


async def _holdings(http: HttpClient, assets: Sequence[Asset], account: str) -> tuple[list[Margin], list[OwnOrder]]:
    margins: list[Margin] = []
    orders: list[OwnOrder] = []
    for dex in sorted({asset.dex for asset in assets}):
        state = await http.info("clearinghouseState", user=account, dex=dex or None)
        summary = state.marginSummary or state.crossMarginSummary
        held = position_updates(state, [row.position.coin for row in state.assetPositions])
        positions = {row.coin: row.position for row in held if row.position != 0.0}
        margins.append(Margin(dex, summary.accountValue, state.withdrawable, positions))
        rows = await http.info("openOrders", user=account, dex=dex or None)
        orders += [own_order(row, "open", row.timestamp) for row in rows]
    return margins, orders


async def _money(http: HttpClient, assets: Sequence[Asset], account: str, margins: Sequence[Margin]) -> list[Finding]:
    empty = [margin.dex for margin in margins if margin.account_value <= 0.0]
    told = ", ".join(f"{margin.dex or 'first dex'} {margin.account_value:,.2f}" for margin in margins)
    if not empty:
        return [Finding("money", "info", told)]
    spot = await http.info("spotClearinghouseState", user=account)
    held = {row.token for row in spot.balances if row.total > 0.0}
    findings = []
    for dex in empty:
        asset = next(asset for asset in assets if asset.dex == dex)
        name = asset.collateral_name or f"token {asset.collateral_token}"
        place = f"on dex {dex}" if dex else "on the first dex"
        if asset.collateral_token in held:
            hint = "right for a unified account; in any other, transfer it from spot"
            findings.append(Finding("money", "warning", f"no margin {place}, but {name} in spot", hint))
        else:
            hint = f"deposit {name}" + (f" and send it to dex {dex}, which keeps margin of its own" if dex else "")
            findings.append(Finding("money", "error", f"{account} is not funded {place}", hint))
    return findings


async def _signature(gateway: Gateway, signer: Signer, network: str) -> Finding:
    try:
        outcome = await gateway.no_operation()
    except AnswerLostError as error:
        return Finding("signature", "warning", f"no answer to a signed action: {error.value}", "try again")
    if outcome.kind is not OutcomeKind.REFUSED:
        return Finding("signature", "info", "the venue takes our signature")
    if "User or API Wallet" in outcome.text and signer.address not in outcome.text.lower():
        text = f"wrong network: signed for {network}, the venue recovers another address ({outcome.text})"
        return Finding("signature", "error", text, "set network to the one the venue is of")
    return Finding("signature", "error", outcome.text, outcome.hint)
