"""A session's process as the host holds it: itself, by descriptors; its number may be another's by now."""

from __future__ import annotations

import os
import select
import signal

from ...ports import Resources

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """What can be seen of it, and a way to signal it; nothing of both when it is gone."""

    def __init__(self, pid: int, began: int) -> None:
        self.pid = pid
        self._pidfd: int | None = None
        self._stat: int | None = None
        try:
            self._pidfd = os.pidfd_open(pid)
            self._stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            fields = self._fields()
            same = int(fields[19]) == began
            self._inherited = int(fields[21]) * _PAGE  # the zygote's, shared by all: not what the guest uses
        except OSError:
            same = False
        if not same:
            self.close()

    @classmethod
    def below(cls, parent: Process, pid: int) -> Process | None:
        """The process of this number, if it lives and this living parent has started it."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                began = int(file.read().rpartition(b")")[2].split()[19])
        except OSError:
            return None
        found = cls(pid, began)
        found._inherited = parent._inherited
        try:
            fields = found._fields()
            is_its = int(fields[1]) == parent.pid and fields[0] not in (b"Z", b"X")
        except OSError:
            is_its = False
        if not is_its or found.has_ended or parent.has_ended:
            found.close()
            return None
        return found

    @property
    def has_ended(self) -> bool:
        """Whether it is no more; how it ended can still be seen, until its parent takes it away."""
        if self._pidfd is None:
            return True
        end = select.poll()
        end.register(self._pidfd, select.POLLIN)
        return bool(end.poll(0))

    def exit_code(self) -> int | None:
        """How it ended: a status, or a signal's negative number; None when that is not to be seen (any more)."""
        try:
            fields = self._fields()
        except OSError:
            return None
        return os.waitstatus_to_exitcode(int(fields[49])) if fields[0] == b"Z" and len(fields) > 49 else None

    def fileno(self) -> int:
        """Readable when it has ended; -1 when it is not held."""
        return -1 if self._pidfd is None else self._pidfd

    def usage(self) -> Resources | None:
        """What it uses now; None when that cannot be known."""
        try:
            fields = self._fields()
        except OSError:
            return None
        if fields[0] in (b"Z", b"X"):
            return None
        return Resources(
            memory=max(0, int(fields[21]) * _PAGE - self._inherited),
            cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
            threads=int(fields[17]),
        )

    def signal(self, number: signal.Signals) -> None:
        """Send it this, if it is there."""
        if self._pidfd is not None:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return

    def close(self) -> None:
        """Hold nothing."""
        for descriptor in (self._pidfd, self._stat):
            if descriptor is not None:
                os.close(descriptor)
        self._pidfd = self._stat = None

    def _fields(self) -> list[bytes]:
        if self._stat is None:
            raise ProcessLookupError
        return os.pread(self._stat, 1024, 0).rpartition(b")")[2].split()


def killed_for_memory() -> int:
    """How many processes the kernel has killed for memory on this machine; the reason is told to nobody else."""
    try:
        with open("/proc/vmstat", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"oom_kill ")), 0)
    except OSError:
        return 0
