"""The process around the cells: start, the words of the host one by one, and the end.

The main thread reads the host's words between cells and runs the cells. Another thread waits for nothing but the end of
the channel, so that a cell that never ends does not outlive its host.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its functions do not make an enum of every answer
import _thread
import builtins
import importlib.util
import json
import keyword
import linecache
import os
import platform
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

if __package__:
    from . import clock, kept, keyboard, loops, stacks, stubs, unheard, values
    from .ballast import Ballast
    from .calls import Calls
    from .cell import Cells, Ran
    from .channel import Channel, Descriptor, Ended, Stage
    from .copies import Copies
    from .drawings import Drawings
    from .failures import Failures, ToolError
    from .folders import Folders
    from .imports import ImportPolicyError, Imports
    from .interrupts import Finished, Interrupted, Interrupts
    from .line import Line
    from .lookup import Names
    from .modules import TOOLS, Modules
    from .network import Network
    from .output import OURS, Output
    from .parts import Following
    from .practice import practise as practise
    from .recursion import Depth
    from .seeds import Seeds
    from .variables import EVERY, listed
    from .wire import (
        GUEST_WORDS,
        Bind,
        Bound,
        Clock,
        Collect,
        Copy,
        Decoder,
        Done,
        Fetch,
        Fetched,
        Looked,
        More,
        Next,
        Open,
        Placed,
        Put,
        Ready,
        Run,
        TooLarge,
        encode,
    )


def prepare(path: Sequence[str]) -> None:
    """Once, before any session: make these site directories importable, and put back what `-S` left out.

    Of their .pth files the path lines count, never the import lines, which are code.
    """
    for directory in path:
        for place in (directory, *_path_lines(directory)):
            if place not in sys.path and os.path.exists(place):
                sys.path.append(place)
    clock.install()
    loops.install()
    keyboard.install()
    stacks.install()
    unheard.install()
    Imports.look_round()
    for module in (builtins, linecache, traceback):
        kept.before(module)


def _path_lines(directory: str) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".pth") and not name.startswith("."))
    except OSError:
        return []
    places = []
    for name in names:
        try:
            with open(os.path.join(directory, name), encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            if line.strip() and not line.startswith(("#", "import ", "import\t")):
                places.append(os.path.abspath(os.path.join(directory, line.rstrip())))
    return places


def serve(channel: int, network: int | None = None) -> None:
    """Talk with the host on this descriptor until it hangs up; `network` is the line that connections are asked on."""
    os.set_inheritable(channel, False)
    os.set_blocking(channel, True)
    _thread.start_new_thread(_end_with, (channel,))
    words = Channel(Descriptor(channel))
    try:
        session = Session(words, network)
        session.rehearse()
        opening = words.next()
        if type(opening) is not Open:
            return
        session.open(opening)
        words.send(Ready(_VERSION))
        while True:
            session.answer(words.next())
    except Ended:
        return


def _end_with(channel: int) -> None:
    """Wait until the host has hung up, and end the process, whatever it is doing."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    OURS.add(_thread.get_ident())
    waiting = select.poll()
    waiting.register(channel, 0)
    while not waiting.poll():
        pass
    os._exit(0)


_VERSION = platform.python_version()
_OURS = ("__import__", "display", "input", "ToolError", "ImportPolicyError")  # builtins of a session's own
_REHEARSAL = "import sys as _\n_ = [str(n) for n in range(3)]\nprint(end='')\n_"
_alarm = getattr(signal, "alarm", lambda seconds: None)  # a Python in WebAssembly has none

# How much deeper a cell stands than the start of a `Session`; until 3.12 calls through C count as well.
_BETWEEN = 1 if sys.version_info >= (3, 12) else 2


class Session:
    """One namespace, its tools, and the answer to each word of the host."""

    def __init__(self, channel: Channel, network: int | None = None) -> None:
        self._channel = channel
        self._line = network
        self._interrupts = Interrupts(channel.arriving)
        self._interrupts.install()
        channel.check = self._interrupts.check
        channel.before = self._looked
        self._nonce = ""
        self._ballast = Ballast()
        self._output = Output()
        self._copies = Copies(channel, self._output, _end_with, network)
        self._seeds = Seeds()
        self._depth = Depth()
        self._depth.begin(_BETWEEN)
        keyboard.silence_input(lambda: self._output.stdin)
        self._calls = Calls(channel, self._interrupts, Failures())
        self._drawings = Drawings()
        self._folders = Folders()
        self._imports = Imports()
        self._tools = {"final_answer": stubs.final_answer(self._calls)}
        self._modules = Modules(self._calls, [], {})
        self._cells = self._fresh()
        vars(builtins).update(display=self._drawings.display)
        vars(builtins).update(ToolError=ToolError, ImportPolicyError=ImportPolicyError)
        self._pid = os.getpid()
        sys.argv = [""]

    def _fresh(self) -> Cells:
        return Cells(self._imports, self._interrupts, self._drawings.show)

    def rehearse(self) -> None:
        """Run a cell of our own, in a namespace of its own that is thrown away.

        All that a first cell wakes, and each page of memory that it is the first to write to, costs time once: it is
        spent here, before anybody waits for this session. What does not go well here would not in a cell either: it
        ends the session, with its reason on standard error.
        """
        stage = Stage(encode(Run(0, "", "0" * 32, values.encode(_REHEARSAL))))
        channel, self._channel = self._channel, Channel(stage)
        self._make_ready()
        self.answer(self._channel.next())
        self._channel = channel
        (done,) = Decoder(GUEST_WORDS).feed(stage.written)
        if done.error is not None or done.value is None:
            raise RuntimeError(f"the rehearsal of a cell failed: {done.error}")
        self._cells.forget()
        self._cells = self._fresh()

    def open(self, opening: Open) -> None:
        """What the session is made of is known: from here on a cell may come."""
        if self._line is not None and opening.network:
            check = self._interrupts.check
            network = Network(Line(self._line, check), Names(opening.network), check)
            network.install()
            self._copies.sever = network.sever
        sys.path.append("")  # modules that cells write into their folder; last, for they are to hide none
        self._imports.allow(**opening.imports, network=opening.network)
        self._imports.guard(self._cells.namespace)
        self._copies.limit(opening.limits.get("scratch", 0), opening.limits.get("inodes", 0))
        specs = [spec for spec in opening.tools if spec["name"] != "final_answer"]
        self._modules = Modules(self._calls, specs, opening.unlisted)
        asks = len(specs) < len(opening.tools)
        self._tools = {**self._modules.listed, "final_answer": stubs.final_answer(self._calls, asks=asks)}
        vars(builtins).update(self._tools)
        if specs or opening.unlisted.get("groups"):
            self._modules.install()
            self._imports.own = frozenset({TOOLS})
            self._cells.sought = self._modules.found if self._modules.flat else None
        self._cells.keep_builtins([*_OURS, *self._tools, *([TOOLS] if TOOLS in vars(builtins) else [])])
        self._make_ready()

    def answer(self, word: Any) -> None:
        """Do what the host asks, and answer."""
        if type(word) is Run:
            done = self._run(word)
            try:
                if looked := self._looked():
                    self._channel.say(looked)
                self._channel.send(done)
            except TooLarge:  # the answer fits by itself
                notes = [*done.notes, "the pictures did not fit beside the answer"]
                self._channel.send(replace(done, images=None, notes=notes))
            self._make_ready()
            return
        self._interrupts.forget()
        if type(word) is Clock:
            clock.CLOCK.serve(word.reads, word.ended)
        elif type(word) is More:
            return  # it met the end of its cell
        elif type(word) is Copy:
            if self._copies.answer(word, self._cells):
                self._pid = os.getpid()
                self._folders.scratch = self._copies.home
                self._make_ready()
        elif type(word) is Bind:
            self._channel.send(Bound(word.id, self._bind(word)))
        elif type(word) is Put:
            self._channel.send(Placed(word.id, self._folders.put(word)))
        elif type(word) is Collect:
            for part in self._folders.collect(word):
                self._channel.send(part)
        elif type(word) is Fetch:
            try:
                self._channel.send(self._fetch(word))
            except TooLarge as error:
                self._channel.send(Fetched(word.id, None, ["Refused", f"$: {error}"]))

    def _run(self, word: Run) -> Done:
        self._interrupts.begin()
        self._calls.open(word.nonce)
        self._seeds.begin(word.seed)
        clock.CLOCK.begin()
        self._nonce = word.nonce
        try:
            following = self._following(word.nonce) if word.more else None
            source = values.decode(word.source)
            self._ballast.hold()
            ran = self._cells.run(word.cell, source, following)
        finally:
            self._stand()
            self._output.end()
        if os.getpid() != self._pid:  # a cell forked, and this is its child: the channel is not its own
            os._exit(0)
        if self._drawings.opened:
            self._draw()
        self._calls.shut()
        done = self._done(word.nonce, ran)
        self._interrupts.end()
        return done

    def _looked(self) -> bytes:
        """What the cell has read of the clock and the host does not know yet."""
        reads = clock.CLOCK.noted()
        return encode(Looked(self._nonce, reads)) if reads else b""

    def _following(self, nonce: str) -> Following:
        """How the cell waits for the rest of itself. It is still running: calls of its threads are answered."""

        def following() -> tuple[str, bool]:
            self._output.flush()
            if os.getpid() != self._pid:  # the child of a fork: what follows is its parent's
                os._exit(0)
            self._channel.send(Next(nonce))
            word = self._channel.next()
            if type(word) is not More:
                raise Ended
            return values.decode(word.source), word.more

        return following

    def _draw(self) -> None:
        """Take up the figures that the cell left open. Stopped by a limit it has no time for that."""
        if not self._interrupts.fired:
            self._output.put_back()
            with suppress(Interrupted, Finished):
                self._drawings.close()
            self._output.flush()

    def _done(self, nonce: str, ran: Ran) -> Done:
        drawn, told = self._drawings.taken()
        images = values.encode(drawn) if drawn else None
        notes = [*self._notes(ran.error), *told]
        answer = self._calls.answer
        if answer is not None:
            return Done(nonce, "final_answer", ran.complete, None, None, None, answer, notes, images)
        if self._interrupts.fired:
            error = ran.error or ["", "", ""]
            text = error[2] or "Interrupted: the cell was interrupted, and went on\n"
            failure = ["Interrupted", "the cell was interrupted", text]
            return Done(nonce, "interrupted", ran.complete, None, None, failure, None, notes, images)
        value, preview = (None, None) if ran.value is None else map(values.encode, ran.value)
        return Done(nonce, "done", ran.complete, value, preview, ran.error, None, notes, images)

    def _notes(self, error: list[str] | None) -> list[str]:
        """What the model should know beside the outcome. Names of tools that the cell took are given back here."""
        notes = self._output.notes()
        namespace = self._cells.namespace
        for name in self._tools:
            if name in namespace:
                value = namespace.pop(name)
                if self._modules.is_stub(value) and value is not self._tools[name]:
                    namespace[name] = value  # another tool, which the cell imported under this name
                elif value is not self._tools[name]:
                    namespace[f"{name}_value"] = value
                    notes.append(f"{name} is a tool, and is one again: what this cell put there is now {name}_value")
        # CPython's words for what cannot be awaited or gathered all have "await" in them.
        if error is not None and error[0] == "TypeError" and self._calls.called and "await" in error[1]:
            name = min(self._calls.called)
            notes.append(f"a tool gives its value at once: no await, or await {name}.aio(...) to have many at a time")
        return notes

    def _stand(self) -> None:
        """Put back what a cell may have broken that its own answer stands on."""
        self._ballast.drop()
        self._depth.put_back()
        self._interrupts.install()
        _alarm(0)

    def _make_ready(self) -> None:
        """Put back all else that the next cell stands on: mostly while the host is busy with the answer to the last."""
        self._cells.put_back()
        self._output.put_back()
        self._cells.within(self._output.begin)
        self._seeds.watch()
        self._drawings.begin()
        self._calls.forget()

    def _is_taken(self, name: str) -> bool:
        return name in self._tools or (name.startswith("__") and name.endswith("__"))  # such are Python's own

    def _bind(self, word: Bind) -> str | None:
        try:
            named = values.decode(word.values)
        except values.Refused as error:
            return str(error)
        if type(named) is not dict:
            return "not a dict of names and values"
        for name in named:
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or self._is_taken(name):
                return f"not a name for a variable: {name!r}"
        self._cells.namespace.update(named)
        return None

    def _fetch(self, word: Fetch) -> Fetched:
        if word.name == EVERY:
            return Fetched(word.id, values.encode(listed(self._cells.namespace, self._tools)), None)
        try:
            value = self._cells.namespace[word.name]
        except KeyError:
            return Fetched(word.id, None, ["NameError", f"name {word.name!r} is not defined"])
        try:
            return Fetched(word.id, values.encode(value), None)
        except values.Refused as error:
            return Fetched(word.id, None, ["Refused", str(error)])


def _script() -> None:
    """This folder as a package, alone: `python -s -P -S FOLDER CHANNEL [JSON list of site directories]`."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != folder]
    spec = importlib.util.spec_from_file_location(
        "codeact_guest", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["codeact_guest"] = package
    spec.loader.exec_module(package)
    guest = importlib.import_module("codeact_guest.__main__")
    guest.prepare(json.loads(sys.argv[2]) if len(sys.argv) > 2 else [])
    guest.serve(int(sys.argv[1]))
    os._exit(0)


if __name__ == "__main__":
    _script()
