"""Which algorithms a login may use: the lists of ssh_config, over what can be done here.

Source: ssh_config(5), Ciphers, KexAlgorithms, HostKeyAlgorithms, PubkeyAcceptedAlgorithms.
"""

from collections.abc import Sequence

from homelab_lib.transport.ssh_match import like

_SAME = {"curve25519-sha256": "curve25519-sha256@libssh.org"}  # before it had a plain name


def chosen(spec: str, ours: Sequence[str], known: Sequence[str] = ()) -> tuple[str, ...]:
    """The algorithms that a list leaves, the preferred ones first.

    Parameters
    ----------
    spec
        ``a,b`` for these alone, ``+a`` for these as well, ``-a`` for all others, ``^a`` for these
        first; with ``*`` and ``?``. Empty for ours.
    ours
        What holds where nothing is said.
    known
        What can be done besides.
    """
    if not spec:
        return tuple(ours)
    mode, names = (spec[0], spec[1:]) if spec[0] in "+-^" else ("", spec)
    patterns = [_SAME.get(name, name) for name in names.split(",")]
    every = [*ours, *(name for name in known if name not in ours)]
    named = [name for pattern in patterns for name in every if like(name, pattern)]
    if mode == "-":
        return tuple(name for name in ours if name not in named)
    order = {"": named, "^": [*named, *ours], "+": [*ours, *named]}[mode]
    return tuple(dict.fromkeys(order))
