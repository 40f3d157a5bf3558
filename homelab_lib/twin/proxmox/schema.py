"""How Proxmox reads its options: the command line, the schema's rules and property strings.

Sources: the behaviour of `PVE::JSONSchema` and `PVE::Exception` (pve-common 9.2): what is refused,
in which words, and with which exit status.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

USAGE_ERROR = 255
"""What Perl's ``die`` leaves where no system call failed before."""

NO_SUCH_FILE = 2
"""ENOENT: Perl's ``die`` after a file was not found."""


class PveError(Exception):
    """A ``die``: what goes to standard error, and the exit status."""

    def __init__(self, text: str, status: int = USAGE_ERROR) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class ParameterError(PveError):
    """Options that the schema refuses; each with its reason."""

    def __init__(self, errors: Mapping[str, str] | None = None, message: str = "") -> None:
        message = message or "Parameter verification failed."
        lines = [f"{name}: {reason}" for name, reason in (errors or {}).items()]
        super().__init__("\n".join([f"400 {message}", *lines]))


@dataclass(frozen=True)
class Property:
    """One option's rule.

    Parameters
    ----------
    type
        ``string``, ``integer``, ``number`` or ``boolean``.
    enum, pattern, minimum, maximum
        What a value must be.
    form
        Raises ValueError with Proxmox's words where the value is not of its format.
    keys
        The keys of a property string ``a=1,b=2``; none for a plain value.
    default_key
        The key that may be written without ``key=``.
    required
        The option can't be left out.
    """

    type: str = "string"
    enum: tuple[str, ...] = ()
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    form: Callable[[str], object] | None = None
    keys: Mapping[str, "Property"] = field(default_factory=dict)
    default_key: str = ""
    required: bool = False


Schema = Mapping[str, Property]


def boolean(text: str) -> str:
    """``1`` or ``0`` for the words that mean them; anything else as it is."""
    if text.lower() in ("1", "on", "yes", "true"):
        return "1"
    return "0" if text.lower() in ("0", "off", "no", "false") else text


def flag(value: object) -> bool:
    """Whether an option's value switches it on."""
    return boolean(str(value or "0")) == "1"


def _type_problem(rule: Property, value: str) -> str:
    good = {
        "integer": re.fullmatch(r"[+-]?\d+", value),
        "number": re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value),
        "boolean": value in ("0", "1"),
        "string": True,
    }[rule.type]
    return "" if good else f"type check ('{rule.type}') failed - got '{value}'"


def problem(rule: Property, value: str, name: str) -> str:
    """Why `value` breaks `rule`, in Proxmox's words; empty where it doesn't."""
    if wrong := _type_problem(rule, value):
        return wrong
    try:
        if rule.form:
            rule.form(value)
        if rule.keys:
            parse_properties(value, rule, name)
    except ValueError as error:
        return f"invalid format - {error}"
    if rule.pattern and not re.fullmatch(rule.pattern, value):
        return "value does not match the regex pattern"
    if rule.type in ("integer", "number"):
        if rule.maximum is not None and float(value) > rule.maximum:
            return f"value must have a maximum value of {rule.maximum:g}"
        if rule.minimum is not None and float(value) < rule.minimum:
            return f"value must have a minimum value of {rule.minimum:g}"
    if rule.enum and value not in rule.enum:
        return f"value '{value}' does not have a value in the enumeration '{', '.join(rule.enum)}'"
    return ""


def parse_properties(text: str, rule: Property, name: str = "") -> dict[str, str]:
    """The keys and values of a property string such as ``virtio,bridge=vmbr0``.

    Raises
    ------
    ValueError
        In Proxmox's words: an unknown or repeated key, a value that breaks its rule.
    """
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            if not rule.default_key:
                raise ValueError("value without key, but schema does not define a default key")
            key, value = rule.default_key, part
        if key in found:
            raise ValueError(f"duplicate key in comma-separated list property: {key}")
        if key not in rule.keys:
            raise ValueError(f"invalid key in comma-separated list property: {key}")
        found[key] = boolean(value) if rule.keys[key].type == "boolean" else value
    for key, sub in rule.keys.items():
        if key in found and (wrong := problem(sub, found[key], key)):
            raise ValueError(f"format error\n{name}.{key}: {wrong}")
        if key not in found and sub.required:
            raise ValueError(
                f"format error\n{name}.{key}: property is missing and it is not optional"
            )
    return found


def split_properties(text: str, default_key: str = "") -> dict[str, str]:
    """A stored property string as a mapping; the schema has seen it already."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {key if eq else default_key: value if eq else key for key, eq, value in pairs}


def print_properties(values: Mapping[str, str], default_key: str = "") -> str:
    """A property string: the default key first and bare, the others sorted."""
    first = [values[default_key]] if default_key in values else []
    return ",".join(
        first + [f"{key}={values[key]}" for key in sorted(values) if key != default_key]
    )


def parse_arguments(
    words: Sequence[str], schema: Schema, positional: Sequence[str] = ()
) -> dict[str, str]:
    """Options and arguments of a command line, checked.

    Parameters
    ----------
    words
        What follows the sub-command.
    schema
        Rules by option name, the positional arguments among them.
    positional
        Names of the arguments without ``--``, in order; ``extra-args`` takes what is left.

    Raises
    ------
    ParameterError
        In Proxmox's words.
    """
    given, rest = _getopt(list(words), schema)
    for name in positional:
        if name == "extra-args":
            given[name], rest = "\0".join(rest), []
        elif rest:
            given[name] = rest.pop(0)
        elif schema[name].required:
            raise ParameterError(message="not enough arguments")
    if rest:
        raise ParameterError(message="too many arguments")
    return checked(given, schema)


def checked(given: Mapping[str, str], schema: Schema) -> dict[str, str]:
    """`given` with booleans as 1 and 0, or all that is wrong with it.

    Raises
    ------
    ParameterError
        One line for each option.
    """
    values, errors = {}, {}
    for name, value in given.items():
        rule = schema.get(name)
        if rule is None:
            errors[name] = (
                "property is not defined in schema and the schema does not allow "
                "additional properties"
            )
            continue
        values[name] = boolean(value) if rule.type == "boolean" else value
        if wrong := problem(rule, values[name], name):
            errors[name] = wrong
    for name, rule in schema.items():
        if rule.required and name not in given:
            errors[name] = "property is missing and it is not optional"
    if errors:
        raise ParameterError(errors)
    return values


def _getopt(words: list[str], schema: Schema) -> tuple[dict[str, str], list[str]]:
    """As Getopt::Long does: ``--name value``, ``-name=value``, and any unambiguous beginning."""
    given: dict[str, str] = {}
    rest: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            return given, rest + words
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        names = [name] if name in schema else [known for known in schema if known.startswith(name)]
        if len(names) != 1:
            raise PveError(f"Unknown option: {name}\n400 unable to parse option")
        if schema[names[0]].type == "boolean":
            if not equals:
                value = words.pop(0) if words and not words[0].startswith("-") else "1"
            if boolean(value) not in ("0", "1"):
                raise PveError("400 unable to parse boolean option")
        elif not equals:
            if not words:
                raise PveError(f"Option {name} requires an argument\n400 unable to parse option")
            value = words.pop(0)
        given[names[0]] = value
    return given, rest
