"""Which Deno and which Pyodide: these versions, and files with these hashes, alone."""

from __future__ import annotations

DENO = "2.9.8"
DENO_WHEELS = {  # by platform, the SHA-256 of the wheel on PyPI
    "Linux x86_64": "b1d1318e7deda8efd593aefa8b565a827fe71cf83aeff09d3a5ceb047444ca18",
    "Linux aarch64": "3e286918a36f436134336c5c6ef37dfe3a27f16ea22cd6af452ab7daa4ef1da4",
    "macOS arm64": "b82eac91d3e3f6fe37d94a12f833550e05029274cb9020b1e3f0f61e1678dc24",
    "macOS x86_64": "338245af268724ae55ebebdb81270a0553b665affde8bdd80b01b8f1c07c7163",
    "Windows AMD64": "60dd97e612b8bab67c8080712646a821071e3809909489f853763cea19617700",
}
DENO_BYTES = 400 << 20  # more than the program has, unpacked

PYODIDE = "314.0.7"
PYODIDE_FILES = {  # of the package on npm, the SHA-256
    "pyodide.mjs": "6f1d60f7bf529beb300f0f47983c921d3982363640ba20af0e38efdddbc66109",
    "pyodide.asm.mjs": "f7cdc8ece80678ceb712f8e65ebe6d3a83203a180c399865f49612a051693635",
    "pyodide.asm.wasm": "cc36e3cab04fdfc9a63ff13eb52eae2b911bf46c025cc7b281f394bd3de1d5e6",
    "python_stdlib.zip": "fa1957e5777068fc4f7437f96d860ae2fbe9c19732ba06c84e004ec16dd7dd7a",
    "pyodide-lock.json": "5dc2fc119108bc148c7457dc86e7675b5c87e1cafd420b9c34c1eaef7b36c010",
}
