"""EngineConfig, Instrument and the enumerations: one table of fields, everything else derived from it."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypermm
from hypermm import ConfigField, EngineConfig, Instrument, OrderStatus, QuoteStatus, Side
from hypermm.config import json_schema, load_settings
from hypermm.exceptions import HypermmError, InvalidConfigError, InvalidInputError

FIELDS = EngineConfig.fields()
STUB = Path(hypermm.__file__).with_name("_core.pyi")
STUB_TYPES = {"float": "float", "optional_float": "float | None", "integer": "int", "bool": "bool"}


def stub_class(name: str) -> ast.ClassDef:
    tree = ast.parse(STUB.read_text("utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def test_signature_follows_the_table() -> None:
    parameters = inspect.signature(EngineConfig).parameters
    assert list(parameters) == [*(field.name for field in FIELDS), "calibration"]
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert defaults == EngineConfig().to_dict() | {"calibration": None}


def test_stub_follows_the_table() -> None:
    members = {node.name: node for node in stub_class("EngineConfig").body if isinstance(node, ast.FunctionDef)}
    constructor = members["__new__"].args
    assert [argument.arg for argument in constructor.args[1:]] == [field.name for field in FIELDS]
    assert [ast.literal_eval(default) for default in constructor.defaults] == [field.default for field in FIELDS]
    for field in FIELDS:
        returns = members[field.name].returns
        assert returns is not None
        assert ast.unparse(returns) == STUB_TYPES[field.kind], field.name
        text = " ".join((ast.get_docstring(members[field.name]) or "").split())
        for part in (field.text, f"Unit: {field.unit}.", f"Too high: {field.too_high}.", f"Too low: {field.too_low}."):
            assert " ".join(part.split()) in text, field.name


def test_schema_and_toml_keys_follow_the_table(tmp_path: Path) -> None:
    schema = json_schema()
    engine = schema["properties"]["engine"]
    while "$ref" in engine:
        engine = schema["$defs"][engine["$ref"].rsplit("/", 1)[-1]]
    assert set(engine["properties"]) == {field.name for field in FIELDS}
    lines = [f"{field.name} = {json.dumps(field.default)}" for field in FIELDS if field.default is not None]
    file = tmp_path / "all.toml"
    file.write_text("[engine]\n" + "\n".join(lines) + "\n", "utf-8")
    assert load_settings(str(file)).engine_config() == EngineConfig()


def test_attributes_and_documentation_follow_the_table() -> None:
    config = EngineConfig()
    for field in FIELDS:
        assert getattr(config, field.name) == field.default
        assert field.text in (getattr(EngineConfig, field.name).__doc__ or "")
        low, high = field.range
        assert low < high


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_limits_are_accepted_and_beyond_them_refused(field: ConfigField) -> None:
    if field.kind == "bool":
        assert getattr(EngineConfig(**{field.name: True}), field.name) is True
        wrong: list[Any] = [1, 0.0, "true", None]
    else:
        low, high = field.range
        cast = int if field.kind == "integer" else float
        others = {"horizon_min_s": {"horizon_max_s": 86_400.0}, "horizon_max_s": {"horizon_min_s": 0.1}}
        others["clip"] = {"max_position": 1e12}
        for limit in (low, high):
            changes: dict[str, Any] = {**others.get(field.name, {}), field.name: cast(limit)}
            config = EngineConfig(**changes)
            assert getattr(config, field.name) == limit
        step = 1 if field.kind == "integer" else max(abs(low), 1.0) * 1e-6
        wrong = [cast(low) - step, cast(high) * 2 + 1, math.nan, math.inf, "1", "5 bps", True, [1.0], {}]
        if field.kind == "integer":
            wrong.append(2.5)
    if field.kind != "optional_float":
        wrong.append(None)
    for value in wrong:
        with pytest.raises(InvalidConfigError) as caught:
            EngineConfig(**{field.name: value})
        assert caught.value.field == field.name
        assert caught.value.value
        assert caught.value.expected
        assert isinstance(caught.value, ValueError)


def test_unknown_field_names_the_nearest_known_one() -> None:
    with pytest.raises(InvalidConfigError, match="did you mean max_position") as caught:
        EngineConfig(max_postion=2.0)  # type: ignore[call-arg]
    assert (caught.value.field, caught.value.value) == ("max_postion", "2.0")


def test_contradicting_fields_are_refused() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        EngineConfig(horizon_min_s=100.0, horizon_max_s=50.0)
    assert caught.value.field == "horizon_min_s"
    with pytest.raises(InvalidConfigError) as caught:
        EngineConfig(max_position=1.0).replace(clip=2.0)
    assert caught.value.field == "clip"


def test_positional_and_keyword_arguments_agree() -> None:
    assert EngineConfig(2.0, 0.05) == EngineConfig(max_position=2.0, risk_aversion=0.05)
    with pytest.raises(TypeError, match="multiple values"):
        EngineConfig(2.0, max_position=2.0)  # type: ignore[misc]
    with pytest.raises(TypeError, match="at most"):
        EngineConfig(*range(len(FIELDS) + 1))  # type: ignore[arg-type]


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1.0), st.integers(1, 32), st.booleans())
def test_config_is_a_value(cap: float, aversion: float, levels: int, flag: bool) -> None:
    config = EngineConfig(max_position=cap, risk_aversion=aversion, levels=levels, terminal_penalty=flag)
    again = EngineConfig(**config.to_dict())  # type: ignore[arg-type]
    assert config == again
    assert hash(config) == hash(again)
    assert pickle.loads(pickle.dumps(config)) == config
    assert copy.deepcopy(config) == config
    assert eval(repr(config), {"EngineConfig": EngineConfig}) == config  # noqa: S307 - our own text
    assert config.replace() == config
    changed = config.replace(risk_aversion=2.0)
    assert changed != config
    assert changed.replace(risk_aversion=aversion) == config


def test_config_is_frozen() -> None:
    config = EngineConfig()
    with pytest.raises(AttributeError):
        config.max_position = 2.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        config.other = 2.0  # type: ignore[attr-defined]


def test_numpy_scalars_are_numbers() -> None:
    config = EngineConfig(max_position=np.float32(2.0), levels=np.int64(4), terminal_penalty=np.bool_(True))
    assert (config.max_position, config.levels, config.terminal_penalty) == (2.0, 4, True)


def test_fields_pickle() -> None:
    assert pickle.loads(pickle.dumps(FIELDS)) == FIELDS


def test_instrument_is_a_value() -> None:
    instrument = Instrument("ETH", 4, 25)
    assert instrument == Instrument(
        coin="ETH", size_decimals=4, max_leverage=25, min_notional=10.0, funding_interval_s=3600.0
    )
    assert pickle.loads(pickle.dumps(instrument)) == instrument
    assert hash(copy.deepcopy(instrument)) == hash(instrument)
    assert eval(repr(instrument), {"Instrument": Instrument}) == instrument  # noqa: S307 - our own text
    with pytest.raises(AttributeError):
        instrument.coin = "BTC"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("", 4, 25), "coin"),
        ((7, 4, 25), "coin"),
        (("E H", 4, 25), "coin"),
        (("ETH", 7, 25), "size_decimals"),
        (("ETH", -1, 25), "size_decimals"),
        (("ETH", 4.0, 25), "size_decimals"),
        (("ETH", True, 25), "size_decimals"),
        (("ETH", 4, 0), "max_leverage"),
        (("ETH", 4, "25"), "max_leverage"),
    ],
)
def test_instrument_refuses(arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Instrument(*arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["min_notional", "funding_interval_s"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "10"])
def test_instrument_refuses_keyword(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Instrument("ETH", 4, 25, **{name: value})
    assert caught.value.field == name


@given(st.floats(1e-2, 1e6))
def test_rounded_prices_bracket_the_price_and_stay_when_rounded_again(price: float) -> None:
    instrument = Instrument("ETH", 4, 25)
    below, above = instrument.round_price(price, Side.BUY), instrument.round_price(price, Side.SELL)
    assert below <= price * (1 + 1e-9)
    assert above >= price * (1 - 1e-9)
    assert above - below <= instrument.price_increment_at(price) * (1 + 1e-9)
    assert instrument.round_price(below, Side.SELL) == below
    assert instrument.round_price(above, Side.BUY) == above


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "1", None, True])
def test_price_grid_refuses(value: Any) -> None:
    instrument = Instrument("ETH", 4, 25)
    for call in (instrument.price_increment_at, lambda price: instrument.round_price(price, Side.BUY)):
        with pytest.raises(InvalidInputError) as caught:
            call(value)
        assert caught.value.field == "price"


@pytest.mark.parametrize("value", ["BUY", "buy", 1, -1, None, True])
def test_only_a_side_is_a_side(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"Side\.BUY or Side\.SELL") as caught:
        Instrument("ETH", 4, 25).round_price(1.0, value)
    assert caught.value.field == "side"


@pytest.mark.parametrize("members", [Side, OrderStatus, QuoteStatus])
def test_enumerations_are_ordinary(members: Any) -> None:
    for member in members:
        assert pickle.loads(pickle.dumps(member)) is member
        assert copy.deepcopy(member) is member
        assert members[member.name] is member
        assert members(member.value) is member
    assert members.__doc__


def test_exception_tree_is_drawn_and_picklable() -> None:
    from hypermm import exceptions

    drawn = exceptions.__doc__ or ""
    for name in exceptions.__all__:
        assert f"{name}" in drawn
        kind = getattr(exceptions, name)
        assert issubclass(kind, HypermmError)
        parent, *builtins = kind.__bases__
        if parent is HypermmError:
            (builtin,) = builtins
            assert issubclass(builtin, Exception)
            assert f"{name}({builtin.__name__})" in drawn
        elif kind is not HypermmError:
            # A case of another of ours, drawn below it.
            assert not builtins
            assert drawn.index(parent.__name__) < drawn.index(name)
        error = kind("text", field="f", value=3, expected="e", hint="h")
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.field, again.value, again.expected, again.hint) == ("text", "f", "3", "e", "h")
        assert type(again) is kind
    located = exceptions.RecordingError(field="price", value=-1.0, expected="above 0", row=7)
    assert pickle.loads(pickle.dumps(located)).row == 7
    assert "price = -1.0" in str(located)
    assert "row 7" in str(located)


def test_panic_becomes_an_exception_of_the_tree() -> None:
    with pytest.raises(hypermm.InternalError, match="on purpose") as caught:
        hypermm._core._panic("on purpose")
    assert isinstance(caught.value, RuntimeError)
    assert pickle.loads(pickle.dumps(caught.value)).value == "on purpose"


def test_exports_are_sorted_and_there() -> None:
    assert hypermm.__all__ == sorted(hypermm.__all__)
    assert all(hasattr(hypermm, name) for name in hypermm.__all__)
    assert set(hypermm.__all__) <= set(dir(hypermm))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hypermm.nonsense


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"levels": 0}, "1 to 32"),
        ({"inventory_curvature": -1.0}, "0 to 100"),
        ({"max_position": 1e300}, "1e-9 to 1e12 contracts"),
        ({"book_stale_s": 0}, "0.05 to 3600 s"),
        ({"level_growth": "x"}, "a number"),
        ({"horizon_min_s": "x"}, "a number, in s"),
    ],
)
def test_an_expectation_has_its_unit_and_a_pure_number_none(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        EngineConfig(**change)
    assert caught.value.expected == expected
    assert len(caught.value.value) < 10
