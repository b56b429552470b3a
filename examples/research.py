"""Research on the web: pages are visited side by side, read by code, and only what matters reaches the model.

The site is one of this machine, so that it runs offline; tools for the real web are in the toolbox.

    python examples/research.py                      offline: the model's replies are written below
    python examples/research.py openai:gpt-5         a model of yours

Offline it prints:

    pages read: 4
    {'lightest': 'Fulmar', 'grams': 980, 'source': '/fulmar'}
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from codeact import CodeAgent
from codeact.testing import ScriptedModel
from codeact.tools.toolbox import visit_webpage

PAGES = {  # made up: a shop of tents
    "/": "<h1>Tents</h1><a href='/fulmar'>Fulmar</a> <a href='/petrel'>Petrel</a> <a href='/skua'>Skua</a>",
    "/fulmar": "<h1>Fulmar</h1><p>One person. Weight: 980 g.</p>",
    "/petrel": "<h1>Petrel</h1><p>Two persons. Weight: 1,450 g.</p>",
    "/skua": "<h1>Skua</h1><p>Storm-proof. Weight: 2,210 g.</p>",
}
TASK = "Which of the tents on {site}/ is the lightest? Answer with a dict: lightest, grams, source (the path)."
REPLIES = (
    """I read the first page and see where it leads.
```python
import re
paths = re.findall(r"\\]\\((/\\w+)\\)", visit_webpage(site + "/"))
paths
```""",
    """Now all of them at once.
```python
import asyncio
pages = await asyncio.gather(*[visit_webpage.aio(site + path) for path in paths])
grams = {path: int(re.search(r"Weight: ([\\d,]+) g", page)[1].replace(",", "")) for path, page in zip(paths, pages)}
best = min(grams, key=grams.get)
final_answer({"lightest": best.strip("/").title(), "grams": grams[best], "source": best})
```""",
)


class Site(BaseHTTPRequestHandler):
    """Four pages, and how often they were read."""

    read = 0

    def do_GET(self) -> None:
        page = PAGES.get(self.path)
        Site.read += page is not None
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write((page or "<h1>Not here</h1>").encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    model = sys.argv[1] if sys.argv[1:] else ScriptedModel(*REPLIES)
    # addresses of this machine are refused unless they are named; on the real web add "web_search"
    agent = CodeAgent(model=model, tools=[visit_webpage(allow=[host])])
    site = f"http://{host}"
    result = agent.run(TASK.format(site=site), additional_args={"site": site})
    print("pages read:", Site.read)
    print(result.output)
    server.shutdown()


if __name__ == "__main__":
    main()
