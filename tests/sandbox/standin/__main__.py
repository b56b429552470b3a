"""Four bytes of length and Python source come in; the JSON of the variable `result` goes out in the same way."""

import json
import socket
import struct
import sys

LENGTH = struct.Struct(">I")


def prepare(path):
    sys.path += path


def practise():
    pass


def serve(channel, network=None):
    line = socket.socket(fileno=channel)
    scope = {}
    while len(head := line.recv(4, socket.MSG_WAITALL)) == 4:
        source = line.recv(LENGTH.unpack(head)[0], socket.MSG_WAITALL)
        try:
            scope["result"] = None
            exec(source, scope)
            answer = scope["result"]
        except BaseException as error:
            answer = {"raised": type(error).__name__, "message": str(error)}
        text = json.dumps(answer).encode()
        line.sendall(LENGTH.pack(len(text)) + text)
