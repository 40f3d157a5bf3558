"""The command lines of Proxmox's tools: options as `Getopt::Long` reads them, then the schema's.

Source: `PVE::JSONSchema::get_options` (pve-common 9.2), Getopt::Long 2.5.
"""

from collections.abc import Callable, Mapping, Sequence

from homelab_lib.twin.proxmox.schema import (
    ParameterError,
    PveError,
    Schema,
    boolean,
    checked,
)

REST = "extra-args"
"""The positional argument that takes all that is left; its words are held apart by NULs."""


def parse_arguments(
    words: Sequence[str],
    schema: Schema,
    positional: Sequence[str] = (),
    read: Mapping[str, Callable[[str], str]] | None = None,
) -> dict[str, str]:
    """Options and arguments of a command line, checked; booleans are ``1`` and ``0``.

    Parameters
    ----------
    words
        What follows the sub-command.
    schema
        Rules by option name, the positional arguments among them.
    positional
        Names of the arguments without ``--``, in order.
    read
        What the command line makes of an option's value before the schema sees it.

    Raises
    ------
    ParameterError
        In Proxmox's words.
    """
    given, rest = _getopt(list(words), schema)
    for name in positional:
        if name == REST:
            given[name], rest = "\0".join(rest), []
        elif rest:
            given[name] = rest.pop(0)
        elif schema[name].required:
            raise ParameterError(message="not enough arguments")
    if rest:
        raise ParameterError(message="too many arguments")
    for name, value in given.items():
        if schema[name].type == "boolean":
            given[name] = boolean(value or "1")
            if given[name] not in ("0", "1"):
                raise PveError("400 unable to parse boolean option")
    for name in (read or {}).keys() & given.keys():
        given[name] = (read or {})[name](given[name])
    return checked(given, schema)


def _getopt(words: list[str], schema: Schema) -> tuple[dict[str, str], list[str]]:
    """``--name value``, ``--name=value`` or ``-name value``, in any case, by any unambiguous
    beginning; arguments may stand between options."""
    given: dict[str, str] = {}
    rest: list[str] = []
    wrong: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        try:
            _option(word, words, given, schema)
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise PveError("\n".join([*wrong, "400 unable to parse option"]))
    return given, rest


def _option(word: str, words: list[str], given: dict[str, str], schema: Schema) -> None:
    name, equals, value = word[1:], "", ""
    if word.startswith("--"):  # only then is what follows ``=`` its value
        name, equals, value = word[2:].partition("=")
    name = _whole(name, schema)
    rule = schema[name]
    if rule.type == "boolean":  # its value may be left out
        if not equals and words and (not words[0].startswith("-") or words[0] == "-"):
            value = words.pop(0)
    elif not equals:
        if not words:
            raise ValueError(f"Option {name} requires an argument")
        value = words.pop(0)
    elif not value:
        raise ValueError(f"Option {name} requires an argument")
    if rule.format and rule.format.many and name in given:
        value = f"{given[name]},{value}"
    elif rule.items and name in given:
        value = f"{given[name]}\0{value}"
    given[name] = value


def _whole(name: str, schema: Schema) -> str:
    """The option that a word means."""
    small = name.lower()
    if name in schema:
        return name
    begun = [known for known in schema if known.lower().startswith(small)]
    exact = [known for known in begun if known.lower() == small]
    if len(found := exact or begun) == 1 and small:
        return found[0]
    if not begun or not small:
        raise ValueError(f"Unknown option: {small}")
    raise ValueError(f"Option {small} is ambiguous ({', '.join(sorted(begun))})")
