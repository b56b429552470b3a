"""The warm process that sessions are forked from: takes orders, watches what it started, and says how each ended.

It has one thread and holds plain descriptor numbers: a session inherits its heap, and a socket object that is collected
there would close whatever has its number by then.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import deaths, gate, heap, hot, inits, kernel, namespaces, ring, root, scratch
from .layers import Refused, layer
from .orders import ORDER, REAP, WITHDRAW
from .session import OF_A_COPY, Order, Wall, live

_LOOK = 0.1  # seconds between two looks at the scratch folders of the level plain
_WORD = 1 << 16  # bytes of the longest message
_SENT = ("channel", "stdout", "stderr", "life")  # with every order, and perhaps others behind them
_MOST = 16  # descriptors of an order


@dataclass(slots=True, eq=False)
class _Session:
    pid: int
    pidfd: int
    life: int
    folder: str | None
    group: str | None
    size: int
    inodes: int
    hold: int | None  # what keeps its init, and so everything in its namespace
    gate: int | None  # where it hands over the gate of forks
    forks: int | None = None  # the gate itself; there are copies then, which live on when the first process ends
    may: int = 0  # forks that the host has ordered and that were not made yet
    did: int = 0  # those that were made of the order


class Zygote:
    """Serves until the host's end of the control socket is closed."""

    def __init__(
        self,
        control: socket.socket,
        wall: Wall,
        serve: Callable[[int], None],
        practise: Callable[[], None],
        maker: socket.socket | None,
        ground: scratch.Ground | None,
        outer: ring.Ring | None,
    ) -> None:
        self._control = control
        self._wall = wall
        self._serve = serve
        self._maker = maker
        self._ground = ground
        self._ring = outer
        self._practise = practise
        self._ran = b""  # which code a session has run
        self._home = os.pidfd_open(os.getpid())
        self._poll = select.poll()
        self._next_look = 0.0
        self._sessions: dict[int, _Session] = {}  # by each of its descriptors that is watched
        self._reasons: dict[int, str] = {}  # by pid: why we ended a session

    def rehearse(self) -> None:
        """Make a session that has nothing to do, so that what this machine refuses is known now. Raises Refused."""
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in _SENT]
        theirs = {name: pair[1].detach() for name, pair in zip(_SENT, pairs, strict=True)}
        mib = 1 << 20
        watch, serve = hot.Watch(), self._serve
        self._serve = watch.telling(serve)
        with watch.watching():
            self._accept(Order(memory=256 * mib, threads=8, scratch=mib, inodes=100, **theirs))
        self._serve = serve
        word = json.loads(self._first_word(pairs[-1][0]) or b"{}")
        if "ready" in word:
            pairs[0][0].shutdown(socket.SHUT_WR)
            self._ran = self._first_word(pairs[0][0])
        for ours, _ in pairs:
            ours.close()
        if "ready" not in word:
            raise Refused(
                **word.get("failed", {"layer": "session", "code": "?", "cause": "it ended while it was made"})
            )

    def _first_word(self, line: socket.socket) -> bytes:
        """What is told on the line, or nothing, when who should have told it is dead."""
        look = select.poll()
        for descriptor in (line.fileno(), *(session.pidfd for session in self._sessions.values())):
            look.register(descriptor, select.POLLIN)
        look.poll()
        try:
            return line.recv(_WORD, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def threads(self) -> int:
        """How many this process has: one, as everything rests on."""
        return int(namespaces.read_proc(self._wall.proc, "self/stat").rpartition(")")[2].split()[17])

    def run(self) -> None:
        """Take orders until there is nobody to give them, or no init to be had, then end everything."""
        self._make_ready()
        self._poll.register(self._control.fileno(), select.POLLIN)
        if self._maker is not None:
            self._poll.register(self._maker.fileno(), select.POLLIN)  # it says nothing unasked: this is its end
        with contextlib.suppress(inits.Gone):
            self._take_orders()
        self._end_all()

    def _make_ready(self) -> None:
        """Lie in memory so that a session copies few pages of it."""
        sys._clear_type_cache()  # each lookup of a session would take the place of another one, whose name it writes to
        heap.fill()
        hot.lay_together(self._ran)
        self._practise()
        gc.collect()
        heap.fill()
        gc.freeze()

    def _take_orders(self) -> None:
        while True:
            watching = self._ground is not None and self._sessions
            sweeping = self._ring is not None and self._ring.left
            events = self._poll.poll(_LOOK * 1000 if watching or sweeping else None)
            # whose it was when it was heard: what one event closes, another may open again under the same number
            heard = [(descriptor, event, self._sessions.get(descriptor)) for descriptor, event in events]
            for descriptor, event, session in heard:
                if self._maker is not None and descriptor == self._maker.fileno():
                    raise inits.Gone
                if descriptor != self._control.fileno():
                    if session is not None and self._sessions.get(descriptor) is session:
                        self._heard(session, descriptor, event)
                elif not self._take_order():
                    return
            if watching:
                self._look()
            if sweeping and self._ring is not None:
                self._ring.sweep()

    def _take_order(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _WORD, _MOST)
        except ConnectionResetError:
            return False
        if not message:
            return False
        deaths.point("order taken")
        asked = json.loads(message)
        names = asked.pop("descriptors")
        if len(descriptors) == len(names):
            self._accept(Order(**asked, **dict(zip(names, descriptors, strict=True))))
        else:  # there was no room for all of them here: the host sees the end of the line
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _accept(self, order: Order) -> None:
        try:
            with layer("fork"):
                self._start(order)
        except Refused as refusal:
            _tell(order.life, {"failed": refusal.told()})
            os.close(order.life)
        finally:
            for descriptor in order.of_guest:
                os.close(descriptor)

    def _start(self, order: Order) -> None:
        with contextlib.ExitStack() as given, contextlib.ExitStack() as undo:
            hold = folder = ours = None
            group = self._grouped(order, undo)
            if self._maker is not None:
                if order.copies:
                    ours, theirs = _gate_line()
                    undo.callback(os.close, ours)
                    given.callback(os.close, theirs)
                    order = dataclasses.replace(order, gate=theirs)
                init, hold = inits.order(self._maker)
                undo.callback(os.close, hold)
                pid = self._fork_below(init, order, group)
            else:
                assert self._ground is not None
                folder = self._ground.make(self._wall.identity.uid, self._wall.identity.gid)
                undo.callback(_clear, folder)
                pid = self._fork(order, folder, group)
            undo.callback(_end_now, pid)
            pidfd, bounds = os.pidfd_open(pid), (order.scratch, order.inodes)
            session = _Session(pid, pidfd, order.life, folder, group, *bounds, hold, ours)
            undo.pop_all()
        for descriptor in filter(None, (session.pidfd, session.life, session.gate)):
            self._watch(descriptor, session)

    def _grouped(self, order: Order, undo: contextlib.ExitStack) -> str | None:
        if self._ring is None:
            return None
        shared = int(namespaces.read_proc(self._wall.proc, "self/statm").split()[1]) * resource.getpagesize()
        with layer("cgroup"):
            group = self._ring.make(
                ring.bounds(
                    memory=order.memory * (1 + order.copies),
                    threads=order.threads + OF_A_COPY * order.copies,
                    scratch=order.scratch * (1 + order.copies),
                    inodes=order.inodes,
                    shared=shared,
                )
            )
        undo.callback(self._ring.remove, group)
        return group

    def _fork_below(self, init: int, order: Order, group: str | None) -> int:
        """Fork into the pid namespace of this init."""
        inside = os.pidfd_open(init)
        try:
            kernel.setns(inside, kernel.NEWPID)
        finally:
            os.close(inside)
        try:
            return self._fork(order, root.SCRATCH, group)
        finally:
            kernel.setns(self._home, kernel.NEWPID)

    def _fork(self, order: Order, folder: str, group: str | None) -> int:
        parent = os.getpid()
        enter = None if self._ring is None or group is None else partial(self._ring.enter, group)
        deaths.point("session forks")
        pid = os.fork()
        if pid == 0:
            live(self._wall, order, self._serve, folder, parent, enter)
        deaths.point("session forked")
        return pid

    def _watch(self, descriptor: int, session: _Session) -> None:
        self._sessions[descriptor] = session
        self._poll.register(descriptor, select.POLLIN)

    def _drop(self, descriptor: int) -> None:
        del self._sessions[descriptor]
        with contextlib.suppress(KeyError):
            self._poll.unregister(descriptor)
        os.close(descriptor)

    def _heard(self, session: _Session, descriptor: int, event: int) -> None:
        if descriptor == session.life:
            self._told(session)
        elif descriptor == session.pidfd:
            self._bury(session)
        elif descriptor == session.gate:
            session.gate, session.forks = None, self._take_gate(descriptor)
            if session.forks is not None:
                self._watch(session.forks, session)
        elif not event & select.POLLIN:  # nobody is left who could ask; to listen now would be to wait for ever
            self._drop(descriptor)
            session.forks = None
        else:
            while _speaks(session.life) and self._told(session):
                pass  # the order may have come by the same poll
            deaths.point("fork asked")
            if gate.answer(descriptor, session.may > 0):
                deaths.point("fork answered")
                session.may, session.did = max(0, session.may - 1), session.did + (session.may > 0)

    def _take_gate(self, line: int) -> int | None:
        del self._sessions[line]
        self._poll.unregister(line)
        return gate.take(line)

    def _told(self, session: _Session) -> bool:
        """The host orders a fork, withdraws the order, or has somebody taken away; the end of the line is the end."""
        try:
            word = os.read(session.life, _WORD)
        except OSError:
            word = b""
        if word == ORDER:
            session.may, session.did = 1, 0
        elif word == WITHDRAW:
            session.may = 0
            _tell(session.life, {"forks": session.did})
        elif word == REAP and session.hold is not None:
            os.write(session.hold, b"!")
        elif not word:
            self._kill(session)
        return bool(word)

    def _kill(self, session: _Session) -> None:
        """End all of it. What is left of the first process is buried when it is gone."""
        if session.hold is not None:
            os.close(session.hold)
            session.hold = None
        deaths.point("session killed")
        if self._sessions.get(session.pidfd) is session:
            with contextlib.suppress(KeyError):
                self._poll.unregister(session.life)
            signal.pidfd_send_signal(session.pidfd, signal.SIGKILL)
        else:
            self._forget(session)

    def _bury(self, session: _Session) -> None:
        """Take away what is left of a session that has ended, and say how; the kernel may need its time for that."""
        _, status = os.waitpid(session.pid, 0)
        why = self._reasons.pop(session.pid, None)
        code = os.waitstatus_to_exitcode(status)
        deaths.point("session buried")
        _tell(session.life, {"ended": code, "why": why, "memory": self._overran(session, code)})
        self._drop(session.pidfd)
        if session.forks is None or session.hold is None:
            self._forget(session)

    def _forget(self, session: _Session) -> None:
        for descriptor in (session.life, session.gate, session.forks):
            if descriptor is not None:
                self._drop(descriptor)
        if session.hold is not None:
            os.close(session.hold)
        if session.folder is not None:
            _clear(session.folder)
        if self._ring is not None and session.group is not None:
            self._ring.remove(session.group)

    def _overran(self, session: _Session, code: int) -> bool:
        """Whether the ring ended it."""
        if self._ring is None or session.group is None or code != -signal.SIGKILL:
            return False
        return self._ring.overran(session.group)

    def _look(self) -> None:
        """See to it that no scratch outgrows its bounds, in at most a tenth of the time."""
        began = time.monotonic()
        if began < self._next_look:
            return
        for session in set(self._sessions.values()):
            if session.folder is not None and session.pid not in self._reasons:
                excess = scratch.excess(session.folder, session.size, session.inodes)
                if excess is not None:
                    self._reasons[session.pid] = excess
                    self._kill(session)
        self._next_look = time.monotonic() + max(_LOOK, 9 * (time.monotonic() - began))

    def _end_all(self) -> None:
        sessions = set(self._sessions.values())
        for session in sessions:  # all of them before the first is waited for: the kernel takes them away side by side
            self._kill(session)
        for session in sessions:
            if self._sessions.get(session.pidfd) is session:
                self._bury(session)
        if self._ground is not None:
            self._ground.close()


def _speaks(line: int) -> bool:
    """Whether there is something to read."""
    look = select.poll()
    look.register(line, select.POLLIN)
    return bool(look.poll(0))


def _gate_line() -> tuple[int, int]:
    """The line on which a session hands over its gate: our end and its."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours.detach(), theirs.detach()


def _clear(folder: str) -> None:
    with contextlib.suppress(OSError):  # what cannot be removed now is tried again when the ground is
        scratch.clear(folder)


def _end_now(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _tell(life: int, word: dict[str, Any]) -> None:
    try:
        os.write(life, json.dumps(word).encode())
    except OSError:
        return  # the host has gone; so does everything else
