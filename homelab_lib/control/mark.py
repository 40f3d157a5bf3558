"""How a thing says that it is ours, and for which lab.

What does not carry the mark was made by somebody else, or for another lab of ours, and is left
alone. Whoever wants to hand such a thing over writes the mark on it by hand.
"""

import re

TAG = "homelab"
"""Found on everything we make, whatever lab it is for."""


def text(lab: str) -> str:
    """The mark in a comment or a description."""
    return f"{TAG}: {lab}"


def tag(lab: str) -> str:
    """The mark where only words without spaces may stand."""
    return f"{TAG}-{lab}"


def marks(comment: str | None, lab: str) -> bool:
    """Whether a comment carries the lab's mark, alone or as one of several parts.

    Parameters
    ----------
    comment
        ``homelab: attic``, or ``media; homelab: attic`` as a person may have added it.
    lab
        The lab's name.
    """
    return text(lab) in [part.strip() for part in re.split(r"[;\n]", comment or "")]
