"""
What is private stays out of logs.

From the words of a server everything is removed that was sent, and every address, number and credential.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote_to_bytes

from airflow_provider_lofty.printable import printable

_GAP = "…"
_PERSONAL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+|\+?\d(?:[\d ().-]{5,}\d)")
_SHORTEST = 3  # shorter values are words like any other
_SHORTEST_PART = 6
_MOST_LAYERS = 4  # of one encoding within another
_PERCENT = re.compile(r"%u([0-9a-fA-F]{4})|((?:%[0-9a-fA-F]{2})+)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\\\"'/bfnrt]))")
_CONTROL = dict(zip("bfnrt", "\b\f\n\r\t", strict=True))
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")


def without_echo(message: str, values: Iterable[str]) -> str:
    """
    Remove from the words of a server what was sent to it, in whatever form it quotes that.

    A form is percent-encoding, as in a URL or a form, and what HTML, JSON and base64 make of a text.
    """
    private = [value for value in values if len(value) >= _SHORTEST]
    private += [plain for value in private if (plain := _decoded(value)) != value]
    private += [value.replace(" ", "+") for value in private if " " in value]
    return redact(_without_base64(_decoded(message), private), private)


def _decoded(text: str) -> str:
    """Undo what URLs, HTML and JSON do to a text, one within the other."""
    for _ in range(_MOST_LAYERS):
        before = text
        text = _ESCAPE.sub(_unescaped, _PERCENT.sub(_unquoted, html.unescape(text)))
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON writes some in halves
        if text == before:
            break
    return text


def _unquoted(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    octets = unquote_to_bytes(match[2])
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else _CONTROL.get(match[3], match[3])


def _without_base64(message: str, values: Sequence[str]) -> str:
    private = [value.casefold() for value in values]
    return _BASE64.sub(lambda match: _GAP if _encodes_one(match[0], private) else match[0], message)


def _encodes_one(token: str, private: Sequence[str]) -> bool:
    """Whether this, or its end, is the base64 form of a text that holds a value or begins with much of one."""
    token = token.translate({ord("-"): "+", ord("_"): "/"})
    for start in range(4):
        aligned = token[start : start + (len(token) - start) // 4 * 4]
        text = b64decode(aligned).decode("utf-8", "replace").casefold()
        if any(value in text or _shares_part(text, value) for value in private):
            return True
    return False


def _shares_part(text: str, value: str) -> bool:
    return any(text[start : start + _SHORTEST_PART] in value for start in range(len(text) - _SHORTEST_PART + 1))


def redact(message: str, values: Iterable[str]) -> str:
    """
    Remove these values from a message, and whatever looks like an address, a phone number or quoted JSON.

    :param values: what must not appear in it, in upper or lower case
    """
    message = re.split(r"[{\[<]", without_values(message, values), maxsplit=1)[0]
    return printable(_PERSONAL.sub(_GAP, message).strip())


def without_values(message: str, values: Iterable[str]) -> str:
    """Remove only these values from a message, whole or in part."""
    message = " ".join(message.split())
    found = {" ".join(value.split()) for value in values}
    private = sorted((value for value in found if len(value) >= _SHORTEST), key=len, reverse=True)
    for value in private:
        message = re.sub(re.escape(value), _GAP, message, flags=re.IGNORECASE)
    for value in private:  # only now: a part that is taken out hides the whole of another
        message = _without_parts(message, value.casefold())
    return message


def _without_parts(message: str, value: str) -> str:
    """Remove what a server quoted in part only, or cut off."""
    kept, start = [], 0
    while start < len(message):
        end = start + _SHORTEST_PART
        if message[start:end].casefold() in value and end <= len(message):
            while end < len(message) and message[start : end + 1].casefold() in value:
                end += 1
            kept.append(_GAP)
            start = end
        else:
            kept.append(message[start])
            start += 1
    return "".join(kept)


def texts_of(body: bytes) -> Iterator[str]:
    """Every text and number of an activity, its type aside."""
    activity = json.loads(body)
    activity.pop("type", None)
    yield from _texts(activity)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
