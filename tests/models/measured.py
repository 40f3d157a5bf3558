"""Measured cases: what real systems and independent arithmetic say."""

import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "truth"


def rows(name: str, key: str = "rows") -> list[dict[str, Any]]:
    """The cases of ``truth/<name>.json``."""
    return json.loads((_FOLDER / f"{name}.json").read_text())[key]
