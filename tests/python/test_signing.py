"""What Python sees of a key: an address and signatures, never the key; and nonces that nobody draws twice."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypermm._core import Action, NonceCounter, Signer, recover_signer, wire_number
from hypermm.exceptions import InvalidInputError, NonceError, SigningKeyError
from hypermm.exchange.hyperliquid import encode
from hypermm.exchange.hyperliquid import signer as signers
from hypermm.exchange.orders import CancelOrder

KEY = "8f2a559490cc2a7ab61c32ed3d8060216ee02e4960a83f97bde6ceb39d4b4d5e"
NOW_MS = 1_760_000_000_000
OTHER = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
ORDER = {"a": 1, "b": True, "p": "100", "s": "0.5", "r": False, "t": {"limit": {"tif": "Alo"}}}
NOOP = Action.from_json(b'{"type":"noop"}')


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


@pytest.fixture
def signer(key_file: Path) -> Signer:
    return Signer.from_file(key_file, is_mainnet=False)


def test_a_key_is_shown_nowhere(signer: Signer) -> None:
    # Kills: a repr, a state or an attribute that gives the key away.
    shown = [repr(signer), str(signer), format(signer), *(repr(getattr(signer, name)) for name in dir(signer))]
    assert signer.address in repr(signer)
    assert not [text for text in shown if KEY[:16] in text.lower()]


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy, lambda it: it.__reduce_ex__(4)])
def test_a_signer_and_its_counter_are_neither_pickled_nor_copied(
    signer: Signer, tmp_path: Path, copying: Callable[[Any], object]
) -> None:
    # Kills: a `__reduce__` left to the default.
    with pytest.raises(SigningKeyError, match="one place"):
        copying(signer)
    with pytest.raises(NonceError, match="two would give out the same nonces"):
        copying(NonceCounter(tmp_path / "nonces", signer.address))


@pytest.mark.parametrize("mistake", ["mode", "content", "key as path", "key as bytes", "key as object", "master"])
def test_no_exception_quotes_the_key(key_file: Path, mistake: str) -> None:
    # Kills: a message, attribute or traceback with the key in it.
    path: Any = key_file
    account = None
    if mistake == "mode":
        key_file.chmod(0o644)
    elif mistake == "content":
        key_file.write_text(KEY + "zz")
    elif mistake == "master":
        account = Signer.from_file(key_file, is_mainnet=False).address.upper().replace("0X", "0x")
    else:
        path = {"key as path": "0x" + KEY, "key as bytes": KEY.encode(), "key as object": [KEY]}[mistake]
    with pytest.raises(SigningKeyError) as caught:
        Signer.from_file(path, is_mainnet=False, account_address=account)
    error = caught.value
    last = "".join(traceback.format_exception_only(error))
    assert KEY[:16] not in repr((last, vars(error), error.args))
    assert error.expected
    if mistake == "mode":
        assert error.hint == f"chmod 600 {key_file}"
    if mistake == "master":
        assert "--allow-master-key" in error.hint
        Signer.from_file(path, is_mainnet=False, account_address=account, allow_master_key=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda key, path: Signer.from_file(path, is_mainnet=False, account_address=key),
        lambda key, path: Signer.from_file(path, is_mainnet=key),
        lambda key, path: NonceCounter(path.parent, key),
        lambda key, path: NOOP.connection_id(1, vault_address=key),
        lambda key, path: NOOP.connection_id(key),
        lambda key, path: Action.from_json(json.dumps({"type": key})),
        lambda key, path: Action.from_json(json.dumps({"type": "cancel", "cancels": [{"a": 1, "o": key}]})),
        lambda key, path: Action.from_json(key),
        lambda key, path: wire_number(key),
        lambda key, path: recover_signer(NOOP, (key + "0", "0x1", 27), 1, is_mainnet=True),
        lambda key, path: encode.address(key),
        lambda key, path: encode.cancel_actions([CancelOrder("ETH", key)], {}),
    ],
)
@pytest.mark.parametrize("form", ["0x" + KEY, KEY, f"{'account':<30}{KEY}"])
def test_a_key_as_any_other_argument_is_in_no_exception(
    key_file: Path, call: Callable[[str, Path], object], form: str
) -> None:
    # Kills: an argument quoted, whole or cut short, where a key was put by mistake.
    with pytest.raises((InvalidInputError, NonceError)) as caught:
        call(form, key_file)
    error = caught.value
    assert KEY[:16] not in repr(("".join(traceback.format_exception_only(error)), vars(error), error.args))


def test_addresses_names_and_sentences_are_shown() -> None:
    # Kills: a message emptied of what it is about.
    told = InvalidInputError(
        field="account", value=OTHER, expected="the key of an agent that this account approved", hint=f"0x{1:032x}"
    )
    assert str(told) == f"account = {OTHER}: expected the key of an agent that this account approved; 0x{1:032x}"
    phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow"
    hidden = InvalidInputError(f"a phrase, {phrase}", field=phrase, value=[phrase], expected=phrase, hint=phrase)
    assert "sausage" not in repr((str(hidden), vars(hidden)))


SCAN = """
import sys
from hypermm._core import Action, Signer

def copies(disguised):
    # Compared in disguise, byte by byte from the first on, so that the search does not find itself.
    found = 0
    first = bytes([disguised[0] ^ 0xA5])
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            if not mode.startswith("rw"):
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            block = bytearray(end - start)
            memory.seek(start)
            try:
                memory.readinto(block)
            except OSError:
                continue
            at = block.find(first)
            while at >= 0:
                window = block[at : at + len(disguised)]
                if len(window) == len(disguised) and all(a ^ 0xA5 == b for a, b in zip(window, disguised)):
                    found += 1
                at = block.find(first, at + 1)
            block[:] = bytes(len(block))
    return found

as_bytes = bytes.fromhex(sys.argv[2])
as_text = bytes.fromhex(sys.argv[3])
signer = Signer.from_file(sys.argv[1], is_mainnet=True)
signer.sign(Action.from_json(b'{"type":"noop"}'), 1)
try:
    Signer.from_file(sys.argv[1], is_mainnet=True, account_address=signer.address)
except Exception as error:
    kept = error
alive = copies(as_bytes), copies(as_text)
del signer
print(*alive, copies(as_bytes), copies(as_text))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/mem")
def test_no_python_object_ever_holds_the_key(key_file: Path) -> None:
    # Kills: a key that passes through a Python string, a wipe that is left out.
    # The allocator writes over the first half of what is freed: the second tells whether it was wiped.
    halves = (bytes.fromhex(KEY)[16:], KEY.encode()[32:])
    disguised = [bytes(byte ^ 0xA5 for byte in half).hex() for half in halves]
    run = subprocess.run(
        [sys.executable, "-c", SCAN, str(key_file), *disguised], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["1", "0", "0", "0"], "one copy, as bytes, in Rust, and none after"


def test_an_action_is_a_value() -> None:
    # Kills: equality by object, a pickle that loses a field.
    text = json.dumps({"grouping": "na", "orders": [dict(ORDER, p="100.0")], "type": "order"})
    one, same = Action.from_json(text), Action.from_json(text.encode())
    assert one == same
    assert hash(one) == hash(same)
    assert one != NOOP
    assert pickle.loads(pickle.dumps(one)) == one
    assert json.loads(one.to_json())["orders"] == [ORDER]
    assert repr(NOOP) == """Action.from_json('{"type":"noop"}')"""


def test_a_request_carries_what_was_signed(signer: Signer) -> None:
    # Kills: a term that is signed but not sent, or sent but not signed.
    kwargs: dict[str, Any] = {"vault_address": OTHER.upper().replace("0X", "0x"), "expires_after_ms": NOW_MS + 5}
    body = json.loads(signer.request(NOOP, NOW_MS, **kwargs))
    r, s, v = signer.sign(NOOP, NOW_MS, **kwargs)
    assert body == {
        "action": {"type": "noop"},
        "nonce": NOW_MS,
        "signature": {"r": r, "s": s, "v": v},
        "vaultAddress": OTHER,
        "expiresAfter": NOW_MS + 5,
    }
    assert set(json.loads(signer.request(NOOP, NOW_MS))) == {"action", "nonce", "signature"}
    assert recover_signer(NOOP, (r, s, v), NOW_MS, is_mainnet=False, **kwargs) == signer.address
    assert recover_signer(NOOP, (r, s, v), NOW_MS, is_mainnet=True, **kwargs) != signer.address


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from([*ORDER, "type", "orders", "cancels", "grouping", "oid", "order", "f", "time", "limit", "tif"])


@given(st.binary(max_size=80) | st.text(max_size=80) | JSON | st.dictionaries(WORDS, JSON, max_size=4).map(json.dumps))
@settings(max_examples=800, deadline=None)
def test_anything_as_an_action_is_refused_or_read(data: Any) -> None:
    # Kills: a panic (InternalError) or a foreign exception on any input.
    try:
        action = Action.from_json(data)
    except InvalidInputError:
        return
    assert Action.from_json(action.to_json()) == action


@given(nonce=JSON, vault=JSON, expires=JSON, first=JSON, number=JSON)
@settings(max_examples=400, deadline=None)
def test_anything_as_terms_is_refused_or_used(nonce: Any, vault: Any, expires: Any, first: Any, number: Any) -> None:
    # Kills: a flag or float taken as a nonce, a panic on any argument.
    def refused(call: Callable[[], object], *also: type[Exception]) -> bool:
        try:
            call()
        except (InvalidInputError, *also):
            return True
        return False

    used = not refused(lambda: NOOP.connection_id(nonce, vault_address=vault, expires_after_ms=expires))
    if used:
        assert type(nonce) is int
        assert 0 <= nonce < 2**64
        assert vault is None
        assert expires is None or type(expires) is int
    refused(lambda: recover_signer(NOOP, (first, "0x1", 27), 1, is_mainnet=True), TypeError)
    if not refused(lambda: wire_number(number)):
        assert abs(float(wire_number(number)) - number) < 1e-12


# --- nonces ------------------------------------------------------------------------------------------------------

DRAW = """
import sys
from hypermm._core import NonceCounter
counter = NonceCounter(sys.argv[1], sys.argv[2])
print(*[counter.next(int(sys.argv[3])) for _ in range(5)], flush=True)
if sys.argv[4] == "crash":
    import os
    os._exit(1)
input()
"""


def test_a_second_process_is_refused_and_a_crash_repeats_nothing(tmp_path: Path) -> None:
    # Kills: a lock of the process only, a bound that is not on the disk when the process dies.
    command = [sys.executable, "-c", DRAW, str(tmp_path), OTHER, str(NOW_MS)]
    crashed = subprocess.run([*command, "crash"], capture_output=True, text=True, check=False)
    drawn = [int(word) for word in crashed.stdout.split()]
    assert drawn == [NOW_MS + step for step in range(5)]
    with subprocess.Popen([*command, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        again = [int(word) for word in holder.stdout.readline().split()]
        with pytest.raises(NonceError, match="in use by another process") as caught:
            NonceCounter(tmp_path, OTHER)
        assert "agent" in caught.value.hint
        holder.communicate("\n")
    assert min(again) > max(drawn)
    counter = NonceCounter(tmp_path, OTHER)
    assert counter.last == max(again), "an orderly end leaves the last nonce"
    assert counter.next(NOW_MS - 1000) == max(again) + 1


FORK = """
import os, sys
from hypermm._core import NonceCounter
from hypermm.exceptions import NonceError
counter = NonceCounter(sys.argv[1], sys.argv[2])
counter.next(int(sys.argv[3]))
child = os.fork()
if child:
    os.waitpid(child, 0)
try:
    print(counter.next(int(sys.argv[3])), flush=True)
except NonceError as error:
    print(error, flush=True)
"""


def test_a_fork_does_not_share_a_counter(tmp_path: Path) -> None:
    # Kills: a child that draws the parent's next nonce.
    command = [sys.executable, "-c", FORK, str(tmp_path), OTHER, str(NOW_MS)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "copied by a fork" in lines[0], "the child"
    assert lines[1] == str(NOW_MS + 1), "the parent"


def test_a_closed_counter_gives_nothing_and_frees_its_signer(tmp_path: Path) -> None:
    counter = NonceCounter(tmp_path / "made" / "here", OTHER)
    assert (counter.last, counter.next(NOW_MS)) == (0, NOW_MS)
    counter.close()
    counter.close()
    with pytest.raises(NonceError, match="closed"):
        counter.next(NOW_MS)
    assert NonceCounter(tmp_path / "made" / "here", OTHER).last == NOW_MS
    for wrong in (NOW_MS // 1000, True, float(NOW_MS), None):
        with pytest.raises(InvalidInputError):
            NonceCounter(tmp_path, OTHER).next(wrong)  # type: ignore[arg-type]


# --- which key ---------------------------------------------------------------------------------------------------


def test_the_environment_may_name_the_file_but_not_hold_the_key(key_file: Path, tmp_path: Path) -> None:
    # Kills: a variable whose value is taken for a key, or quoted when it is one.
    nonces = tmp_path / "nonces"
    named = {signers.KEY_FILE_VARIABLE: str(key_file)}
    signer, counter = signers.open_signer(None, named, is_mainnet=True, nonces=nonces)
    assert signer.is_mainnet
    with pytest.raises(NonceError):
        signers.open_signer(key_file, {}, is_mainnet=False, nonces=nonces)
    counter.close()
    with pytest.raises(SigningKeyError) as caught:
        signers.open_signer(None, {signers.KEY_FILE_VARIABLE: KEY}, is_mainnet=True, nonces=nonces)
    assert KEY[:8] not in str(caught.value)
    with pytest.raises(SigningKeyError, match=signers.KEY_FILE_VARIABLE):
        signers.open_signer(None, {}, is_mainnet=True, nonces=nonces)
    with pytest.raises(SigningKeyError, match="master key"):
        signers.open_signer(key_file, {}, is_mainnet=True, account_address=signer.address, nonces=nonces)


def test_all_processes_of_a_user_keep_nonces_in_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert signers.nonce_folder({"XDG_STATE_HOME": "/state"}) == Path("/state/hypermm/nonces")
    monkeypatch.setenv("HOME", str(tmp_path))
    for relative in ({}, {"XDG_STATE_HOME": "state"}, {"XDG_STATE_HOME": ""}):
        assert signers.nonce_folder(relative) == tmp_path / ".local/state/hypermm/nonces"


@pytest.mark.parametrize(
    ("left_ms", "level", "words"),
    [
        (None, "info", "no stated end"),
        (7 * 86_400_000 + 1, "info", "7 d 0 h"),
        (7 * 86_400_000, "warning", "7 d 0 h"),
        (90_000_000, "warning", "1 d 1 h"),
        (1, "warning", "0 d 0 h"),
        (0, "error", "has ended"),
        (-5, "error", "has ended"),
    ],
)
def test_an_agent_is_warned_of_seven_days_before_its_end(left_ms: int | None, level: str, words: str) -> None:
    expiry = signers.agent_expiry(None if left_ms is None else NOW_MS + left_ms, NOW_MS)
    assert (expiry.level, expiry.remaining_ms) == (level, None if left_ms is None else max(0, left_ms))
    assert words in expiry.text
