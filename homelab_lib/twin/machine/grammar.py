"""The shell's grammar: tokens, and the lists they make."""

_OPERATORS = ("&&", "||", "2>&1", "2>>", "2>", ">>", ">", "<", "|", ";", "&", "\n")
REDIRECTIONS = ("2>&1", "2>>", "2>", ">>", ">", "<")


class Syntax(ValueError):
    """What this shell can't read."""


def closing_quote(text: str, start: int) -> int:
    position = start + 1
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text.startswith("$(", position):
            position = closing_parenthesis(text, position + 1) + 1
        elif text[position] == '"':
            return position
        else:
            position += 1
    raise Syntax("Unterminated quoted string")


def closing_parenthesis(text: str, start: int) -> int:
    position, depth = start, 0
    while position < len(text):
        char = text[position]
        if char == "'":
            position = text.index("'", position + 1)
        elif char == '"':
            position = closing_quote(text, position)
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return position
        position += 1
    raise Syntax('end of file unexpected (expecting ")")')


def tokens_of(script: str) -> list[str]:
    """Words with their quotes still on, and operators."""
    tokens, word, position = [], "", 0

    def flush() -> None:
        nonlocal word
        if word:
            tokens.append(word)
        word = ""

    while position < len(script):
        char = script[position]
        if char == "#" and not word:
            end = script.find("\n", position)
            position = len(script) if end < 0 else end
            continue
        operator = next((o for o in _OPERATORS if script.startswith(o, position)), None)
        if operator is not None and operator.startswith("2") and word:
            operator = None
        if char == "'":
            end = script.find("'", position + 1)
            if end < 0:
                raise Syntax("Unterminated quoted string")
        elif char == '"':
            end = closing_quote(script, position)
        elif script.startswith("$(", position):
            end = closing_parenthesis(script, position + 1)
        elif char == "\\":
            end = position + 1
        elif operator is not None:
            flush()
            tokens.append(operator)
            position += len(operator)
            continue
        elif char.isspace():
            flush()
            position += 1
            continue
        else:
            end = position
        word += script[position : end + 1]
        position = end + 1
    flush()
    return tokens


def pipelines(tokens: list[str]) -> list[tuple[list[list[str]], str]]:
    """Pipelines, each with what joins it to the next."""
    found: list[tuple[list[list[str]], str]] = []
    pipeline: list[list[str]] = [[]]
    for token in [*tokens, ";"]:
        if token == "|":
            pipeline.append([])
        elif token in ("&&", "||", ";", "&", "\n"):
            if pipeline != [[]]:
                found.append((pipeline, token))
            pipeline = [[]]
        else:
            pipeline[-1].append(token)
    return found
