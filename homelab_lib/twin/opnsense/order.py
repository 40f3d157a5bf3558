"""The order in which PHP puts texts for people: without case, numbers by their value."""

import re


def natural(text: str) -> list[tuple[int, int | str]]:
    """A key for sorting, as of ``natcasesort()``."""
    parts = re.findall(r"\d+|\D", text.lower())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
