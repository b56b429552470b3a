"""Small programs over the whole language, each run by plain `python file` and as one cell: the same words on stdout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import Guest

FOLDER = Path(__file__).parent.parent / "programs"


def _programs() -> Iterator[tuple[str, str, str]]:
    """Each file holds many: theme, name and source."""
    for path in sorted(FOLDER.glob("*.txt")):
        for part in path.read_text().split("#: ")[1:]:
            name, _, source = part.partition("\n")
            yield path.stem, name, source


PROGRAMS = list(_programs())


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Guest() as guest:
        yield guest


def test_there_are_many_programs_and_no_two_of_one_name() -> None:
    names = {(theme, name) for theme, name, _ in PROGRAMS}
    assert len(names) == len(PROGRAMS) >= 150


@pytest.mark.parametrize(("theme", "name", "source"), PROGRAMS, ids=[f"{theme}: {name}" for theme, name, _ in PROGRAMS])
def test_a_program_says_the_same_in_a_cell(theme: str, name: str, source: str, guest: Guest, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(source)
    plain = subprocess.run(
        [sys.executable, "-s", "-P", str(file)],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "PYTHONHASHSEED": "0",
            "LANG": "C.UTF-8",
        },
    )
    expected = plain.stdout.decode()
    assert plain.returncode == 0 and expected.strip(), plain.stderr.decode()
    guest.run(
        "for name in list(globals()):\n    if name[:2] != '__': del globals()[name]\n__annotations__ = {}\ndel name"
    )
    done = guest.run(source)
    assert done.error is None, done.error[2]
    assert guest.stdout == expected
