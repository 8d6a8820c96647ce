"""Shared by all Python tests: where real recordings stand, when they do."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def beside(name: str) -> Path:
    """A folder of the recordings; skips the test where it is absent."""
    for folder in (ROOT.parent, ROOT.parent.parent):
        path = folder / "shared" / "data" / name
        if path.exists():
            return path
    pytest.skip(f"the data folder is not beside the repository: ../shared/data/{name}")


@pytest.fixture(scope="session")
def real_recordings() -> Path:
    """Folder of the recorded half hour of four coins; skips where it is absent."""
    return beside("hyperliquid-2025-09-04")


@pytest.fixture(scope="session")
def real_frames() -> Path:
    """Folder of captured venue payloads; skips where it is absent."""
    return beside("frames")


@pytest.fixture(scope="session")
def old_fills() -> Path:
    """Folder of the old bot's fills and edge records; skips where it is absent."""
    return beside("hype-fills")
