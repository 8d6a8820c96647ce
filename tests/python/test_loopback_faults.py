"""The file of faults: what is refused and how to mend it; when which fault strikes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypermm.exceptions import InvalidConfigError
from hypermm.exchange.loopback.faults import KINDS, Fault, FaultPlan, load_faults


@pytest.mark.parametrize(
    ("text", "field", "mend"),
    [
        ('[[fault]]\nkind = "drop_sockets"\nat_s = 1', "fault[0].kind", "did you mean drop_socket?"),
        ('[[fault]]\nkind = "silence"\nat = 1', "fault[0].at", "did you mean at_s?"),
        ('[[fault]]\nkind = "silence"', "fault[0].at_s", "either at_s or probability"),
        ('[[fault]]\nkind = "silence"\nat_s = 1\nprobability = 0.1', "fault[0].at_s", "either at_s or probability"),
        ('[[fault]]\nkind = "silence"\nprobability = 1.5', "fault[0].probability", "<= 1"),
        ('[[fault]]\nkind = "silence"\nat_s = "soon"', "fault[0].at_s", "float"),
        ('[[fault]]\nkind = "duplicate"\nat_s = 1\nfor_s = 2', "fault[0].for_s", "strikes once"),
        ('[[fault]]\nkind = "restart"\nat_s = 1\ncoin = "ETH"', "fault[0].coin", "has no frames"),
        ('[fault]\nkind = "restart"\nat_s = 1', "fault", "double brackets"),
        ("[[faults]]\n", "faults", "[[fault]]"),
        ("kind =", "faults.toml", "TOML"),
    ],
)
def test_a_wrong_file_names_the_key_and_the_mend(tmp_path: Path, text: str, field: str, mend: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfigError) as refused:
        load_faults(path)
    assert field in refused.value.field
    assert mend in str(refused.value)


def test_a_right_file_gives_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("".join(f'[[fault]]\nkind = "{kind}"\nprobability = 0.5\n' for kind in KINDS))
    assert tuple(fault.kind for fault in load_faults(path)) == KINDS


def test_a_time_strikes_once_or_for_its_length() -> None:
    plan = FaultPlan([Fault(kind="lose_ack", at_s=2.0), Fault(kind="too_many_requests", at_s=2.0, for_s=1.0)], 0)
    acks = [plan.strikes("lose_ack", at_s) for at_s in (1.9, 2.5, 2.6)]
    requests = [plan.strikes("too_many_requests", at_s) for at_s in (1.9, 2.0, 2.9, 3.0)]
    assert acks == [False, True, False]
    assert requests == [False, True, True, False]


def test_a_restart_cuts_and_stays_away_once() -> None:
    plan = FaultPlan([Fault(kind="restart", at_s=2.0, for_s=4.0), Fault(kind="drop_socket", at_s=5.0)], 0)
    assert [plan.advance(at_s) for at_s in (1.0, 2.0, 2.1, 5.0, 5.1)] == [
        (False, 0.0),
        (True, 4.0),
        (False, 0.0),
        (True, 0.0),
        (False, 0.0),
    ]


def test_chance_comes_from_the_seed_alone_and_from_no_other_fault() -> None:
    def draws(faults: list[Fault], seed: int) -> list[bool]:
        plan = FaultPlan(faults, seed)
        return [plan.strikes("lose_ack", float(i)) for i in range(400)]

    lossy = Fault(kind="lose_ack", probability=0.25)
    assert draws([lossy], 3) == draws([lossy], 3)
    assert draws([lossy], 3) != draws([lossy], 4)
    # Mutant: one stream for all faults, so that a fault added moves the others.
    assert draws([lossy, Fault(kind="restart", probability=0.5)], 3) == draws([lossy], 3)
    assert 70 < sum(draws([lossy], 3)) < 130


def test_a_restart_by_chance_is_drawn_each_second() -> None:
    plan = FaultPlan([Fault(kind="restart", probability=0.1, for_s=1.0)], 5)
    starts = sum(plan.advance(tick / 10)[0] for tick in range(10_000))
    assert 60 < starts < 150


def test_faults_of_one_kind_have_draws_of_their_own() -> None:
    faults = [Fault(kind="duplicate", probability=0.5, channel=channel) for channel in ("trades", "bbo")]
    plan = FaultPlan(faults, 1)
    drawn = [[plan.fate(0.0, channel, None).copies for _ in range(100)] for channel in ("trades", "bbo")]
    # Mutant: both draw from the seed alone.
    assert drawn[0] != drawn[1]
