"""What the launcher's process executes: `python -s -P -S entry.py N`, where N is the number of the control socket.

It takes the modules beside it as a package of their own, so that nothing of codeact is imported.
"""

import importlib.machinery
import importlib.util
import os
import sys

if __name__ == "__main__":
    spec = importlib.machinery.ModuleSpec("codeact_linux", None, is_package=True)
    spec.submodule_search_locations = [os.path.dirname(os.path.realpath(__file__))]
    sys.modules["codeact_linux"] = importlib.util.module_from_spec(spec)
    importlib.import_module("codeact_linux.launcher").run(int(sys.argv[1]))
