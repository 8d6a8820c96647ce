"""Who may act: signatures made by the official client, recovered by the exchange, refused in the venue's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils.signing import sign_agent, sign_l1_action

from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback import AccountSettings, AgentSettings, ExchangeSettings
from hypermm.exchange.loopback.agents import read_approval
from hypermm.exchange.loopback.authority import Authority, Refused, Unreadable, read_envelope

NOW = 1_788_490_065_000
DAY = 86_400_000
MASTER, AGENT, POOR, STRANGER = (Account.from_key("0x" + digit * 64) for digit in "1234")
ORDER = {"a": 1, "b": True, "p": "4000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Alo"}}}
ACTION = {"type": "order", "orders": [ORDER], "grouping": "na"}


def make(*, is_mainnet: bool = False, until_ms: int | None = None) -> Authority:
    agent = AgentSettings(address=AGENT.address.lower(), name="bot", valid_until_ms=until_ms)
    accounts = (
        AccountSettings(address=MASTER.address.lower(), agents=(agent,)),
        AccountSettings(address=POOR.address.lower(), deposit_usd=0.0),
    )
    return Authority(ExchangeSettings(accounts=accounts, is_mainnet=is_mainnet), NOW)


def request(
    wallet: Any,
    action: Any = ACTION,
    nonce: int = NOW,
    *,
    is_mainnet: bool = False,
    expires_after: int | None = None,
    vault: str | None = None,
) -> bytes:
    signature = sign_l1_action(wallet, action, vault, nonce, expires_after, is_mainnet)
    body = {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": vault}
    return json.dumps(body | {"expiresAfter": expires_after}).encode()


def refusal(authority: Authority, body: bytes, now_ms: int = NOW) -> str:
    with pytest.raises(Refused) as refused:
        authority.authorize(read_envelope(body), now_ms)
    return refused.value.text


def test_an_account_and_its_agent_act_for_the_account() -> None:
    authority = make()
    for wallet in (MASTER, AGENT):
        allowed = authority.authorize(read_envelope(request(wallet)), NOW)
        assert allowed.account == MASTER.address.lower()
        assert allowed.action == ACTION
    expiring = authority.authorize(read_envelope(request(MASTER, nonce=NOW + 1, expires_after=NOW + 9)), NOW)
    assert expiring.expires_after_ms == NOW + 9


def test_an_unknown_signer_is_named() -> None:
    told = refusal(make(), request(STRANGER))
    assert told == f"User or API Wallet {STRANGER.address.lower()} does not exist."


def test_a_signature_over_something_else_names_somebody_else() -> None:
    body = json.loads(request(MASTER))
    body["action"]["orders"][0]["p"] = "4001"
    told = refusal(make(), json.dumps(body).encode())
    # Mutant: the signature passed without being recovered over what came.
    assert told.startswith("User or API Wallet 0x")
    assert MASTER.address.lower() not in told


@pytest.mark.parametrize("is_mainnet", [False, True])
def test_the_other_network_s_signature_is_a_stranger_s(is_mainnet: bool) -> None:
    told = refusal(make(is_mainnet=is_mainnet), request(MASTER, is_mainnet=not is_mainnet))
    assert told.startswith("User or API Wallet 0x")
    make(is_mainnet=is_mainnet).authorize(read_envelope(request(MASTER, is_mainnet=is_mainnet)), NOW)


def test_an_account_without_money_must_deposit() -> None:
    told = refusal(make(), request(POOR))
    assert told == f"Must deposit before performing actions. User: {POOR.address.lower()}"


def test_an_agent_s_time_runs_out() -> None:
    authority = make(until_ms=NOW + DAY)
    authority.authorize(read_envelope(request(AGENT)), NOW + DAY)
    told = refusal(authority, request(AGENT, nonce=NOW + 1), NOW + DAY + 1)
    assert told == f"User or API Wallet {AGENT.address.lower()} does not exist."
    assert authority.role(AGENT.address.lower(), NOW) == {"role": "agent", "data": {"user": MASTER.address.lower()}}
    assert authority.role(AGENT.address.lower(), NOW + 2 * DAY) == {"role": "missing"}


def test_agent_and_master_have_nonces_of_their_own() -> None:
    authority = make()
    authority.authorize(read_envelope(request(MASTER)), NOW)
    authority.authorize(read_envelope(request(AGENT)), NOW)
    assert refusal(authority, request(AGENT)) == f"Invalid nonce: duplicate nonce {NOW}"


def test_a_refused_stranger_uses_no_nonce_up() -> None:
    authority = make()
    assert "does not exist" in refusal(authority, request(STRANGER))
    assert "does not exist" in refusal(authority, request(STRANGER))


def test_a_clock_two_days_off_is_told_apart() -> None:
    assert "too low" in refusal(make(), request(MASTER, nonce=NOW - 2 * DAY))
    assert "too high" in refusal(make(), request(MASTER, nonce=NOW + DAY))


def test_vaults_are_not_registered() -> None:
    vault = "0x" + "9" * 40
    assert refusal(make(), request(MASTER, vault=vault)) == f"Vault not registered: {vault}"


def test_a_sub_account_is_acted_for_by_its_master_and_his_agents() -> None:
    """Mutants: anybody's sub-account is anybody's; an action for it that is its master's."""
    sub, foreign, poor = ("0x" + digit * 40 for digit in "789")
    owner = MASTER.address.lower()
    accounts = (
        AccountSettings(address=owner, agents=(AgentSettings(address=AGENT.address.lower(), name="bot"),)),
        AccountSettings(address=POOR.address.lower()),
        AccountSettings(address=sub, master=owner),
        AccountSettings(address=foreign, master=POOR.address.lower()),
        AccountSettings(address=poor, master=owner, deposit_usd=0.0),
    )
    authority = Authority(ExchangeSettings(accounts=accounts), NOW)
    for wallet in (MASTER, AGENT):
        assert authority.authorize(read_envelope(request(wallet, vault=sub)), NOW).account == sub
        assert authority.authorize(read_envelope(request(wallet, nonce=NOW + 1)), NOW).account == owner
        assert refusal(authority, request(wallet, nonce=NOW + 2, vault=foreign)) == f"Vault not registered: {foreign}"
        assert refusal(authority, request(wallet, nonce=NOW + 2, vault=owner)) == f"Vault not registered: {owner}"
    assert "Must deposit" in refusal(authority, request(MASTER, nonce=NOW + 3, vault=poor))
    assert authority.role(sub, NOW) == {"role": "subAccount", "data": {"master": owner}}
    assert authority.role(owner, NOW) == {"role": "user"}
    for wrong in ("0x" + "0" * 40, sub):
        with pytest.raises(InvalidConfigError, match="master"):
            Authority(
                ExchangeSettings(accounts=(*accounts, AccountSettings(address="0x" + "6" * 40, master=wrong))), NOW
            )


def test_bytes_that_are_no_signature_recover_nobody() -> None:
    body = json.loads(request(MASTER))
    body["signature"]["r"] = "0x" + "f" * 64
    assert refusal(make(), json.dumps(body).encode()) == "Unable to recover signer."


def test_more_than_200_are_refused_whole() -> None:
    action = {"type": "cancel", "cancels": [{"a": 1, "o": oid} for oid in range(1, 202)]}
    assert refusal(make(), request(MASTER, action)) == "Signed action over weight limit of 200."


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda body: body.pop("nonce"), 422),
        (lambda body: body.pop("signature"), 422),
        (lambda body: body["action"].update(type="mint"), 422),
        (lambda body: body["action"]["orders"][0].pop("p"), 422),
    ],
)
def test_what_is_no_signed_action_is_no_request(change: Any, status: int) -> None:
    body = json.loads(request(MASTER))
    change(body)
    with pytest.raises(Unreadable) as unreadable:
        make().authorize(read_envelope(json.dumps(body).encode()), NOW)
    assert unreadable.value.status == status


def test_what_is_no_json_is_said_to_be_none() -> None:
    with pytest.raises(Unreadable) as unreadable:
        read_envelope(b"{")
    assert (unreadable.value.status, unreadable.value.text) == (400, "Failed to parse the request body as JSON")


# --- approving agents -------------------------------------------------------------------------------------------


def approval(wallet: Any, agent: str, name: str | None = None, nonce: int = NOW, *, is_mainnet: bool = False) -> Any:
    """As `Exchange.approve_agent` of the official client makes it."""
    action: dict[str, Any] = {"type": "approveAgent", "agentAddress": agent, "agentName": name or "", "nonce": nonce}
    signature = sign_agent(wallet, action, is_mainnet)
    if name is None:
        del action["agentName"]
    return json.dumps({"action": action, "nonce": nonce, "signature": signature}).encode()


def approve(authority: Authority, body: bytes, now_ms: int = NOW) -> None:
    envelope = read_envelope(body)
    read = read_approval(envelope.action)
    assert read is not None
    authority.approve(envelope, read, now_ms)


def approval_refusal(authority: Authority, body: bytes) -> str:
    with pytest.raises(Refused) as refused:
        approve(authority, body)
    return refused.value.text


@pytest.mark.parametrize("name", [None, "desk"])
def test_an_agent_approved_by_the_account_may_act(name: str | None) -> None:
    authority = make()
    assert "does not exist" in refusal(authority, request(STRANGER))
    approve(authority, approval(MASTER, STRANGER.address, name))
    assert authority.authorize(read_envelope(request(STRANGER)), NOW).account == MASTER.address.lower()
    named = [agent["name"] for agent in authority.extra_agents(MASTER.address.lower())]
    assert named == (["bot"] if name is None else ["bot", "desk"])


def test_an_agent_or_the_other_network_cannot_approve() -> None:
    other = "0x" + "7" * 40
    told = approval_refusal(make(), approval(AGENT, other))
    assert told == f"Must deposit before performing actions. User: {AGENT.address.lower()}"
    # Mutant: the chain's name left out of what is hashed.
    assert "Must deposit" in approval_refusal(make(), approval(MASTER, other, is_mainnet=True))
    tampered = json.loads(approval(MASTER, other))
    tampered["action"]["agentAddress"] = "0x" + "8" * 40
    assert "Must deposit" in approval_refusal(make(), json.dumps(tampered).encode())


def test_a_name_used_again_replaces_its_agent_and_a_fourth_is_refused() -> None:
    authority = make()
    approve(authority, approval(MASTER, STRANGER.address, "desk", NOW + 1))
    approve(authority, approval(MASTER, "0x" + "7" * 40, "desk", NOW + 2))
    assert "does not exist" in refusal(authority, request(STRANGER))
    approve(authority, approval(MASTER, "0x" + "8" * 40, "third", NOW + 3))
    told = approval_refusal(authority, approval(MASTER, "0x" + "9" * 40, "fourth", NOW + 4))
    assert told == "Too many extra agents for cumulative volume traded. Current limit is 3"
    assert approval_refusal(authority, approval(MASTER, "0x" + "8" * 40, None, NOW + 5)) == "Extra agent already used."


def test_a_name_may_say_until_when() -> None:
    authority = make()
    approve(authority, approval(MASTER, STRANGER.address, f"desk valid_until {NOW + DAY}"))
    assert authority.extra_agents(MASTER.address.lower())[1]["validUntil"] == NOW + DAY
    assert "does not exist" in refusal(authority, request(STRANGER), NOW + DAY + 1)
    told = approval_refusal(authority, approval(MASTER, "0x" + "7" * 40, f"late valid_until {NOW}", NOW + 1))
    assert told == "Agent valid_until already expired."
