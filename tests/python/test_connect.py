"""What a stranger gets wrong before the first trade is said in a line: what is wrong, and what to do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_exchange import ZEROS, FakeExchange
from hypermm._core import Action, Signer, recover_signer
from hypermm.cli.root import run
from hypermm.exceptions import InvalidInputError
from hypermm.exchange.hyperliquid import http as http_module
from hypermm.exchange.hyperliquid import startup as startup_module
from hypermm.exchange.hyperliquid.endpoint import MAINNET, endpoint
from hypermm.exchange.hyperliquid.http import HttpClient

KEY = "5d" * 32
ACCOUNT = "0x" + "ab" * 20
OTHER = "0x" + "cd" * 20
DAY_MS = 86_400_000


class Stranger:
    """Settings of somebody who has everything right, a venue that knows them, and one thing to get wrong."""

    def __init__(self, venue: FakeExchange, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.key_file = folder / "agent.key"
        self.key_file.touch(0o600)
        self.key_file.write_text(KEY)
        self.signer = Signer.from_file(self.key_file, is_mainnet=False).address
        self.venue, self.capsys = venue, capsys
        self.config = folder / "live.toml"
        self.config.write_text(
            f'[exchange]\nbase_url = "{venue.url}"\ncoins = ["ETH", "xyz:GOLD"]\naccount_address = "{ACCOUNT}"\n'
            f'key_file = "{self.key_file}"\n'
        )
        self.roles: dict[str, Any] = {
            self.signer: {"role": "agent", "data": {"user": ACCOUNT}},
            ACCOUNT: {"role": "user"},
        }
        self.money = {"": "1000.0", "xyz": "500.0"}
        self.expires_ms = time.time_ns() // 1_000_000 + 60 * DAY_MS
        venue.answers |= {
            "userRole": lambda payload: self.roles.get(payload["user"], {"role": "missing"}),
            "extraAgents": lambda _: [{"address": self.signer, "name": "mm", "validUntil": self.expires_ms}],
            "clearinghouseState": self.state,
            "noop": self.noop,
        }

    def state(self, payload: dict[str, Any]) -> Any:
        value = "0.0" if payload["user"] != ACCOUNT else self.money[payload.get("dex", "")]
        summary = ZEROS | {"accountValue": value}
        now = self.venue.now_ms()
        sums = {"marginSummary": summary, "crossMarginSummary": summary, "withdrawable": value}
        return sums | {"assetPositions": [], "time": now}

    def noop(self, payload: dict[str, Any]) -> Any:
        """As the venue checks a signature."""
        signature = tuple(payload["signature"][part] for part in "rsv")
        action = Action.from_json(json.dumps(payload["action"]))
        terms = {"is_mainnet": False, "expires_after_ms": payload["expiresAfter"]}
        signer = recover_signer(action, signature, payload["nonce"], **terms)
        if signer not in self.roles:
            return {"status": "err", "response": f"User or API Wallet {signer} does not exist."}
        return {"status": "ok", "response": {"type": "default"}}

    def connect(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and all that was printed as one line."""
        code = run(["connect", "--config", str(self.config), *arguments])
        told = self.capsys.readouterr()
        assert KEY not in told.out + told.err
        return code, " ".join((told.out + told.err).split())


@pytest.fixture
def stranger(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stranger]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with FakeExchange(seed=21) as venue:
        yield Stranger(venue, tmp_path, capsys)


def test_with_everything_right_it_shows_the_account_and_connects(stranger: Stranger) -> None:
    row = {"coin": "ETH", "side": "B", "limitPx": "2900.5", "sz": "1.0", "oid": 77, "timestamp": 1}
    stranger.venue.answers["openOrders"] = lambda payload: [] if payload.get("dex") else [row]
    code, told = stranger.connect()
    assert code == 0
    for words in (
        f"Account {ACCOUNT}",
        "is an agent of",
        "ends in 59 d 23 h",
        "1000.0",
        "500.0",
        "2900.5",
        "takes our",
    ):
        assert words in told
    assert "userFills" in told
    assert stranger.venue.connections
    code, told = stranger.connect("--check", "--json")
    report = json.loads(told)
    assert [finding["level"] for finding in report["findings"]] == ["info"] * 6
    assert report["open_orders"][0]["number"] == 77
    assert report["streams"] == []
    assert {margin["dex"]: margin["account_value"] for margin in report["margins"]} == {"": 1000.0, "xyz": 500.0}
    assert [row["action"]["type"] for row in stranger.venue.actions] == ["noop", "noop"]


def test_a_wrong_key_is_told_whose_it_is(stranger: Stranger) -> None:
    stranger.roles[stranger.signer] = {"role": "agent", "data": {"user": OTHER}}
    code, told = stranger.connect()
    assert code == 2
    assert f"the key {stranger.signer} is an agent of {OTHER}, not of {ACCOUNT}" in told
    assert not stranger.venue.connections
    del stranger.roles[stranger.signer]
    code, told = stranger.connect()
    assert code == 2
    assert f"nobody on testnet knows the key {stranger.signer}: it is no agent here" in told
    assert "if it was approved on mainnet, set base_url to mainnet" in told
    stranger.roles[stranger.signer] = {"role": "user"}
    code, told = stranger.connect()
    assert code == 2
    assert "is that of another account, not of an agent of" in told


def test_a_signature_for_the_wrong_network_is_told_as_that(stranger: Stranger) -> None:
    code, told = stranger.connect("--set", "exchange.network=mainnet")
    assert code == 2
    assert "wrong network: signed for mainnet, the venue recovers another address (User or API Wallet 0x" in told


def test_a_vault_is_traded_for_when_the_venue_takes_a_signature_for_it(stranger: Stranger) -> None:
    """Killed by: an agent that must be the vault's own; any address in a refusal taken for a recovered signer."""
    vault = "0x" + "ef" * 20
    stranger.roles[vault] = {"role": "vault"}
    stranger.venue.answers["clearinghouseState"] = lambda payload: stranger.state(payload | {"user": ACCOUNT})
    as_vault = ("--check", "--set", f"exchange.vault_address={vault}")
    stranger.venue.answers["noop"] = {"status": "ok", "response": {"type": "default"}}
    code, told = stranger.connect(*as_vault)
    assert code == 0
    assert stranger.venue.actions[-1]["vaultAddress"] == vault
    assert "the venue takes our signature" in told
    stranger.venue.answers["noop"] = {"status": "err", "response": f"Vault not registered: {vault}"}
    code, told = stranger.connect(*as_vault)
    assert code == 2
    assert "wrong network" not in told
    assert "the vault or sub-account address is not the signer's" in told
    stranger.config.write_text(stranger.config.read_text().replace(ACCOUNT, vault))
    code, told = stranger.connect("--check")
    assert code == 2
    assert "set vault_address" in told


def test_a_sub_account_is_traded_for_only_when_actions_are_signed_for_it(stranger: Stranger) -> None:
    """Killed by: its address as the account, every check passed, and the orders its master's."""
    stranger.roles |= {
        stranger.signer: {"role": "agent", "data": {"user": OTHER}},
        ACCOUNT: {"role": "subAccount", "data": {"master": OTHER}},
        OTHER: {"role": "user"},
    }
    code, told = stranger.connect("--check")
    assert code == 2
    assert f"{ACCOUNT} is a sub-account, and actions are not signed for it" in told
    assert "set vault_address" in told
    assert not stranger.venue.actions
    stranger.venue.answers["noop"] = {"status": "ok", "response": {"type": "default"}}
    code, told = stranger.connect("--check", "--set", f"exchange.vault_address={ACCOUNT}")
    assert code == 0
    assert f"is an agent of {OTHER}" in told
    assert [row["vaultAddress"] for row in stranger.venue.actions] == [ACCOUNT]


def test_the_clock_is_that_of_the_attempt_that_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by: the clock measured over the attempts before, and the pauses between them."""
    now_ns = [1_700_000_000_000_000_000]
    answers = [(502, b""), (200, json.dumps({"specialStatuses": None, "time": 1_700_000_060_000}).encode())]
    http = HttpClient(endpoint("http://127.0.0.1:9"), lambda: now_ns[0], lambda: 0.5)

    async def post(_path: str, _body: bytes) -> tuple[int, bytes]:
        now_ns[0] += 30_000_000_000 if len(answers) == 2 else 0
        return answers.pop(0)

    async def pause(_wait_s: float) -> None:
        now_ns[0] += 30_000_000_000

    monkeypatch.setattr(http, "_post", post)
    monkeypatch.setattr(http_module.asyncio, "sleep", pause)
    finding = asyncio.run(startup_module._clock(http))
    assert (finding.level, finding.text.split(" s ")[0]) == ("info", "this machine is 0.0")


def test_a_signature_without_an_answer_is_a_warning(stranger: Stranger) -> None:
    """Killed by: an answer lost that ends the examination."""
    stranger.venue.statuses = {"noop": [502]}
    code, told = stranger.connect("--check", "--json")
    assert code == 0
    levels = {finding["name"]: finding["level"] for finding in json.loads(told)["findings"]}
    assert levels["signature"] == "warning"


def test_an_empty_master_and_an_agent_as_account_are_told_the_master(stranger: Stranger) -> None:
    stranger.config.write_text(stranger.config.read_text().replace(ACCOUNT, ""))
    code, told = stranger.connect()
    assert code == 2
    assert f"account_address is empty: nobody to trade for; this key is an agent of {ACCOUNT}" in told
    config = stranger.config.read_text().replace('account_address = ""', f'account_address = "{stranger.signer}"')
    stranger.config.write_text(config)
    code, told = stranger.connect()
    assert code == 2
    assert "master key" not in told
    assert "is an agent, which holds no money and no orders" in told
    assert f"set account_address to the account it signs for: {ACCOUNT}" in told


def test_the_master_key_is_refused_unless_it_is_meant(stranger: Stranger) -> None:
    stranger.config.write_text(stranger.config.read_text().replace(ACCOUNT, stranger.signer))
    stranger.roles = {stranger.signer: {"role": "user"}}
    code, told = stranger.connect()
    assert code == 2
    assert "error key the key is the account's master key" in told
    assert not stranger.venue.actions
    stranger.venue.answers["clearinghouseState"] = lambda _: stranger.state({"user": ACCOUNT})
    code, told = stranger.connect("--allow-master-key", "--check")
    assert code == 0
    assert "warning" in told
    assert "this one can also withdraw" in told


@pytest.mark.parametrize(
    ("money", "said"),
    [
        ({"": "0.0", "xyz": "0.0"}, f"{ACCOUNT} is not funded on the first dex; deposit USDC"),
        ({"": "9.0", "xyz": "0.0"}, "is not funded on dex xyz; deposit USDC and send it to dex xyz, which keeps"),
    ],
)
def test_an_unfunded_account_is_told_where(stranger: Stranger, money: dict[str, str], said: str) -> None:
    stranger.money = money
    code, told = stranger.connect()
    assert code == 2
    assert said in told
    balance = {"coin": "USDC", "token": 0, "total": "50.0", "hold": "0.0"}
    stranger.venue.answers["spotClearinghouseState"] = {"balances": [balance]}
    code, told = stranger.connect("--check")
    assert code == 0
    assert "transfer it from spot" in told


@pytest.mark.parametrize(
    "line",
    [
        'private_key = "0x{}"', 'account_address = "0x{}"', 'account_address = "{}"', "private_key = 0x{}",
        'key_file = "0x{}"', 'base_url = "{}"', 'coins = ["0x{}"]', '0x{} = "key"', '[0x{}]',
    ],
)  # fmt: skip
def test_a_key_in_the_settings_is_refused_and_not_printed(stranger: Stranger, line: str) -> None:
    """Killed by: a refusal that quotes what was put where an address, a name or a table belongs."""
    name = line.partition(" =")[0]
    kept = [row for row in stranger.config.read_text().splitlines() if not row.startswith(name)]
    key = "5a" * 32
    stranger.config.write_text("\n".join([*kept, line.format(key)]))
    code, told = stranger.connect("--check")
    assert code != 0
    assert "(not shown: it looks like a key)" in told
    assert not [form for form in (key[:16], str(int(key, 16))[:16]) if form in told]


@pytest.mark.parametrize("key", ["private_key", "exchange.account_address", "exchange.coins", "exchange"])
def test_a_key_on_the_command_line_is_refused_and_not_printed(stranger: Stranger, key: str) -> None:
    code, told = stranger.connect("--check", "--set", f"{key}=0x{'5a' * 32}")
    assert code != 0
    assert "(not shown: it looks like a key)" in told
    assert "5a5a" not in told
    code, told = stranger.connect(f"0x{'5a' * 32}")
    assert code == 2
    assert "Got unexpected extra argument ((not shown: it looks like a key))" in told


def test_an_account_the_network_does_not_know_is_told(stranger: Stranger) -> None:
    del stranger.roles[ACCOUNT]
    code, told = stranger.connect()
    assert code == 2
    assert f"nobody on testnet knows {ACCOUNT}: it was never funded here" in told


@pytest.mark.parametrize(
    ("coins", "said"),
    [
        ('["ETHH"]', "did you mean ETH?"),
        ('["MATIC"]', "MATIC is delisted"),
        ('["GOLD"]', "did you mean xyz:GOLD?"),
        ("[]", "no coins: set coins in [exchange]"),
    ],
)
def test_a_wrong_coin_is_told_the_right_one(stranger: Stranger, coins: str, said: str) -> None:
    code, told = stranger.connect("--set", f"exchange.coins={coins}")
    assert code == 2
    assert said in told


@pytest.mark.parametrize(("offset_s", "said"), [(120.0, "behind the venue"), (-120.0, "ahead of the venue")])
def test_a_clock_two_minutes_off_is_told(stranger: Stranger, offset_s: float, said: str) -> None:
    stranger.venue.clock_offset_s = offset_s
    code, told = stranger.connect()
    assert code == 2
    assert f"this machine is {abs(offset_s):.1f} s {said}" in told or f"{abs(offset_s) - 0.1:.1f} s {said}" in told
    assert "timedatectl" in told
    assert not stranger.venue.actions


@pytest.mark.parametrize(
    ("days", "level", "said"), [(6.9, "warning", "approval ends in 6 d"), (-1.0, "error", "approval has ended")]
)
def test_an_agent_near_its_end_is_told_seven_days_ahead(stranger: Stranger, days: float, level: str, said: str) -> None:
    stranger.expires_ms = time.time_ns() // 1_000_000 + round(days * DAY_MS)
    code, told = stranger.connect("--check")
    assert code == (2 if level == "error" else 0)
    assert said in told
    assert f"{level} agent" in told
    assert "approve a new agent" in told


def test_the_one_setting_of_the_venue_gives_all_addresses() -> None:
    assert endpoint("mainnet").websocket_url == "wss://api.hyperliquid.xyz/ws"
    assert endpoint(MAINNET).is_mainnet
    assert not endpoint("testnet").is_mainnet
    local = endpoint("http://127.0.0.1:3001/")
    assert local.websocket_url == "ws://127.0.0.1:3001/ws"
    assert local.http_url == "http://127.0.0.1:3001"
    assert not local.is_mainnet
    assert endpoint("http://127.0.0.1:3001", "mainnet").is_mainnet
    for base_url, network in (("mainnet", "testnet"), ("ftp://x", None), ("http://x/info", None), ("testnet", "main")):
        with pytest.raises(InvalidInputError):
            endpoint(base_url, network)
