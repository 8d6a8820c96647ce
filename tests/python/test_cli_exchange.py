"""`hypermm exchange` from the command line: what it says, what it refuses, how it stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hypermm.cli.root import run
from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback import load_accounts

ADDRESS, AGENT = "0x" + "aB" * 20, "0x" + "cd" * 20


def ask(url: str, **fields: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own exchange
        url + "/info", json.dumps(fields).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        return json.load(response)


def test_it_says_where_it_is_serves_and_stops_when_interrupted(tmp_path: Path) -> None:
    log = tmp_path / "venue.jsonl"
    command = [sys.executable, "-m", "hypermm.cli", "exchange", "--port", "0", "--json", "--log", str(log)]
    command += ["--account", f"{ADDRESS}:2500", "--agent", f"{AGENT}={ADDRESS}@2999-12-31", "--preset", "HYPE"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["coins"] == ["HYPE", "xyz:GOLD"]
        assert said["url"].startswith("http://127.0.0.1:")
        state = ask(said["url"], type="clearinghouseState", user=ADDRESS)
        assert state["marginSummary"]["accountValue"] == "2500.0"
        role = {"role": "agent", "data": {"user": ADDRESS.lower()}}
        assert ask(said["url"], type="userRole", user=AGENT) == role
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    # Mutant: an exchange kinder than the venue unless told otherwise.
    assert said["latency_ms"] == {"order": 160.0, "answer": 300.0, "feed": 380.0}
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert {"l2Book", "activeAssetCtx"} <= {row["channel"] for row in rows}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "expected a loopback address"),  # noqa: S104 - to be refused
        (["--host", "192.168.1.5"], "add --allow-remote to mean it"),
        (["--account", "0x12"], "expected an address"),
        (["--account", ADDRESS + ":lots"], "expected a deposit"),
        (["--account", ADDRESS, "--account", ADDRESS.lower()], "expected each account once"),
        (["--agent", f"{AGENT}={ADDRESS}"], f"add --account {ADDRESS.lower()}"),
        (["--agent", AGENT], "expected AGENT=MASTER"),
        (["--data", "somewhere"], "--data and --coin go together"),
        (["--preset", "NOPE"], "NOPE"),
        (["--preset", "ETH", "--preset", "eth"], "expected each contract once"),
        (["--latency-ms", "1,2"], "one for all ways or ORDER,ANSWER,FEED"),
        (["--faults", "/nowhere/faults.toml"], "expected a TOML file of [[fault]]"),
    ],
)
def test_wrong_options_are_told_in_a_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exchange", "--port", "0", *arguments]) == 2
    printed = capsys.readouterr()
    assert told.lower() in printed.err.lower()
    assert len(printed.err.splitlines()) == 1


def test_a_port_in_use_is_told_with_its_mend(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["exchange", "--port", str(port)]) == 2
    printed = capsys.readouterr().err
    assert f"port = {port}: expected one of 127.0.0.1 that nothing listens on" in printed
    assert "--port 0 finds a free one" in printed
    assert len(printed.splitlines()) == 1


def test_accounts_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(
        f'[[account]]\naddress = "{ADDRESS}"\ndeposit_usd = 50.0\n'
        f'[[account.agents]]\naddress = "{AGENT}"\nname = "bot"\nvalid_until_ms = 4102444800000\n'
    )
    path.write_text(path.read_text() + f'[[account]]\naddress = "{AGENT}"\nmaster = "{ADDRESS}"\n')
    account, sub = load_accounts(path)
    assert (account.master, sub.master) == (None, ADDRESS.lower())
    assert (account.address, account.deposit_usd) == (ADDRESS.lower(), 50.0)
    assert [(agent.address, agent.name) for agent in account.agents] == [(AGENT, "bot")]
    path.write_text(f'[[account]]\naddress = "{ADDRESS}"\ndeposit = 50.0\n')
    with pytest.raises(InvalidConfigError, match="deposit"):
        load_accounts(path)
