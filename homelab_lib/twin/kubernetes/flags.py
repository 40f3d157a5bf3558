"""The words of a `kubectl` call: its operands and its options."""

from collections.abc import Iterator, Sequence

_WITH_VALUE = (
    "-n --namespace -o --output -l --selector --kubeconfig --context -f --filename -c --container "
    "--field-manager --request-timeout --timeout --tail --for --raw --cluster --field-selector "
    "--user --server -s --token --image --port --replicas --from-literal --certificate-authority "
    "--sort-by --since --grace-period"
)
_VALUES = frozenset(_WITH_VALUE.split())
_LONG = {
    "-n": "--namespace",
    "-o": "--output",
    "-l": "--selector",
    "-f": "--filename",
    "-A": "--all-namespaces",
    "-s": "--server",
    "-c": "--container",
}


class Words:
    """Operands and options of a call.

    Parameters
    ----------
    argv
        Its words, the program's name first.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self.operands: list[str] = []
        self.options: dict[str, list[str]] = {}
        rest = iter(argv[1:])
        for word in rest:
            if word == "--":
                self.operands += rest
            elif not word.startswith("-") or word == "-":
                self.operands.append(word)
            else:
                self._option(word, rest)

    def _option(self, word: str, rest: Iterator[str]) -> None:
        name, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:  # -ojson, -nkube-system
            name, equals, value = word[:2], "=", word[2:].removeprefix("=")
        if not equals and name in _VALUES:
            value = next(rest, "")
        self.options.setdefault(_LONG.get(name, name), []).append(value)

    def get(self, name: str, default: str = "") -> str:
        """The last value of an option; `default` where it is not given."""
        return self.options.get(name, [default])[-1]

    def values(self, name: str) -> list[str]:
        """Every value of an option that may come more than once."""
        return self.options.get(name, [])

    def __contains__(self, name: str) -> bool:
        return name in self.options

    def is_true(self, name: str) -> bool:
        """Whether a flag is given, and not as false."""
        return name in self.options and self.get(name) not in ("false", "0", "f", "F", "False")

    @property
    def dry_run(self) -> str:
        """``client``, ``server``, or nothing for a call that counts."""
        value = self.get("--dry-run", "none")
        return {"": "client", "none": ""}.get(value, value)
