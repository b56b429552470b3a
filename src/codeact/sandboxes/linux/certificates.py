"""Whom a guest trusts that may reach hosts: whom this process trusts, by one file of certificates."""

from __future__ import annotations

import dataclasses
import logging
import os
import ssl
from pathlib import Path

from .environment import Environment, outermost

_log = logging.getLogger("codeact")

# Where the systems keep it; the first that is there.
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def trusting(environment: Environment) -> Environment:
    """The same, with that file visible; `SSL_CERT_FILE` of this process names another. Without any it is as it was.

    A root's session is somebody else where all that is visible can be read by others: a file that cannot is left out.
    """
    file = _file()
    if file is None:
        return environment
    return dataclasses.replace(environment, visible=outermost([*environment.visible, file]), certificates=file)


def _file() -> str | None:
    named = ssl.get_default_verify_paths().cafile
    places = (os.path.abspath(named), *_PLACES) if named else _PLACES
    found = next(filter(os.path.isfile, places), None)
    if found is not None and os.geteuid() == 0 and not _is_open(found):
        _log.warning("network: %s cannot be read by others, so nobody is trusted inside", found)
        return None
    return found


def _is_open(file: str) -> bool:
    """Whether everybody can read it, by the name given and by its own."""
    for path in {file, os.path.realpath(file)}:
        if not os.stat(path).st_mode & 0o004:
            return False
        if not all(os.stat(folder).st_mode & 0o001 for folder in Path(path).parents):
            return False
    return True
