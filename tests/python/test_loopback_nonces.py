"""Nonces: the 100 highest of a signer, two days back to one day ahead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hypermm.exchange.loopback.nonces import NonceSets

NOW = 1_788_490_065_000
DAY = 86_400_000
SIGNER, OTHER = "0x" + "1" * 40, "0x" + "2" * 40


def test_a_nonce_is_used_once_by_each_signer() -> None:
    nonces = NonceSets()
    assert nonces.use(SIGNER, NOW, NOW) is None
    assert nonces.use(SIGNER, NOW, NOW) == f"Invalid nonce: duplicate nonce {NOW}"
    assert nonces.use(OTHER, NOW, NOW) is None


def test_the_window_is_two_days_back_and_one_ahead() -> None:
    nonces = NonceSets()
    assert nonces.use(SIGNER, NOW - 2 * DAY, NOW) == f"Invalid nonce: nonce too low {NOW - 2 * DAY} < {NOW - 2 * DAY}"
    assert nonces.use(SIGNER, NOW - 2 * DAY + 1, NOW) is None
    assert nonces.use(SIGNER, NOW + DAY - 1, NOW) is None
    assert "too high" in str(nonces.use(SIGNER, NOW + DAY, NOW))


def test_a_full_set_takes_only_what_is_above_its_smallest() -> None:
    nonces = NonceSets()
    for i in range(100):
        assert nonces.use(SIGNER, NOW + 10 * i, NOW) is None
    assert nonces.use(SIGNER, NOW - 1, NOW) == f"Invalid nonce: nonce too low {NOW - 1} < {NOW}"
    assert nonces.use(SIGNER, NOW + 5, NOW) is None
    # It pushed the smallest out, which is now too low, not new.
    assert nonces.use(SIGNER, NOW, NOW) == f"Invalid nonce: nonce too low {NOW} < {NOW + 5}"


@given(st.lists(st.integers(-300, 300), max_size=400))
def test_taken_nonces_are_those_of_the_plain_rule(offsets: list[int]) -> None:
    nonces = NonceSets()
    kept: list[int] = []
    for offset in offsets:
        allowed = offset not in kept and (len(kept) < 100 or offset > kept[0])
        assert (nonces.use(SIGNER, NOW + offset, NOW) is None) == allowed
        if allowed:
            kept = sorted([*kept, offset])[-100:]
