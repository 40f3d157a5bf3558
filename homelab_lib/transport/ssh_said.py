"""What is asked of an SSH configuration, and what it says: the same from either reader.

`openssh` has `ssh -G` read it, `ssh_config` reads it itself where there is no `ssh`.
"""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

USER_CONFIG = ".ssh/config"  # in the home folder
SYSTEM_CONFIG = "/etc/ssh/ssh_config"

_HEEDED = """
    addressfamily bindaddress casignaturealgorithms certificatefile ciphers connecttimeout
    globalknownhostsfile hostkeyalgorithms hostkeyalias hostname identitiesonly identityagent
    identityfile kexalgorithms macs port preferredauthentications proxycommand proxyjump
    pubkeyacceptedalgorithms pubkeyauthentication requiredrsasize revokedhostkeys user
    userknownhostsfile
"""
HEEDED = frozenset(_HEEDED.split())
"""What a login here follows."""

REFUSED = {
    "bindinterface": "use BindAddress",
    "checkhostip": "write `CheckHostIP no`",
    "knownhostscommand": "write its keys into a UserKnownHostsFile, and `KnownHostsCommand none`",
    "pkcs11provider": "load it into the agent, `ssh-add -s`, and write `PKCS11Provider none`",
    "proxyusefdpass": "use a ProxyCommand that carries the data itself",
    "refuseconnection": "the configuration forbids this connection",
}
"""What would change a login and can't be followed here, with what to write instead."""

_UNRELATED = """
    addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizehostname
    canonicalizemaxdots canonicalizepermittedcnames channeltimeout clearallforwardings
    compression connectionattempts controlmaster controlpath controlpersist dynamicforward
    enableescapecommandline enablesshkeysign escapechar exitonforwardfailure fingerprinthash
    forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted
    gatewayports gssapiauthentication gssapiclientidentity gssapidelegatecredentials
    gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity
    gssapitrustdns hashknownhosts host hostbasedacceptedalgorithms hostbasedauthentication
    ignoreunknown ipqos kbdinteractiveauthentication kbdinteractivedevices localcommand
    localforward loglevel logverbose nohostauthenticationforlocalhost numberofpasswordprompts
    obscurekeystroketiming passwordauthentication permitlocalcommand permitremoteopen rekeylimit
    remotecommand remoteforward requesttty securitykeyprovider sendenv serveralivecountmax
    serveraliveinterval sessiontype setenv stdinnull streamlocalbindmask streamlocalbindunlink
    stricthostkeychecking syslogfacility tag tcpkeepalive tunnel tunneldevice updatehostkeys
    usekeychain verifyhostkeydns versionaddendum visualhostkey warnweakcrypto xauthlocation
"""
UNRELATED = frozenset(_UNRELATED.split())
"""What makes no odds to who is reached, as whom, by which keys; where it is about trust
(StrictHostKeyChecking, VerifyHostKeyDNS), we are stricter whatever it says."""

OTHER_NAMES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedkeytypes": "hostbasedacceptedalgorithms",
    "identityfile2": "identityfile",
    "keepalive": "tcpkeepalive",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "rsaminsize": "requiredrsasize",
    "skeyauthentication": "kbdinteractiveauthentication",
    "smartcarddevice": "pkcs11provider",
    "tisauthentication": "kbdinteractiveauthentication",
}
"""Older names that ssh still takes."""


def home() -> str:
    """The home folder as ssh takes it: of the password database, whatever ``HOME`` says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return str(Path.home())


def local_user() -> str:
    """Who we are here."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("LOGNAME") or os.environ.get("USER") or str(os.getuid())


@dataclass(frozen=True)
class Asked:
    """One question: how is this host logged into?

    Parameters
    ----------
    host
        As on the command line of `ssh`.
    config
        The configuration; None for the person's and the machine's.
    given
        What is settled beforehand, as by ``-o`` or ``-J``: keyword in lower case, and value.
    """

    host: str
    config: Path | None = None
    given: tuple[tuple[str, str], ...] = ()

    def with_(self, given: Mapping[str, str]) -> "Asked":
        """The same question, with more settled."""
        return replace(self, given=(*self.given, *given.items()))

    @property
    def source(self) -> str:
        """The file that a person would look into."""
        return str(self.config or Path(home(), USER_CONFIG))


@dataclass(frozen=True)
class Said:
    """What the configuration says of a host.

    Parameters
    ----------
    asked
        The question.
    values
        For each keyword in lower case what is said, in order: several identity files, the files
        of one ``UserKnownHostsFile``, the words of a ProxyCommand as one text.
    by
        Who read it, for a person.
    expanded
        Keywords whose tokens and variables are filled in.
    places
        For each keyword where it stands, as far as that is known: ``file:line``.
    version
        Of the `ssh` whose rules were followed.
    """

    asked: Asked
    values: Mapping[str, tuple[str, ...]]
    by: str
    expanded: frozenset[str] = frozenset()
    places: Mapping[str, str] = field(default_factory=dict)
    version: tuple[int, int] = (10, 5)

    def one(self, keyword: str, default: str = "") -> str:
        """The only value of a keyword."""
        return self.values.get(keyword, (default,))[0]

    def where(self, keyword: str) -> str:
        """Where it is said, for an error."""
        return self.places.get(keyword, self.asked.source)
