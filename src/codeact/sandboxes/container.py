"""A guest in a container of Docker or Podman, by their command line.

    Container("codeact", engine="podman", runtime="runsc")

The image is yours; it needs a `python3` from 3.11 on and whatever packages the code is to see. The `Containerfile`
beside this file makes one. No image is pulled here: what is run is what you have put there.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import PurePath
from urllib.parse import parse_qsl

from ..core.errors import SandboxUnavailable, UsageError, nearest
from ..core.execution import MIB, Limits, Policy
from ..ports import Pipe, Sink
from . import child

_ENGINES = ("podman", "docker")
_PLACE = "/codeact"  # of the guest, inside
_OWN = 192 * MIB  # for the relay, and so that the watch on the guest, which keeps its variables, comes first
_USERS = range(20_000, 60_000)  # below the 65,536 that a rootless engine maps; each container has another


class Container:
    """A `Sandbox` of this image; `engine` is `podman` or `docker`, or a path that ends so; the first found by default.

    `runtime` is the engine's, such as `runsc`; `cpus` is how many CPUs it may use, where the engine can bound that.
    """

    name = "container"

    def __init__(
        self, image: str, *, engine: str | None = None, runtime: str | None = None, cpus: float | None = None
    ) -> None:
        if not image or image.startswith("-"):
            raise UsageError(f"not the name of an image: {image!r}")
        if engine is not None and PurePath(engine).name not in _ENGINES:
            raise UsageError(f"engine={engine!r}: {' or '.join(_ENGINES)}, or a path that ends so")
        if cpus is not None and not 0 < cpus < 10_000:
            raise UsageError(f"cpus={cpus!r}: a number above 0")
        self._image = image
        self._engine = engine
        self._runtime = runtime
        self._cpus = cpus

    @classmethod
    def of(cls, words: str) -> Container:
        """What `IMAGE?engine=docker&runtime=runsc&cpus=2` names."""
        image, _, query = words.partition("?")
        settings = dict(parse_qsl(query, keep_blank_values=True))
        known = ("engine", "runtime", "cpus")
        for name in settings:
            if name not in known:
                raise UsageError(f"no setting {name!r} of a container: {', '.join(known)}{nearest(name, known)}")
        cpus = settings.pop("cpus", None)
        try:
            return cls(image, cpus=None if cpus is None else float(cpus), **settings)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """See `Sandbox`."""
        child.check(self.name, policy)
        if policy.python is not None:
            raise UsageError("the sandbox 'container' has the Python of its image; leave out `python` and `packages`")
        return self._launch(policy.limits, sink)

    @asynccontextmanager
    async def _launch(self, limits: Limits, sink: Sink) -> AsyncIterator[Pipe]:
        engine = self._engine or next(filter(shutil.which, _ENGINES), None)
        if engine is None:
            raise SandboxUnavailable(self.name, "neither podman nor docker is here", "apt-get install podman")
        name = f"codeact-{secrets.token_hex(8)}"
        command = child.Command(
            self.name,
            self.argv(engine, name, limits),
            f"Is the image there? {engine} image inspect {self._image}",
            folder=_PLACE,
            undo=(engine, "rm", "--force", name),
        )
        async with child.started(command, limits, sink) as pipe:
            yield pipe

    def argv(self, engine: str, name: str, limits: Limits) -> tuple[str, ...]:
        """The words that start a guest: all that the wall consists of."""
        is_podman = PurePath(engine).name == "podman"
        runtime = ("--runtime", self._runtime) if self._runtime else ()
        start = (engine, *runtime, "run") if is_podman else (engine, "run", *runtime)
        user = secrets.choice(_USERS)
        processes = limits.threads + 2  # the relay, and the guest's own listener
        memory = limits.memory + limits.scratch + _OWN  # scratch is memory too
        of_podman = ("--read-only-tmpfs=false", "--http-proxy=false") if is_podman else ()
        return (
            *start,
            *("--rm", "--interactive", "--name", name, "--pull", "never", "--log-driver", "none"),
            *("--network", "none", "--ipc", "none", "--hostname", "sandbox"),
            *("--read-only", *of_podman, "--volume", f"{child.GUEST}:{_PLACE}:ro"),
            *("--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.scratch},mode=1777", "--workdir", "/tmp"),
            *("--user", f"{user}:{user}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--pids-limit", f"{processes}", "--ulimit", f"nproc={processes}:{processes}"),
            *("--ulimit", "nofile=1024:1024", "--ulimit", "core=0:0"),
            *("--memory", f"{memory}", "--memory-swap", f"{memory}"),
            *(("--cpus", f"{self._cpus:g}") if self._cpus else ()),
            *("--entrypoint", "python3", self._image, "-I", f"{_PLACE}/relay.py"),
        )
