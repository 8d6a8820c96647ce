"""Files appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hypermm.recording.whole_file import whole_file


def test_a_file_takes_its_name_when_it_is_done_and_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "fills.parquet"
    target.write_text("old")
    with whole_file(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["fills.parquet"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "fills.parquet"
    target.write_text("old")

    def fail_halfway() -> None:
        with whole_file(target) as part:
            part.write_text("half")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fail_halfway()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["fills.parquet"]


def test_a_killed_process_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from hypermm.recording.whole_file import whole_file\n"
        "with whole_file(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    target = tmp_path / "fills.parquet"
    done = subprocess.run([sys.executable, "-c", program, str(target)], env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
