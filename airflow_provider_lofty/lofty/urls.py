"""URLs in the one form that all their spellings share: what is asked, named in messages and compared is the same."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from requests import PreparedRequest

USUAL_PORTS = {"http": 80, "https": 443}
LARGEST_PORT = 65_535

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_NAME = 253


def parts_of(url: str) -> SplitResult:
    """
    Take a URL apart as it will be requested: in ASCII, without dotted segments or escapes that need not be.

    :raises ValueError: when it is not the URL of a host on the web; each Python's ``urlsplit`` accepts others
    """
    if not url.lower().startswith(("http://", "https://")) or "\\" in url or urlsplit(url).port == 0:
        raise ValueError("no URL that can be requested")  # a port of 0 would be dropped below
    request = PreparedRequest()
    for _ in range(2):  # an escaped dot is a dot only after the first time
        request.prepare_url(url, None)
        url = str(request.url)
    return urlsplit(url)


def normal_url(parts: SplitResult, port: int | None = None) -> str:
    """
    Put a URL together again: without a usual port, a user, a query or a fragment.

    :param port: used where the URL itself names none
    :raises ValueError: when its host or port cannot be one
    """
    port = parts.port if parts.port is not None else port
    shown = "" if port in (None, USUAL_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{normal_host(parts.hostname or '')}{shown}{re.sub('/+', '/', parts.path)}"


def normal_host(host: str) -> str:
    """
    Write a host name or address as it stands in a URL.

    :raises ValueError: when it is neither
    """
    host = host.lower().removesuffix(".")
    if host in USUAL_PORTS:
        raise ValueError("a scheme that was written twice")
    address = address_of(host)
    if address is not None:
        return f"[{address}]" if address.version == 6 else str(address)
    labels = host.split(".")
    if len(host) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)) or _NUMERIC_LABEL.fullmatch(labels[-1]):
        raise ValueError("no host name")  # a number at its end would be read as an address, by some
    return host


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Read a host as an IP address; None when it is none, or one that only this machine can place."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address  # how each is written differs by Python
