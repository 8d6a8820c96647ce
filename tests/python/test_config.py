"""Settings: one table of engine fields, refused keys with the nearest known one, schema that agrees."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypermm import EngineConfig
from hypermm.config import ExchangeConfig, RunConfig, field_rows, json_schema, load_settings
from hypermm.exceptions import InvalidConfigError


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_file_and_overrides_are_read_in_order(tmp_path: Path) -> None:
    path = _file(tmp_path, "[engine]\nrisk_aversion = 0.02\nlevels = 4\n[run]\nseed = 7\ncycle_ms = 100\n")
    settings = load_settings(path, ["levels=5", "run.seed=9", "fill_model=default", "engine.clip=none"])
    config = settings.engine_config(max_position=2.5)
    assert (config.risk_aversion, config.levels, config.clip, config.max_position) == (0.02, 5, None, 2.5)
    assert (settings.run.seed, settings.run.cycle_ns, settings.run.fill_model) == (9, 100_000_000, "default")
    assert load_settings(None, ["max_position=3"]).engine_config(max_position=2.5).max_position == 3.0


@pytest.mark.parametrize(
    ("text", "field", "near"),
    [
        ("[engine]\nrisk_aversoin = 0.02\n", "risk_aversoin", "risk_aversion"),
        ("[engine]\nbook_stale_ms = 500\n", "book_stale_ms", "book_stale_s"),
        ("[run]\ncycle_s = 1\n", "run.cycle_s", "cycle_ms"),
        ("[engines]\nlevels = 2\n", "engines", "engine"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, text: str, field: str, near: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        load_settings(_file(tmp_path, text))
    assert caught.value.field.endswith(field)
    assert f"did you mean {near}?" in caught.value.hint


@pytest.mark.parametrize(
    "override",
    [
        "levels=2.5",
        "levels=0",
        "risk_aversion=-1",
        "risk_aversion=nan",
        "seed=-1",
        "cycle_ms=fast",
        "fill_model=best",
        "x",
        "levels=",
    ],
)
def test_a_wrong_value_is_refused_in_one_line(override: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        load_settings(None, [override])
    error = caught.value
    assert error.field
    assert error.value
    assert error.expected
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("cycle_ms=-1", "a number from 0 to 60000 ms"),
        ("seed=1.5", "an integer from 0 to"),
        ("fill_model=none", "one of calibrated, default, log, paper, power, risk_averse"),
        ("max_position_usd=0", "a number above 0 to 1e+12 USD"),
    ],
)
def test_a_wrong_value_of_the_run_says_what_it_may_be(override: str, expected: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        load_settings(None, [override])
    assert caught.value.expected.startswith(expected)


def test_the_live_venue_is_set_in_a_table_of_its_own(tmp_path: Path) -> None:
    address = "0x" + "aB" * 20
    text = (
        f'[exchange]\nbase_url = "http://127.0.0.1:3001"\ncoins = ["ETH", "xyz:GOLD"]\naccount_address = "{address}"\n'
    )
    venue = load_settings(_file(tmp_path, text), ["exchange.network=mainnet"]).exchange
    assert (venue.coins, venue.account_address, venue.network) == (("ETH", "xyz:GOLD"), address, "mainnet")
    given = load_settings(None, [f"exchange.account_address={address}", "coins=BTC, xyz:GOLD"]).exchange
    assert (given.account_address, given.coins) == (address, ("BTC", "xyz:GOLD"))
    for wrong, field in (
        ('account_address = "0x12"', "account_address"),
        ("coins = 3", "coins"),
        ('key = "ab"', "key"),
    ):
        with pytest.raises(InvalidConfigError) as caught:
            load_settings(_file(tmp_path, f"[exchange]\n{wrong}\n"))
        assert caught.value.field.endswith(f"exchange.{field}")


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("[engine]\nlevels = 0\n", "engine.levels", "0"),
        ("[engine]\nlevels = true\n", "engine.levels", "True"),
        ("[engine]\nrisk_aversoin = 0.02\n", "engine.risk_aversoin", "0.02"),
        ("[engine]\nhorizon_min_s = 700\n", "engine.horizon_min_s", "700"),
        ("[run]\nseed = -1\n", "run.seed", "-1"),
        ("[run]\ncycle_s = 1\n", "run.cycle_s", "1"),
        ("[engines]\nlevels = 2\n", "engines", "{'levels': 2}"),
        ("engine = 3\n", "engine", "3"),
    ],
)
def test_a_refused_key_of_a_file_is_named_with_file_table_and_value(
    tmp_path: Path, text: str, field: str, value: str
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(InvalidConfigError) as caught:
        load_settings(path)
    assert (caught.value.field, caught.value.value) == (f"{path}: {field}", value)
    assert str(caught.value).startswith(f"{path}: {field} = {value}: expected ")


def test_an_override_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "[engine]\nlevels = 3\n")
    with pytest.raises(InvalidConfigError) as caught:
        load_settings(path, ["levels=0"])
    assert (caught.value.field, caught.value.value) == ("engine.levels", "0")
    with pytest.raises(InvalidConfigError) as caught:
        load_settings(path, ["levles=2"])
    assert (caught.value.field, caught.value.value) == ("levles", "2")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigError, match=r"settings\.toml"):
        load_settings(_file(tmp_path, "[engine\n"))
    with pytest.raises(InvalidConfigError, match=r"nowhere\.toml"):
        load_settings(tmp_path / "nowhere.toml")


def test_schema_toml_keys_and_table_agree_with_the_rust_fields() -> None:
    schema = json_schema()["properties"]
    names = [field.name for field in EngineConfig.fields()]
    assert list(schema["engine"]["properties"]) == names == list(EngineConfig().to_dict())
    others = [name for kind in (RunConfig, ExchangeConfig) for name in kind.__struct_fields__]
    assert [row.name for row in field_rows()] == names + others
    assert list(schema["exchange"]["properties"]) == list(ExchangeConfig.__struct_fields__)
    for field in EngineConfig.fields():
        entry = schema["engine"]["properties"][field.name]
        assert entry["default"] == field.default
        if field.kind != "bool":
            assert (entry["minimum"], entry["maximum"]) == field.range
        default = EngineConfig().to_dict()[field.name]
        assert default == field.default, field.name
        if default is not None:
            written = str(default).lower() if isinstance(default, bool) else repr(default)
            assert load_settings(None, [f"{field.name}={written}"]).engine_config() == EngineConfig()


def test_every_field_has_its_unit_and_says_what_too_high_does() -> None:
    for row in field_rows():
        assert row.unit, row
        assert row.text, row
        assert row.table != "engine" or "Too high: " in row.text
