"""What an extra brings is named when it lacks, and nothing else is blamed on an extra."""

from __future__ import annotations

import sys

import pytest

from hypermm.exceptions import MissingDependencyError
from hypermm.extras import needs


def test_a_package_that_is_not_installed_is_named_with_its_extra() -> None:
    # Kills: the extra of another command in the hint, an error that is no ImportError to who catches those.
    with pytest.raises(ImportError) as caught, needs("cli,live", "aiohttp to speak to a venue"):
        import no_such_package.part  # type: ignore[import-not-found]  # noqa: F401
    error = caught.value
    assert isinstance(error, MissingDependencyError)
    assert (error.field, error.expected) == ("no_such_package", "aiohttp to speak to a venue")
    assert error.hint is not None
    # Of this interpreter, not of whichever pip comes first.
    assert error.hint.startswith(f'{sys.executable} -m pip install "hypermm[cli,live]"')


def test_a_package_that_is_installed_and_too_old_is_not_called_absent() -> None:
    # Kills: "not installed" of what pip lists, with a hint that changes nothing.
    with pytest.raises(MissingDependencyError) as caught, needs("live", "numpy of these days"):
        from numpy import no_such_name  # type: ignore[attr-defined]  # noqa: F401
    assert caught.value.field == "numpy"
    assert "not installed" not in str(caught.value)
    assert "no_such_name" in str(caught.value)
    assert "--upgrade" in str(caught.value.hint)


def test_what_lacks_in_hypermm_itself_is_no_packages_fault() -> None:
    # Kills: a module of ours that is gone, or says itself what it lacks, told as another package that is not installed.
    with pytest.raises(ModuleNotFoundError, match=r"hypermm\.no_such_module") as caught, needs("cli", "pyarrow"):
        import hypermm.no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert not isinstance(caught.value, MissingDependencyError)
    inner = MissingDependencyError(field="scipy")
    with pytest.raises(MissingDependencyError) as told, needs("live", "aiohttp"):
        raise inner
    assert told.value is inner


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), needs("cli", "pyarrow"):
        raise KeyError
