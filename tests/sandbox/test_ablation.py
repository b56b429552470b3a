"""Every layer holds alone: a check is held by each layer it names with the others left out, and by none without them.

The namespaces come and go together: they are there at the level full and absent at plain. That of the network is also
left out alone, so that what it holds is seen to be held by it and by none of the others. A layer is left out by a set
that only the launcher's function takes, so the launcher runs in a root to throw away, from an entry of the tests. The
user stays root there, so that no file's mode holds what a layer should.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from canaries import Canaries, canaries
from containment_checks import CHECKS, Check
from sessions import Session
from test_containment import held, policy_of
from throwaway import ablated, missing

from codeact.cells import Cells
from codeact.core.execution import Outcome
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.launchers import Parts
from codeact.sandboxes.linux.seccomp import ALLOWED

NAMESPACES = frozenset(("mnt", "pid", "net", "ipc", "user"))
LEFT_OUT = frozenset(("landlock", "seccomp", "rlimit", "caps", "env", "fd"))  # one by one
SOURCE = Path(__file__).parents[2] / "src" / "codeact"

# Where nothing is left that holds, the check is not run: what it does would be felt by the machine, or by others.
NEVER_BARE = {
    "sg-03": "it kills everything of the user",
    "rs-08": "a fork bomb",
    "rs-09": "thousands of threads",
    "nt-05": "it asks the machine's own name server",
    "nt-07": "it reaches the machine's own metadata service",
}
# It fails where nothing of ours is left, too: what is asked for is not to be had on any machine, or not on this one.
HELD_ANYHOW = {
    "en-05": "no layer that can be left out puts a key among the arguments",
    "en-07": "the host of the tests has no terminal either",
    "en-08": "standard input is no terminal that could be typed into",
    "ns-07": "what lies there is no mount that could be taken away",
    "kn-03": "a kernel without x32",
    "kn-07": "the number is above what the kernel gives to anybody",
    "rs-10": "the machine's own bound may be lower",
    "ip-09": "the objects of the zygote are frozen: gc does not list them",
}


@dataclass
class Bench:
    """Sandboxes with layers left out, each launcher started once."""

    host: Canaries
    folder: Path
    sandboxes: dict[tuple[bool, frozenset[str]], LinuxSandbox] = field(default_factory=dict)

    @asynccontextmanager
    async def session(self, check: Check, plain: bool, without: frozenset[str]) -> AsyncIterator[Session]:
        key = (plain, without)
        if key not in self.sandboxes:
            sockets = [str(self.host.folder / "stream"), str(self.host.folder / "datagram")]
            entry = ablated(self.folder, without, plain, self.host.secret, sockets)
            self.sandboxes[key] = LinuxSandbox("plain" if plain else "full", _parts=Parts(entry=entry))
        async with Cells(self.sandboxes[key], policy_of(check)) as cells:
            assert cells.level == ("plain" if plain else "full")
            yield Session(cells, {**self.host.names(), "ALLOWED_NRS": sorted(ALLOWED)})

    async def outcome(self, check: Check, plain: bool, without: frozenset[str]) -> Outcome:
        async with self.session(check, plain, without) as session:
            code = check.source
            if not check.id.startswith("ip-"):
                await session.prepare()
                code = code.replace("'/tmp", f"'{await session.value('os.getcwd()')}")
            return await session.run(code)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    why = missing()
    if why:
        pytest.skip(f"no layer can be left out here: {why}")
    with canaries() as host:
        yield Bench(host, tmp_path_factory.mktemp("launchers"))


def layers(check: Check) -> frozenset[str]:
    return frozenset(check.layers.split()) & (NAMESPACES | LEFT_OUT)


# The host's own part (its clock, its checks, the import policy) is never left out: what that holds too is not run bare.
BARE = [check for check in CHECKS if layers(check) == frozenset(check.layers.split()) and check.id not in NEVER_BARE]
BARE = [check for check in BARE if check.layers]


def alone() -> Iterator[tuple[Check, str]]:
    for check in CHECKS:
        for layer in sorted(layers(check)):
            yield check, layer


@pytest.mark.parametrize(("check", "layer"), [pytest.param(*one, id=f"{one[0].id}-{one[1]}") for one in alone()])
async def test_the_layer_alone_holds_it(check: Check, layer: str, bench: Bench) -> None:
    others = layers(check) - {layer}
    plain = layer not in NAMESPACES and bool(others & NAMESPACES)
    without = (others & LEFT_OUT) | (frozenset() if layer == "user" else {"user"})
    outcome = await bench.outcome(check, plain, without)
    assert held(check, outcome), outcome


@pytest.mark.parametrize("check", [pytest.param(check, id=check.id) for check in BARE])
async def test_without_its_layers_nothing_holds_it(check: Check, bench: Bench) -> None:
    plain = bool(layers(check) & NAMESPACES)
    outcome = await bench.outcome(check, plain, (layers(check) & LEFT_OUT) | {"user"})
    assert not held(check, outcome) or check.id in HELD_ANYHOW, outcome
    bench.host.disturbed()  # it may have been: hear what the next check is not to be blamed for


@pytest.mark.parametrize("check", [pytest.param(check, id=check.id) for check in BARE if "net" in layers(check)])
async def test_without_the_networks_namespace_alone_the_others_do_not_hold_it(check: Check, bench: Bench) -> None:
    outcome = await bench.outcome(check, False, (layers(check) & LEFT_OUT) | {"user", "net"})
    assert not held(check, outcome), outcome
    bench.host.disturbed()


def test_layers_are_left_out_by_a_test_alone() -> None:
    """The word leads from the launcher's function to the wall, and no plan, option or variable leads to the word."""
    known = {"launcher.py", "session.py", "namespaces.py"}
    for file in sorted((SOURCE / "sandboxes").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        assert file.name in known or not re.search(r"\bwithout\s*=|\.without\b|\"without\"", text), file
    entry = (SOURCE / "sandboxes" / "linux" / "entry.py").read_text(encoding="utf-8")
    assert 'import_module("codeact_linux.launcher").run(int(sys.argv[1]))' in entry
    assert 'plan["without"]' not in (SOURCE / "sandboxes" / "linux" / "launcher.py").read_text(encoding="utf-8")


def test_what_is_excepted_is_a_check() -> None:
    assert NEVER_BARE.keys() | HELD_ANYHOW.keys() <= {check.id for check in CHECKS}
    assert len(BARE) >= 50
