"""
By which way a request leaves: straight or through a proxy, and who is trusted to vouch for the server.

The environment says so, for each host by itself: Lofty's API and its token endpoint may be two. What it says is checked
before anything is sent. Otherwise each request would fail alone, which looks like an outage that will pass.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from airflow_provider_lofty.exceptions import LoftyConfigurationError
from airflow_provider_lofty.lofty.settings import is_loopback
from airflow_provider_lofty.lofty.urls import USUAL_PORTS, address_of, normal_host

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXY_VARIABLES = ("https_proxy", "all_proxy")
_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # how OpenSSL finds a certificate in a folder


@dataclass(frozen=True)
class Route:
    """
    The way of a request.

    :param ca_path: file or folder of the certificates that are trusted
    :param proxy: URL of the proxy, perhaps with a password; empty where there is none
    :param proxy_variable: what names the proxy
    """

    ca_path: str
    proxy: str = field(default="", repr=False)
    proxy_variable: str = ""


def route_to(url: str, environment: Mapping[str, str] = os.environ) -> Route:
    """
    Decide by which way a request leaves.

    What is meant for this machine never goes through a proxy; and plain http goes nowhere else.

    :param url: one that was checked
    :raises LoftyConfigurationError: when the environment names a proxy or certificates that cannot be used
    """
    if url.startswith("http:"):
        return Route(DEFAULT_CA_BUNDLE_PATH)
    ca_path = _ca_path(environment)
    if is_loopback(url) or _is_exempt(urlsplit(url), _variable("no_proxy", environment)[1]):
        return Route(ca_path)
    for name in _PROXY_VARIABLES:
        variable, proxy = _variable(name, environment)
        if proxy:
            return Route(ca_path, _checked_proxy(variable, proxy), variable)
    return Route(ca_path)


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Look up a variable in lower case, or else in upper case; one that is set, even to nothing, hides the other."""
    spelled = name if name in environment else name.upper()
    return spelled, environment.get(spelled, "").strip()


def _checked_proxy(variable: str, given: str) -> str:
    """Complete a proxy's URL; as it may hold a password, it is never quoted."""
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        normal_host(parts.hostname or "")
        is_usable = parts.port != 0 and parts.path in ("", "/") and not parts.query and not parts.fragment
        unquote(f"{parts.username}{parts.password}").encode("latin-1")  # as it will be sent
    except ValueError:
        is_usable = False
    if not is_usable or parts.scheme not in _PROXY_SCHEMES:
        raise LoftyConfigurationError(
            f"{variable} must be the URL of a proxy such as http://proxy.example.com:8080, beginning with one of "
            f"{', '.join(_PROXY_SCHEMES)}; in a password, any of /?#[]% must be percent-encoded. Nothing was sent"
        )
    if parts.scheme.startswith("socks") and find_spec("socks") is None:
        raise LoftyConfigurationError(
            f"{variable} names a SOCKS proxy, for which the package PySocks is missing: install requests[socks]. "
            "Nothing was sent"
        )
    return url


def _is_exempt(target: SplitResult, exemptions: str) -> bool:
    """
    Whether requests to a host go straight: ``NO_PROXY`` names it, a domain that it is in, or a network.

    requests' own reading misses ports that are usual, wildcards and IPv6, and takes ``ofty.com`` for a domain of
    ``api.lofty.com``.
    """
    host, port = target.hostname or "", target.port or USUAL_PORTS[target.scheme]
    return any(_names(entry, host, port) for entry in exemptions.lower().replace(",", " ").split())


def _names(entry: str, host: str, port: int) -> bool:
    name, separator, digits = entry.rpartition(":")
    if separator and digits.isdecimal() and (":" not in name or name.endswith("]")):
        if int(digits) != port:
            return False
        entry = name
    address = address_of(host)
    if address is not None:
        return entry == "*" or _holds(entry.strip("[]"), str(address))
    domain = entry.removeprefix("*").strip(".")
    return entry == "*" or (bool(domain) and f".{host}".endswith(f".{domain}"))


def _holds(network: str, address: str) -> bool:
    try:
        return address_of(address) in ip_network(network, strict=False)
    except ValueError:
        return False


def _ca_path(environment: Mapping[str, str]) -> str:
    variable = next((name for name in _CA_VARIABLES if environment.get(name)), "")
    if not variable:
        return DEFAULT_CA_BUNDLE_PATH
    path = environment[variable]
    if fault := _fault_of(Path(path)):
        raise LoftyConfigurationError(
            f"{variable} names {path!r}, {fault}; no server's certificate can be checked with it. Nothing was sent"
        )
    return path


def _fault_of(path: Path) -> str:
    """What keeps certificates from being read there; empty when they can be."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            is_hashed = any(_HASHED.fullmatch(entry.name) for entry in path.iterdir())
            return "" if is_hashed else "a folder without certificates that `openssl rehash` has named"
        if not stat.S_ISREG(mode):
            return "which is neither a file nor a folder"
        return "" if _has_certificates(path) else "which holds no readable certificate in PEM form"
    except OSError as error:
        return f"which cannot be read ({error.strerror})"


def _has_certificates(path: Path) -> bool:
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trusted.load_verify_locations(path)
    except ssl.SSLError:
        return False
    return trusted.cert_store_stats()["x509"] > 0
