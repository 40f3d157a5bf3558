"""Finds where any of many texts stands in another, in one pass over it.

Texts that begin alike are kept in order. Of those, the longest that begins a place is the last one
in order that is not greater, or one that it begins with: so few are compared, however many lengths
there are. A secret whose lines are each one letter longer would else be looked for in each length
at each place.

Source: E. W. Myers, An applicative random-access stack (1983), for the jumps.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterator

BEGINNING = 6
"""Characters by which texts are told from others first; one that is shorter is not looked for."""


class Texts:
    """Texts that are looked for; threads may share it."""

    def __init__(self) -> None:
        self.longest = 0
        self._lock = threading.Lock()
        self._alike: dict[str, _Alike | set[str]] = {}  # by how they begin; a set is not in order

    def __bool__(self) -> bool:
        return bool(self._alike)

    def add(self, text: str) -> None:
        """Look for a text, too."""
        if len(text) < BEGINNING:
            return
        start = text[:BEGINNING]
        with self._lock:
            there = self._alike.get(start, set())
            if isinstance(there, _Alike):
                there = set(there.texts[1:])
            there.add(text)
            self._alike[start] = there
            self.longest = max(self.longest, len(text))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they stand, those that touch taken together."""
        alike = self._alike
        begin = end = -1
        for at in range(len(text) - BEGINNING + 1 if alike else 0):
            found = alike.get(text[at : at + BEGINNING])
            if found is None:
                continue
            if isinstance(found, set):
                found = self._in_order(text[at : at + BEGINNING])
            length = found.longest_in(text[at : at + found.longest])
            if not length:
                continue
            if at > end:
                if end > begin:
                    yield begin, end
                begin = at
            end = max(end, at + length)
        if end > begin:
            yield begin, end

    def _in_order(self, start: str) -> "_Alike":
        with self._lock:
            found = self._alike[start]
            if isinstance(found, set):
                found = self._alike[start] = _Alike(found)
            return found


class _Alike:
    """Texts that begin alike, in order; the empty one stands first."""

    def __init__(self, texts: set[str]) -> None:
        self.texts = ["", *sorted(texts)]
        self.longest = max(map(len, texts))
        # Of each the longest that it begins with, and one further on that way.
        self._within, self._jump = [0], [0]
        way, depth = [0], [0]
        for at, text in enumerate(self.texts[1:], start=1):
            while not text.startswith(self.texts[way[-1]]):
                way.pop()
            within = way[-1]
            way.append(at)
            far = self._jump[within]
            even = depth[within] - depth[far] == depth[far] - depth[self._jump[far]]
            self._within.append(within)
            self._jump.append(self._jump[far] if even else within)
            depth.append(depth[within] + 1)

    def longest_in(self, text: str) -> int:
        """Characters of the longest that `text` begins with; 0 where there is none."""
        at = bisect_right(self.texts, text) - 1
        while not text.startswith(self.texts[at]):
            far = self._jump[at]
            at = self._within[at] if text.startswith(self.texts[far]) else far
        return len(self.texts[at])
