"""The tools of the domain message_decoder."""

from __future__ import annotations

import string
from typing import Any


def convert_hex_to_ascii(hex_string: str) -> str:
    return bytes.fromhex(hex_string).decode("utf-8")


def reverse_string(string: str) -> str:
    return string[::-1]


def caesar_decode(message: str, shift: int) -> str:
    by = shift % 26
    back = {
        ord(letter): ord(alphabet[place - by])
        for alphabet in (string.ascii_lowercase, string.ascii_uppercase)
        for place, letter in enumerate(alphabet)
    }
    return message.translate(back)


def string_length(string: str) -> int:
    return len(string)


def minimum_value(*args: Any) -> Any:
    return min(args)


def maximum_value(*args: Any) -> Any:
    return max(args)
