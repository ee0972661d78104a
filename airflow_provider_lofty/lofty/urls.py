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

LEAD_ID_MARK = "{lead_id}"
_BEFORE_A_LEAD_ID = re.compile(r"https://[^/?#@]+[/?#]", re.IGNORECASE)
_LONGEST_LEAD_URL = 500


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


def checked_lead_url(url: object) -> str:
    """
    Check the address of a lead's page, in which :data:`LEAD_ID_MARK` stands for the lead's id; empty is none.

    A page makes links of it, so it can lead to one site only, whatever the id.

    :raises ValueError: saying what is wrong, without the address
    """
    if not url:
        return ""
    text = url.strip() if isinstance(url, str) else ""
    before, mark, after = text.partition(LEAD_ID_MARK)
    if not mark or set("{}") & set(before + after):
        raise ValueError("lead_url must contain {lead_id} once, and no other brace")
    if not _BEFORE_A_LEAD_ID.match(before):
        raise ValueError("lead_url must begin with https:// and a host, without a user; {lead_id} comes after these")
    try:
        if not text.isascii() or not text.isprintable() or " " in text or len(text) > _LONGEST_LEAD_URL:
            raise ValueError
        normal_url(parts_of(f"{before}1{after}"))
    except ValueError:
        raise ValueError("lead_url must be a URL such as https://crm.example.com/leads/{lead_id}") from None
    return text


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
    """Read a host as an IP address; None for a name, and for an address that means something on this machine only."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address  # how each is written differs by Python
