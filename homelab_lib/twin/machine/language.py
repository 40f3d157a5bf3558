"""What a twin's language models make of a text: no real one answers so, but what fits is found."""

import hashlib
import re


def quoted(text: str) -> str:
    """What a twin's model answers: that sentence of what it was given to read which shares most
    words with the question, its last paragraph."""
    read, _, question = text.rpartition("\n\n")
    words = set(re.findall(r"\w+", question.lower()))
    sentences = [each.strip() for each in re.split(r"(?<=[.!?])\s+|\n|<[^>]*>", read)]
    if not any(sentences):
        return "I was given nothing to read."
    return max(sentences, key=lambda each: len(words & set(re.findall(r"\w+", each.lower()))))


def embedding(text: str, size: int) -> list[float]:
    """A vector for a text: texts that share words and parts of words are near each other."""
    vector = [0.0] * size
    padded = f" {text.lower()} "
    for part in [*text.lower().split(), *(padded[i : i + 3] for i in range(len(padded) - 2))]:
        digest = hashlib.sha256(part.encode()).digest()
        vector[int.from_bytes(digest[:4]) % size] += 1.0
    length = sum(each * each for each in vector) ** 0.5 or 1.0
    return [round(each / length, 7) for each in vector]
