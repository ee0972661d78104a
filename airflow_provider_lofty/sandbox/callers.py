"""
Who may call a sandbox: no page of another site, though it runs in a browser on this very machine.

Such a page can send requests to any address here, and by DNS rebinding, which lets a name of its own lead to this
machine, even read the answers. A browser names what it was told to ask (`Host`) and on whose behalf (`Origin`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

_HOST = re.compile(r"(\[[^\]]+\]|[^\[\]:@/\s]+)(:[0-9]*)?")
_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on


def refusal_of(headers: Iterable[tuple[bytes, bytes]], own_host: str) -> tuple[int, str] | None:
    """
    Say why a request is not answered; None when it is.

    :param headers: As ASGI has them, names in lower case.
    :param own_host: Where the sandbox listens.
    :return: The status and the words.
    """
    found = {name: value.decode("latin-1").strip().lower() for name, value in headers if name in (b"host", b"origin")}
    host, origin = found.get(b"host", ""), found.get(b"origin")
    if not _is_own(host, own_host):
        return 421, "This sandbox answers to localhost and to the address it listens on, and to no other name.\n"
    if origin is not None and origin != f"http://{host}":
        return 403, "This sandbox takes no requests from pages of other sites.\n"
    return None


def _is_own(host: str, own_host: str) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].strip("[]").removesuffix(".")
    if name in ("localhost", own_host.lower()):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return own_host in _ALL_ADDRESSES and name == socket.gethostname().lower()
    return address.is_loopback or own_host in _ALL_ADDRESSES  # to an address no name was rebound
