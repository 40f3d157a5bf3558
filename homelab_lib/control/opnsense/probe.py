"""What a twin asks an OPNsense in order to become it: calls that only read.

The configuration holds every secret of the box, so it is printed by a script that blots them out
where it lies. That script and the one that tells its history are let through, letter by letter, and
no other.
"""

from collections.abc import Sequence

from homelab_lib.control.opnsense.history import REVISIONS
from homelab_lib.transport.reads import declare

PROBE = (
    "$secret = '/passw|passphrase|secret|apikeys|otp_seed|privkey|private|^prv$|psk|pre-shared|"
    "^key$|token|community|authkey|fileTags|authorizedkeys/i'; "
    "function hide($node, $secret) { foreach ($node->children() as $name => $child) { "
    "if (preg_match($secret, $name)) { $child[0] = ''; } else { hide($child, $secret); } } } "
    "$config = simplexml_load_file('/conf/config.xml'); hide($config, $secret); "
    "echo $config->asXML();"
)


def _php(words: Sequence[str]) -> bool:
    return list(words) in (["-r", PROBE], ["-r", REVISIONS])


declare("php", _php)
