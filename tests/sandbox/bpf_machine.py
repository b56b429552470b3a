"""A seccomp program, run by hand: what the kernel would answer to a call."""

from __future__ import annotations

import struct


def answer(program: bytes, number: int, arguments: tuple[int, ...] = (), *, arch: int) -> int:
    """The action for this call; raises where the kernel would refuse to load the program."""
    lines = list(struct.iter_unpack("=HBBI", program))
    words = [argument & 0xFFFFFFFFFFFFFFFF for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), arch, 0, *words)
    at = register = 0
    while True:
        code, yes, no, k = lines[at]
        at += 1
        match code:
            case 0x20:
                (register,) = struct.unpack_from("<I", data, k)
            case 0x54:
                register &= k
            case 0x05:
                at += k
            case 0x15:
                at += yes if register == k else no
            case 0x35:
                at += yes if register >= k else no
            case 0x06:
                return k
            case _:
                raise ValueError(f"instruction {code:#x}")
