"""A guest in WebAssembly: CPython as Pyodide, in Deno, on every platform that Deno runs on."""

from .sandbox import Wasm as Wasm
