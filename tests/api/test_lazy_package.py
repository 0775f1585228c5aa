"""``import searchlab`` offers the documented names and loads nothing for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import searchlab
from searchlab.errors import InfrastructureError, InputError, SearchlabError


def test_importing_the_package_loads_only_its_version() -> None:
    code = (
        "import sys; before = set(sys.modules); import searchlab; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    theirs = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert theirs == {"searchlab", "searchlab.version"}


@pytest.mark.parametrize("name", searchlab.__all__)
def test_every_documented_name_is_there(name: str) -> None:
    assert getattr(searchlab, name) is not None
    assert name in dir(searchlab)


def test_errors_are_those_that_searchlab_raises() -> None:
    assert searchlab.InputError is InputError
    assert issubclass(searchlab.InfrastructureError, searchlab.SearchlabError)
    assert (searchlab.SearchlabError, searchlab.InfrastructureError) == (
        SearchlabError,
        InfrastructureError,
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'run_studdy'"):
        _ = searchlab.run_studdy
