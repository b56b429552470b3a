"""Modules that reach outside, or to a person or a screen, and so cannot work in here; and what to do in their place."""

# ruff: noqa: E501

from __future__ import annotations

_NET = "there is no network in here: call one of the tools"
_PROCESS = "no other process can be started in here: use Python itself, such as os, shutil and pathlib for files"
_NATIVE = "foreign functions are not for cells: use numpy where it is allowed, or Python"
_PARALLEL = "no other process can be started in here: use threading, concurrent.futures.ThreadPoolExecutor or asyncio"
_SCREEN = "there is no screen in here: return text or data"
_KEYBOARD = "nobody is at the keyboard in here: print what you want to look at, or show it as the last expression"
_INSTALL = "packages cannot be installed in here: use what is allowed already"

ADVICE: dict[str, str] = {
    **dict.fromkeys(("subprocess", "_posixsubprocess", "pty", "pexpect", "sh", "plumbum", "invoke", "fabric"), _PROCESS),
    **dict.fromkeys(
        (
            "socket", "_socket", "socketserver", "ssl", "_ssl", "http.client", "http.server", "http.cookiejar", "urllib.request",
            "urllib.robotparser", "ftplib", "imaplib", "poplib", "smtplib", "smtpd", "nntplib", "telnetlib", "asyncore", "asynchat",
            "xmlrpc", "wsgiref", "requests", "httpx", "aiohttp", "urllib3", "websocket", "websockets", "paramiko", "boto3",
            "openai", "anthropic", "flask", "fastapi", "uvicorn", "django", "tornado", "selenium", "playwright", "yfinance",
            "wikipedia", "duckduckgo_search", "ddgs", "googlesearch", "pymongo", "psycopg", "psycopg2", "redis",
        ),
        _NET,
    ),
    **dict.fromkeys(("ctypes", "_ctypes", "cffi"), _NATIVE),
    **dict.fromkeys(
        (
            "multiprocessing", "_multiprocessing", "_posixshmem", "concurrent.futures.process",
            "concurrent.futures.ProcessPoolExecutor", "joblib", "ray", "dask",
        ),
        _PARALLEL,
    ),
    **dict.fromkeys(
        ("tkinter", "_tkinter", "turtle", "turtledemo", "idlelib", "webbrowser", "antigravity", "curses", "_curses", "pygame", "PyQt5"),
        _SCREEN,
    ),
    **dict.fromkeys(("pdb", "readline", "rlcompleter", "getpass", "tty", "termios", "_pyrepl"), _KEYBOARD),
    "IPython": "display(value) is there without it, and what stands on the last line is shown",
    **dict.fromkeys(("ensurepip", "venv", "pip", "setuptools", "zipapp"), _INSTALL),
    **dict.fromkeys(("bs4", "lxml", "html5lib"), "parse with html.parser or xml.etree.ElementTree"),
    "matplotlib": "no pictures can be drawn here: print or return the numbers",
    **dict.fromkeys(("seaborn", "plotly", "bokeh", "altair"), "draw with matplotlib where that is allowed, or print or return the numbers"),
    "dateutil": "use datetime and zoneinfo",
    "pytz": "use zoneinfo",
    "yaml": "use json, or parse the text yourself",
    "toml": "use tomllib",
    "simplejson": "use json",
    "orjson": "use json",
    "dill": "use pickle, copy or json",
    "cloudpickle": "use pickle, copy or json",
    "psutil": "use os, time and resource",
}  # fmt: skip

_ELSEWHERE = {"syslog", "nis", "spwd", "crypt", "msilib", "msvcrt", "winreg", "winsound", "_winapi", "ossaudiodev"}
WELL_KNOWN = frozenset(step.partition(".")[0] for step in ADVICE) | {
    "numpy", "pandas", "scipy", "sklearn", "sympy", "networkx", "torch", "tensorflow", "transformers", "polars", "pyarrow",
    "statsmodels", "PIL", "cv2", "openpyxl", "tqdm", "rich", "pydantic", "attr", "attrs", "more_itertools", "tabulate", "jinja2",
}  # fmt: skip
OUTSIDE = frozenset(ADVICE) | _ELSEWHERE

# Of the standard library: what works where hosts may be reached, and what waits for others and never does.
CONNECTING = frozenset((
    "socket", "_socket", "ssl", "_ssl", "http.client", "http.cookiejar", "urllib.request", "urllib.robotparser", "ftplib",
    "imaplib", "poplib", "smtplib", "nntplib", "telnetlib", "xmlrpc",
))  # fmt: skip
LISTENING = frozenset(("socketserver", "http.server", "smtpd", "asyncore", "asynchat", "wsgiref"))
