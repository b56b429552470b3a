"""A guest in a plain process, and a host that says the words: cells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stand_in import Guest


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Guest() as guest:
        yield guest


def test_the_last_expression_is_shown_and_names_stay(guest: Guest) -> None:
    assert guest.value("x = 20\nx + 1") == "21"
    assert guest.value("x") == "20"
    assert guest.value("x = 3") is None
    assert guest.value("None") is None


def test_what_is_printed_is_there_before_the_cell_is_done(guest: Guest) -> None:
    guest.run("import sys\nprint('a')\nprint('b', file=sys.stderr, end='')")
    assert (guest.stdout, guest.stderr) == ("a\n", "b")
