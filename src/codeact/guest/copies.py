"""The guest copied as it stands, by a fork that the host has ordered: a copy that waits, one that goes on in its place,
or one that lives beside.

What a fork shares with its parent and must not is made anew in the copy: the channel, the outputs, the thread that
waits for the end, the event loop's own descriptors, OpenSSL's numbers, and the scratch with its open files.
"""

from __future__ import annotations

import _thread
import gc
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import scratch
from .cell import Cells
from .channel import Channel, Descriptor
from .interrupts import shut_to_interrupts
from .output import Output
from .wire import Copied, Copy, Poised

_urandom = os.urandom  # before the seeds of cells take its place
_fork: Callable[[], int] | None = getattr(os, "fork", None)  # before a cell does; a Python in WebAssembly has none
_FOLDER = ".codeact-fork-"
_MOMENTS = 100  # of 2 ms, for threads that are on their way out


class Copies:
    """Answers the host's Copy. `watch(channel)` waits for the channel's end, in a thread of its own."""

    def __init__(self, channel: Channel, output: Output, watch: Callable[[int], None], network: int | None) -> None:
        self._channel = channel
        self._output = output
        self._watch = watch
        self._network = network
        self.sever: Callable[[], None] = lambda: None  # ends the connections of the one that was copied
        self._top = self.home = os.getcwd()  # of the first one, and of this one
        self._taken: scratch.Taken | None = None
        self._collects = True  # whether the garbage of the one that was copied is collected
        self._bounds = (1 << 28, 10_000)

    def limit(self, size: int, count: int) -> None:
        """So many bytes and files of the scratch go into a copy."""
        self._bounds = size, count

    @shut_to_interrupts
    def answer(self, word: Copy, cells: Cells) -> bool:
        """Do it. The answer is whether this is the copy, which stands."""
        failure, way = self._obstacle(word, cells), self._channel.way
        if _fork is None or not isinstance(way, Descriptor):
            failure = "this Python cannot copy itself"
        self._channel.send(Poised(word.id, failure))
        if failure is not None or _fork is None or not isinstance(way, Descriptor):
            return False
        given = way.handed(3 if self._network is None else 4)
        if given is None:
            self._channel.send(Copied(word.id, "too many files are open: close some first"))
            return False
        self._prepare(word)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of forks beside threads: the only other one waits in a poll
                pid = _fork()
        except OSError as error:
            self._close(given)
            self._channel.send(Copied(word.id, f"the kernel makes no copy: {error.strerror}"))
            return False
        if pid:
            self._close(given)
            self._channel.send(Copied(word.id, None))
            return False
        self._become(word, given, way, cells)
        return True

    def _obstacle(self, word: Copy, cells: Cells) -> str | None:
        if word.how not in ("freeze", "thaw", "fork") or (word.how == "thaw") != (self._taken is not None):
            return "this is not what it can be copied for"
        cells.dismiss_idle()
        for _ in range(_MOMENTS):
            count = len(sys._current_frames()) - 2
            if count <= 0:
                return None
            time.sleep(0.002)
        are = "1 thread of the cells is" if count == 1 else f"{count} threads of the cells are"
        return f"{are} still running: wait for {'it' if count == 1 else 'them'} first"

    def _prepare(self, word: Copy) -> None:
        self._output.flush()
        with suppress(ChildProcessError):  # copies of ours that have ended: the host has seen how
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        with suppress(OSError):
            for name in os.listdir(self._top):
                number = re.fullmatch(rf"{re.escape(_FOLDER)}(\d+)", name)
                if number and int(number[1]) not in word.forks:
                    scratch.remove(os.path.join(self._top, name))

    def _become(self, word: Copy, given: list[int], way: Descriptor, cells: Cells) -> None:
        failure = None
        if word.how != "thaw":
            self._collects = gc.isenabled()
        gc.disable()  # a collection looks at all that the cells have, which takes longer than the fork
        try:
            way.renew(given[0])
            self._channel.renew()
            if self._network is not None:
                os.dup2(given[3], self._network, inheritable=False)
                self.sever()
            watcher = _thread.start_new_thread(self._watch, (way.number,))
            self._output.renew(given[1], given[2], {_thread.get_ident(), watcher})
            self._close(given)
            cells.renew()
            _reseed()
            self._carry(word)
        except scratch.Unfit as error:
            failure = str(error)
        except BaseException as error:
            failure = f"{type(error).__name__}: {error}"
        self._channel.send(Copied(word.id, failure))
        if failure is not None:
            while way.read(1):
                pass  # the host has to see that it lives, and who it is, before it hangs up
            os._exit(0)
        if self._collects and word.how != "freeze":  # one that waits does nothing
            gc.enable()

    def _carry(self, word: Copy) -> None:
        """The scratch, as it was or is."""
        spared = self._others(word) if self.home == self._top else ()
        if word.how == "thaw":
            assert self._taken is not None
            scratch.put(self._taken, self.home, spared)
            self._taken = None
            return
        taken = scratch.take(self.home, spared, *self._bounds)
        if word.how == "freeze":
            self._taken = taken
        else:
            self._move(os.path.join(self._top, f"{_FOLDER}{word.number}"), taken)

    def _others(self, word: Copy) -> tuple[str, ...]:
        return tuple(f"{_FOLDER}{number}" for number in word.forks)

    def _move(self, home: str, taken: scratch.Taken) -> None:
        """A fork has a folder of its own, below that of the first."""
        os.mkdir(home, 0o700)
        scratch.put(taken, home, ())
        if taken.place is None:
            os.chdir(home)
        for name in ("HOME", "TMPDIR"):
            if os.environ.get(name) == self.home:
                os.environ[name] = home
        tempfile: Any = sys.modules.get("tempfile")
        if getattr(tempfile, "tempdir", None) == self.home:
            tempfile.tempdir = home
        self.home = home

    def _close(self, given: list[int]) -> None:
        for descriptor in given:
            os.close(descriptor)


def _reseed() -> None:
    openssl: Any = sys.modules.get("_ssl")
    if openssl is not None:
        with suppress(Exception):  # a module of this name that a cell made
            openssl.RAND_add(_urandom(32), 32.0)
