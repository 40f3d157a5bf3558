"""How Proxmox reads its options: the schema's rules and its property strings.

Source: `PVE::JSONSchema` and `PVE::Exception` (pve-common 9.2): what is refused, in which order it
is looked at, and in which words.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

USAGE_ERROR = 255
"""What Perl's ``die`` leaves where no system call failed before."""

NO_SUCH_FILE = 2
"""ENOENT: Perl's ``die`` after a file was not found."""

_UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"


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
class Format:
    """What a value has to look like, beyond its type.

    Parameters
    ----------
    name
        Proxmox's name of it; empty for a property string that has none.
    check
        Raises ValueError with Proxmox's words. Of one with keys it is asked last, and is given
        them; of any other it is given the text.
    keys
        Of a property string ``a=1,b=2``: its keys.
    many
        It is a list; an option of it may be given several times.
    """

    name: str = ""
    check: Callable[..., object] | None = None
    keys: Mapping[str, "Property"] = field(default_factory=dict)
    many: bool = False


@dataclass(frozen=True)
class Property:
    """One option's rule, or that of a key in a property string.

    Parameters
    ----------
    type
        ``string``, ``integer``, ``number``, ``boolean`` or ``array``.
    format, enum, pattern, minimum, maximum, min_length, max_length
        What a value must be.
    bare
        Of a key: it may be written without ``key=``.
    alias, key_alias
        Of a key: it is another name of `alias`, and is then itself the value of `key_alias`.
    items
        Of an array: the rule for each, which is given by an option of its own; NULs hold them
        apart.
    requires
        The option that has to be given with this one.
    required
        It can't be left out.
    """

    type: str = "string"
    format: Format | None = None
    enum: tuple[str, ...] = ()
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    bare: bool = False
    alias: str = ""
    key_alias: str = ""
    items: "Property | None" = None
    requires: str = ""
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


def matches(pattern: str, text: str) -> bool:
    """Whether Perl's ``/^pattern$/`` finds it: an end of line may follow, and alternatives are not
    bound together."""
    return re.search(f"^{pattern}$", text) is not None


def is_number(text: str) -> bool:
    """Whether Proxmox takes a text for a number."""
    return matches(r"[+-]?(\d+\.\d+|\d+\.|\.\d+|\d+)([eE][+-]?\d+)?", text)


def _has_type(rule: Property, value: str) -> bool:
    match rule.type:
        case "integer":
            return matches(r"[+-]?\d+", value)
        case "number":
            return is_number(value)
        case "boolean":
            return value in ("0", "1")
    return True


def problem(rule: Property, value: str, path: str) -> str:
    """Why `value` breaks `rule`, in Proxmox's words; empty where it doesn't."""
    if not _has_type(rule, value):
        return f"type check ('{rule.type}') failed - got '{value}'"
    if rule.items:
        parts = (problem(rule.items, part, path) for part in value.split("\0"))
        return next((why for why in parts if why), "")
    if rule.format:
        try:
            _look_like(rule.format, value, path)
        except ValueError as error:
            return f"invalid format - {error}"
    if rule.pattern and not matches(rule.pattern, value):
        return "value does not match the regex pattern"
    if rule.max_length is not None and len(value) > rule.max_length:
        return f"value may only be {rule.max_length} characters long"
    if rule.min_length is not None and len(value) < rule.min_length:
        return f"value must be at least {rule.min_length} characters long"
    if is_number(value):
        if rule.maximum is not None and float(value) > rule.maximum:
            return f"value must have a maximum value of {rule.maximum:.15g}"
        if rule.minimum is not None and float(value) < rule.minimum:
            return f"value must have a minimum value of {rule.minimum:.15g}"
    if rule.enum and value not in rule.enum:
        return f"value '{value}' does not have a value in the enumeration '{', '.join(rule.enum)}'"
    return ""


def _look_like(form: Format, value: str, path: str) -> None:
    if form.keys:
        found = parse_properties(value, form.keys, path)
        if form.check:
            form.check(found)
    elif form.check:
        for part in split_list(value) if form.many else [value]:
            form.check(part)


def problems(values: Mapping[str, str], schema: Schema, path: str = "") -> dict[str, str]:
    """All that is wrong with values, by their names."""
    errors: dict[str, str] = {}
    before = f"{path}." if path else ""
    for name, value in values.items():
        rule = schema.get(name)
        if rule is None:
            errors[f"{before}{name}"] = _UNKNOWN
        elif wrong := problem(rule, value, f"{before}{name}"):
            errors[f"{before}{name}"] = wrong
        elif rule.requires and rule.requires not in values:
            missing = f"missing property required by '{before}{name}'"
            errors[f"{before}{rule.requires}"] = missing
    for name, rule in schema.items():
        if rule.required and name not in values:
            errors[f"{before}{name}"] = "property is missing and it is not optional"
    return errors


def checked(given: Mapping[str, str], schema: Schema) -> dict[str, str]:
    """`given` as it is.

    Raises
    ------
    ParameterError
        All that is wrong with it, one line for each option.
    """
    if errors := problems(given, schema):
        raise ParameterError(errors)
    return dict(given)


def split_list(text: str) -> list[str]:
    """The parts of a list: commas, semicolons and white space are all the same."""
    if "\0" in text:
        return text.split("\0")
    return re.split(r"[\s,;]+", text.strip(" \t\n,;")) if text.strip(" \t\n,;") else []


# Property strings --------------------------------------------------------------------------------


def parse_properties(text: str, keys: Schema, path: str = "") -> dict[str, str]:
    """The keys and values of a property string such as ``virtio,bridge=vmbr0``.

    Raises
    ------
    ValueError
        In Proxmox's words: a repeated key, a value that breaks its rule.
    """
    found: dict[str, str] = {}
    bare = next((key for key, rule in keys.items() if rule.bare), "")
    used = False
    for part in text.split(","):
        if not part.strip():
            continue
        if "=" not in part:
            if not bare:
                raise ValueError("value without key, but schema does not define a default key")
            if used or found.get(bare, "0") not in ("", "0"):
                raise ValueError(f"duplicate key in comma-separated list property: {bare}")
            used, key, value = True, bare, part
        elif pair := re.search(r"^([^=]+)=(.+)$", part):
            key, value = _named(found, keys, pair[1]), pair[2]
        else:
            raise ValueError("missing key in comma-separated list property")
        is_flag = key in keys and keys[key].type == "boolean"
        found[key] = boolean(value) if is_flag else value
    if errors := problems(found, keys, path):
        lines = "\n".join(f"{name}: {why}" for name, why in errors.items())
        raise ValueError(f"format error\n{lines}")
    return found


def _named(found: dict[str, str], keys: Schema, key: str) -> str:
    """The key that is meant by one, which may be another name of it."""
    if key in found:
        raise ValueError(f"duplicate key in comma-separated list property: {key}")
    rule = keys.get(key)
    if rule is None or not rule.alias:
        return key
    if rule.key_alias:
        if rule.key_alias in found:
            raise ValueError(f"key alias '{rule.key_alias}' is already defined")
        found[rule.key_alias] = key
    if rule.alias in found:
        raise ValueError(f"key '{rule.alias}' is already defined (via alias)")
    return rule.alias


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
