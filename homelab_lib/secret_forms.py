"""The forms in which a text may turn up in what programs print, write and send.

A password that a host answers in JSON has its quotes escaped; one within a Kubernetes secret is
in base64, and where it stands decides which; one in an address is percent-encoded. Whoever looks
for a text has to look for all of these.

Source: RFC 4648 (base64), RFC 3986 2.1 (percent-encoding), RFC 8259 7 (JSON strings), POSIX.1-2024
Shell Command Language 2.2 (quoting).
"""

import base64
import html
import json
import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

_WRAPPED = (64, 76)  # columns at which PEM and `base64` break a line


def forms(text: str) -> set[str]:
    """All forms of `text`, itself included."""
    escaped = {text, *_json(text)}
    found = set(escaped)
    for form in escaped:
        found.update(_shell(form), _base64(form.encode("utf-8", "surrogatepass")))
    found.update(_python(text), _percent(text), _hexadecimal(text))
    found.update((html.escape(text), html.escape(text, quote=False)))
    return found


def _json(text: str) -> Iterator[str]:
    for ascii_only in (False, True):
        form = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield form
        yield form.replace("/", "\\/")  # as PHP does
        yield re.sub(r"[<>&]", lambda found: f"\\u{ord(found.group()):04x}", form)  # as Go does
        yield json.dumps(form, ensure_ascii=ascii_only)[1:-1]  # JSON within JSON
        if "\\u" in form:
            yield re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found.group()[2:].upper(), form)


def _python(text: str) -> Iterator[str]:
    for written in (repr, ascii):
        # Which quotes repr takes, and escapes, depends on what stands around the text.
        both = written(f"'\"{text}")[4:-1]
        yield both
        yield both.replace("\\'", "'")
    raw = repr(b"'\"" + text.encode("utf-8", "surrogatepass"))[5:-1]
    yield raw
    yield raw.replace("\\'", "'")


def _shell(text: str) -> Iterator[str]:
    yield shlex.quote(f"'{text}")[6:-1]  # '"'"' for each quote; the first one is ours
    yield re.sub(r"[\\!]", r"'\\\g<0>'", shlex.quote(f"'{text}")[6:-1])  # as we do, for any shell
    yield text.replace("'", "'\\''")
    yield re.sub(r'([\\"$`])', r"\\\1", text)
    yield re.sub(r"([^A-Za-z0-9_@%+=:,./-])", r"\\\1", text)


def _percent(text: str) -> Iterator[str]:
    raw = text.encode("utf-8", "surrogatepass")
    for form in (quote(raw, safe=""), quote(raw), quote(raw, safe="!*'()"), quote_plus(raw)):
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), form)


def _hexadecimal(text: str) -> Iterator[str]:
    digits = text.encode("utf-8", "surrogatepass").hex()
    yield digits
    yield digits.upper()


def _base64(raw: bytes) -> Iterator[str]:
    """Standard and URL-safe, whole and as a part of something longer."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        yield whole
        for width in _WRAPPED:
            if len(whole) > width:
                yield from (whole[at : at + width] for at in range(0, len(whole), width))
        # Each character is six bits. Those at the edges belong to the neighbours, too.
        for before in range(3):
            code = encode(bytes(before) + raw).decode()
            bits = 8 * (before + len(raw))
            yield code[(8 * before + 5) // 6 : bits // 6]
