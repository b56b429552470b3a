"""What to do in the domain message_decoder."""

from __future__ import annotations

from typing import Any

from .asking import tool

convert_hex_to_ascii = tool("convert_hex_to_ascii", text=True)
reverse_string = tool("reverse_string", text=True)
caesar_decode = tool("caesar_decode", text=True)
string_length = tool("string_length")
minimum_value = tool("minimum_value")
maximum_value = tool("maximum_value")


def full_alien_message_decoding() -> Any:
    return caesar_decode(reverse_string(convert_hex_to_ascii("7a686b7a686d666d686b")), 5)


def shortest_caesar_decoded_message() -> Any:
    messages = ["636261", "686766", "6365646362", "6867666865"]
    decoded = [caesar_decode(reverse_string(convert_hex_to_ascii(text)), 4) for text in messages]
    return minimum_value(*[string_length(text) for text in decoded])


def longest_decoded_string() -> Any:
    messages = {"4a656d": 2, "4b6867": 3, "4c696f": 5}
    decoded = [caesar_decode(reverse_string(convert_hex_to_ascii(text)), shift) for text, shift in messages.items()]
    return maximum_value(*[string_length(text) for text in decoded])


def specific_decoded_character() -> Any:
    return caesar_decode(reverse_string(convert_hex_to_ascii("576562546563686e6f6c6f6779")), 7)


def hex_caesar_combined_decoding() -> Any:
    return caesar_decode(convert_hex_to_ascii("4d4f5252"), 2)


def multi_step_decoding_challenge() -> Any:
    return caesar_decode(reverse_string(convert_hex_to_ascii("726f77746e6153794d")), 3)


def length_based_decoding_puzzle() -> Any:
    messages = ["646566", "6a6b6c6d", "68696a6b6c"]
    decoded = [caesar_decode(convert_hex_to_ascii(text), 6) for text in messages]
    return next(text for text in decoded if len(text) == 5)


def maximum_value_decoding() -> Any:
    messages = ["313233", "343536", "373839"]
    decoded = [reverse_string(caesar_decode(convert_hex_to_ascii(text), 4)) for text in messages]
    return maximum_value(*[int(text) for text in decoded])
