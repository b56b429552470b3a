"""The self-test of a locked guest: it holds where every layer stands, and names the layer where one is left out."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from locked import locked

from codeact.sandboxes.linux import landlock

pytestmark = pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no landlock; the doctor says so")

_LAYERS = {
    "rlimits": """
import resource
for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    resource.setrlimit(limit, (1 << 32 if limit != resource.RLIMIT_NOFILE else 256,) * 2)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
""",
    "capabilities": "from codeact.sandboxes.linux import kernel; kernel.drop_capabilities()",
    "landlock": """
landlock.restrict(read=["/usr", "/lib", sys.prefix, sys.base_prefix], write=[os.getcwd()], abi=landlock.abi())
""",
    "seccomp": "seccomp.install(seccomp.program(level='plain', landlock_abi=landlock.abi(), pid=os.getpid()))",
}
_PROBE = """
found = probes.canaries(probes.Targets("plain", os.getcwd(), frozenset(), others=(host,), unwritable=("/usr/lib",)))
print([(probe.name, probe.layer) for probe in found if not probe.held])
"""


def not_held(scratch: Path, without: str = "", before: str = "") -> list[tuple[str, str]]:
    """The probes that fail in a process with all layers of plain but this one."""
    layers = "\n".join(text for name, text in _LAYERS.items() if name != without)
    setting = f"import os; from codeact.sandboxes.linux import probes; os.chdir({str(scratch)!r}); host = os.getppid()"
    said = locked(_PROBE, before=f"program = None; {setting}\n{before}", walls=layers)
    found: list[tuple[str, str]] = ast.literal_eval(said)
    return found


def test_with_all_layers_every_probe_is_held(tmp_path: Path) -> None:
    assert not_held(tmp_path) == []


def test_the_landlock_that_is_missing_is_named(tmp_path: Path) -> None:
    assert {layer for _, layer in not_held(tmp_path, "landlock")} == {"landlock"}
    assert {"read", "list"} <= {name for name, _ in not_held(tmp_path, "landlock")}


def test_the_filter_that_is_missing_is_named(tmp_path: Path) -> None:
    assert {(name, "seccomp") for name in ("calls", "fork", "filter")} <= set(not_held(tmp_path, "seccomp"))


def test_limits_that_are_missing_are_named(tmp_path: Path) -> None:
    assert ("limits", "rlimits") in not_held(tmp_path, "rlimits")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has no capabilities to keep")
def test_capabilities_that_are_kept_are_named(tmp_path: Path) -> None:
    assert ("capabilities", "capabilities") in not_held(tmp_path, "capabilities")


def test_a_descriptor_that_was_left_open_is_named(tmp_path: Path) -> None:
    assert not_held(tmp_path, before="left = os.open('/dev/null', 0)") == [("descriptors", "descriptors")]


def test_a_scratch_that_cannot_be_written_is_no_proof(tmp_path: Path) -> None:
    lost = "import shutil; shutil.rmtree(os.getcwd())"
    assert ("scratch", "scratch") in not_held(tmp_path, before=lost + "; os.getcwd = lambda: '/nowhere'")
