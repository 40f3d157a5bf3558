"""How long Ollama keeps a model in memory that nobody asks.

Source: ollama/ollama docs/faq.mdx (five minutes unless told; a duration, or seconds; anything
negative for ever, 0 not at all), envconfig/config.go; Go's `time.ParseDuration`.
"""

import math
import re

DEFAULT = "5m"
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}
_PART = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s)")
_WHOLE = re.compile(r"-?(?:\d+(?:\.\d*)?(?:h|ms|m|s))+")


def kept_s(told: object) -> float:
    """For how long [s]; infinite for ever.

    Parameters
    ----------
    told
        As a request or the environment has it: ``"24h"``, ``-1``, ``"-1"``. What is no duration
        counts as the default.
    """
    text = str(told).strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        seconds = float(text)
    elif _WHOLE.fullmatch(text):
        seconds = sum(float(count) * _UNITS_S[unit] for count, unit in _PART.findall(text))
        seconds = -seconds if text.startswith("-") else seconds
    else:
        return kept_s(DEFAULT)
    return math.inf if seconds < 0 else seconds
