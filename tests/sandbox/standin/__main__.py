"""Each frame is four bytes of length and Python source; the answer is a frame with the repr of the variable `result`."""

import json
import os
import socket
import struct
import sys

LENGTH = struct.Struct(">I")


def prepare(path):
    sys.path += path


def serve(channel):
    line = socket.socket(fileno=channel)
    scope = {"result": None}
    while True:
        head = line.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return
        source = line.recv(LENGTH.unpack(head)[0], socket.MSG_WAITALL)
        try:
            exec(source, scope)
            answer = scope.get("result")
        except BaseException as error:
            answer = [type(error).__name__, str(error)]
        text = json.dumps(answer).encode()
        line.sendall(LENGTH.pack(len(text)) + text)
