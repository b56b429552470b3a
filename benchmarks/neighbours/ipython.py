"""ipykernel: the kernel of a notebook, asked as a notebook asks it. Code in it has no way to call a function here."""

from __future__ import annotations

from jupyter_client.manager import start_new_kernel  # type: ignore[import-not-found]
from lines import serve


class Session:
    """A kernel of its own."""

    def __init__(self) -> None:
        self._manager, self._client = start_new_kernel()

    def run(self, source: str) -> None:
        reply = self._client.execute_interactive(source, store_history=False, output_hook=lambda message: None)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(reply["content"].get("evalue"))

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    serve(Session)
