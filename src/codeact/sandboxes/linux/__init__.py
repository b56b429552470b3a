"""The sandbox on Linux. See `sandbox.py`; the modules that the launcher loads import nothing of codeact."""

from .sandbox import LinuxSandbox

__all__ = ["LinuxSandbox"]
