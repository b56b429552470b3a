"""Whom a guest trusts that may reach hosts: whom this process trusts, by one file of certificates."""

from __future__ import annotations

import dataclasses
import os
import ssl

from .environment import Environment, outermost

# Where the systems keep it; the first that is there.
_PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def trusting(environment: Environment) -> Environment:
    """The same, with that file visible; `SSL_CERT_FILE` of this process names another. Without any it is as it was."""
    file = _file()
    if file is None:
        return environment
    return dataclasses.replace(environment, visible=outermost([*environment.visible, file]), certificates=file)


def _file() -> str | None:
    named = ssl.get_default_verify_paths().cafile
    places = (os.path.abspath(named), *_PLACES) if named else _PLACES
    return next(filter(os.path.isfile, places), None)
