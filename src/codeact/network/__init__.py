"""Connections of a guest to the hosts that it may reach: asked for on its line, dialled and carried here."""

from .proxy import Proxy, Tell

__all__ = ["Proxy", "Tell"]
