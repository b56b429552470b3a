"""A launcher that dies has told nothing of its machine: it is started once more, and nothing weaker in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import FREE
from talk import at

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.crashpoints import SWITCH
from codeact.sandboxes.linux import LinuxSandbox, launchers
from codeact.sandboxes.linux.launchers import SHIPPED, Parts

PLAIN = Path(__file__).with_name("plain_entry.py")
FIRST_OF_ALL = """
import os, pathlib, sys
mark = pathlib.Path({mark!r})
is_first = not mark.exists()
mark.touch()
if is_first:
    {first}
os.execv(sys.executable, [sys.executable, "-s", "-P", "-S", {then!r}, sys.argv[1]])
"""


def entry(folder: Path, first: str, then: Path) -> Parts:
    """A launcher that does this when it starts for the first time, and later is that one."""
    file = folder / "entry.py"
    file.write_text(FIRST_OF_ALL.format(mark=str(folder / "started"), first=first, then=str(then)))
    return Parts(entry=file)


@pytest.mark.parametrize(("point", "layer"), [("zygote begins", "launcher"), ("session begins", "session")])
async def test_a_launcher_that_dies_at_its_start_is_no_reason_for_a_weaker_level(
    point: str, layer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at("full")
    own = tmp_path / "own.py"
    own.symlink_to(SHIPPED.entry)
    monkeypatch.setenv(SWITCH, f"{point}@1")  # of every launcher
    with pytest.raises(SandboxUnavailable, match="nothing weaker was tried") as told:
        async with Cells(LinuxSandbox(_parts=Parts(entry=own)), FREE):
            pass
    assert told.value.layer == layer


async def test_a_launcher_that_dies_once_is_started_once_more(tmp_path: Path) -> None:
    at("full")
    sandbox = LinuxSandbox(_parts=entry(tmp_path, "os.kill(os.getpid(), 9)", SHIPPED.entry))
    async with Cells(sandbox, FREE) as cells:
        assert cells.level == "full"


async def test_what_was_begun_at_full_does_not_go_on_at_plain(tmp_path: Path) -> None:
    at("full")
    shipped = f'os.execv(sys.executable, [sys.executable, "-s", "-P", "-S", {str(SHIPPED.entry)!r}, sys.argv[1]])'
    parts = entry(tmp_path, shipped, PLAIN)  # a machine that takes its namespaces back
    async with Cells(LinuxSandbox(_parts=parts), FREE) as cells:
        assert cells.level == "full"
        for each in [each for each in launchers._launchers.values() if each.parts == parts]:
            each.end()
        with pytest.raises(SandboxUnavailable, match="user namespace"):
            for _ in range(2):  # the first one may be told that its sandbox died
                await cells.run("6 * 7")
