"""
The body of an answer, decoded here and up to a bound: a thousand bytes of gzip can hold a million.

urllib3 decodes too, but how far it lets a body grow differs by its version, and which encodings it knows by what else
is installed.
"""

from __future__ import annotations

import zlib

LONGEST_BODY = 4 * 2**20
ACCEPTED = "gzip"  # what a request asks for; a server may know nothing else than deflate

_MOST_LAYERS = 2
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_BARE = -zlib.MAX_WBITS


def decoded(body: bytes, encoding: str) -> bytes:
    """
    Undo what ``Content-Encoding`` names.

    :param encoding: the header's value; empty where there is none
    :raises ValueError: saying why the body cannot be read
    """
    layers = [name for name in encoding.lower().replace(" ", "").split(",") if name not in ("", "identity")]
    if len(layers) > _MOST_LAYERS:
        raise ValueError("a body that is encoded again and again")
    for name in reversed(layers):
        if body:  # without one there is nothing to decode, as in the answer to some 204
            body = _decoded_once(body, name)
    return body


def _decoded_once(body: bytes, name: str) -> bytes:
    if name in ("gzip", "x-gzip"):
        return _inflated(body, _GZIP)
    if name == "deflate":  # RFC 9110 means zlib; some servers leave its frame out
        return _inflated(body, _ZLIB if body[0] & 0x0F == zlib.DEFLATED else _BARE)
    raise ValueError("a body in an encoding that was not asked for")


def _inflated(body: bytes, wbits: int) -> bytes:
    """Inflate the members of a stream, one behind the other; gzip may be padded with zeros."""
    inflated = b""
    while body.strip(b"\0"):
        member = zlib.decompressobj(wbits)
        try:
            inflated += member.decompress(body, LONGEST_BODY + 1 - len(inflated))
        except zlib.error:
            raise ValueError("a body that is not what its encoding says") from None
        if len(inflated) > LONGEST_BODY:
            raise ValueError("a body that is too long")
        if not member.eof:
            raise ValueError("a body that ends too early")
        body = member.unused_data
    return inflated
