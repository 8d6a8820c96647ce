"""What the documentation shows runs as it stands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Dataclasses look their module up by name.
    import sys

    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def test_readme_example_runs_and_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 1
    lines = [line for line in blocks[0].splitlines() if line.strip()]
    assert len(lines) <= 15
    exec(compile(blocks[0], "README.md", "exec"), {})  # noqa: S102 - our own text
    printed = capsys.readouterr().out
    assert "buy " in printed
    assert "reservation" not in printed
    assert "QUOTING" in printed


def test_an_existing_bot_embeds_the_engine_and_restarts_holding_a_position(capsys: pytest.CaptureFixture[str]) -> None:
    example = _load(ROOT / "examples" / "embed_in_existing_bot.py")
    at_venue, in_engine, fills = example.main()
    print(capsys.readouterr().out)
    assert fills >= 20
    assert in_engine == pytest.approx(at_venue, abs=1e-9)
    assert abs(at_venue) <= 2.0
