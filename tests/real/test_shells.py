"""Logins as people have them: another shell, another language, a talking login file, a sudo that
refuses. Each ends in the right file, or in one clear line before anything is changed."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from homelab_lib.control.linux import File, look_at_file
from homelab_lib.errors import LoginUnusable
from homelab_lib.runbook.clock import WallClock
from homelab_lib.runbook.host import ReadingHost
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.patience import Patience
from homelab_lib.secret import Mask
from homelab_lib.transport.command import change, read
from homelab_lib.transport.fleet import Fleet
from real.opensshd import public
from real.users import NO_PASSWORD, WITH_PASSWORD, user, why_no_users

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(why_no_users()), reason=why_no_users() or "-"),
    pytest.mark.skipif(not shutil.which("sudo"), reason="this machine has no sudo"),
]

GERMAN = "de_DE.UTF-8"
SHELLS = ("sh", "bash", "zsh", "fish", "tcsh")
HOSTILE = ["a!b", "!!", "it's", "\\", "\\\\'", "=ls", "%self", "new\nline", "$HOME", "`id`", "",
           "~", "{a,b}", "*", "ünï", "-rf", 'say "hi"', "a\\0012b", "^x^y"]  # fmt: skip
TEXT = "it's $5!\n\\ünï\\\n"


@pytest.fixture
def hosts(server):
    """Makes a login and a fleet for it: `hosts("z", environment=…, shell=…, sudo=…)`."""
    fleets, made = [], []

    def make(suffix, *, environment="SHLVL=1", login_files=(), **settings):
        keys = ["AuthorizedKeysFile .ssh/authorized_keys"]
        host = server(environment=environment, options=keys)
        host.start()
        login = user(suffix, public(host.client_key), **settings)
        name = login.__enter__()
        made.append(login)
        for file, text in login_files:
            place = Path("/home") / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        fleet = Fleet({"nas": host.endpoint(user=name)}, allow_changes=True)
        fleets.append(fleet)
        return fleet

    yield make
    for fleet in fleets:
        fleet.close()
    for login in made:
        login.__exit__(None, None, None)


def reading(fleet):
    journal = Journal(None, mask=Mask(), wall=lambda: "now")
    patience = Patience(WallClock(), threading.Event())
    return ReadingHost("nas", fleet, Mask(), journal, str, patience)


def put(fleet, path):
    """Bring a file of ours about as the engine does, and see it there."""
    file = File("nas", str(path), TEXT, "640", lab="homelab-tests", adopt=True)
    host = reading(fleet)
    for planned in file.diff(file.observe(host)).changes:
        assert fleet.run("nas", planned.call).ok
    assert file.diff(file.observe(host)).clean
    assert Path(path).read_text() == TEXT


@pytest.mark.parametrize("shell", SHELLS)
def test_whatever_the_login_shell_words_arrive_and_files_are_right(hosts, shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    fleet = hosts("s", shell=shutil.which(shell), sudo=NO_PASSWORD)
    told = fleet.run("nas", change("printf", "%s\\0", *HOSTILE))
    assert told.stdout.split("\0")[:-1] == HOSTILE
    told = fleet.run("nas", change("printf", "%s\\0", *HOSTILE, sudo=True))
    assert told.stdout.split("\0")[:-1] == HOSTILE
    told = fleet.run("nas", change("sh", "-c", "cat; echo err >&2; exit 3", stdin="in"))
    assert (told.exit_status, told.stdout, told.stderr) == (3, "in", "err\n")
    both = fleet.run_many("nas", [read("id", "-un"), change("id", "-u", sudo=True)])
    assert [one.stdout for one in both][1] == "0\n" != both[0].stdout
    put(fleet, tmp_path / "made")


@pytest.fixture(scope="session")
def german():
    """That this machine speaks German."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout
    if "de_DE.utf8" not in known:
        pytest.skip(f"this machine has no {GERMAN} (package locales)")
    return f"SHLVL=1 LC_ALL={GERMAN} LANG={GERMAN} LANGUAGE=de"


def test_a_host_that_speaks_german_is_understood(hosts, german, tmp_path):
    fleet = hosts("g", environment=german, sudo=NO_PASSWORD)
    for sudo in (False, True):
        refused = fleet.run("nas", read("stat", "/no/such/file", sudo=sudo))
        assert "No such file or directory" in refused.stderr
    assert look_at_file(reading(fleet), str(tmp_path / "none")) is None
    put(fleet, tmp_path / "made")


@pytest.mark.parametrize(
    ("shell", "file", "text"),
    [
        ("bash", ".bashrc", "echo Welcome to $HOSTNAME\n"),
        ("zsh", ".zshenv", "echo Welcome to $HOST\n"),
        ("fish", ".config/fish/config.fish", "echo Welcome to it\n"),
        ("tcsh", ".cshrc", "echo Welcome to it\n"),
    ],
)
@pytest.mark.parametrize("first", ["read", "change"])
def test_a_login_file_that_talks_is_named_before_anything_is_changed(
    hosts, tmp_path, shell, file, text, first
):
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    where = shutil.which(shell)
    fleet = hosts("t", environment="", shell=where, sudo=NO_PASSWORD, login_files=[(file, text)])
    trace = tmp_path / "made"
    call = change("touch", str(trace), sudo=True) if first == "change" else read("cat", "/none")
    with pytest.raises(LoginUnusable, match=r"a login file of .* prints .*'Welcome to"):
        fleet.run("nas", call)
    assert not trace.exists()


REFUSALS = {
    "no rule": {},
    "a password": {"sudo": WITH_PASSWORD},
    "another command": {"sudo": "ALL=(ALL) NOPASSWD: /usr/bin/true, /usr/bin/cat"},
    "a terminal": {"sudo": NO_PASSWORD, "defaults": "requiretty"},
}


@pytest.mark.parametrize("why", sorted(REFUSALS))
@pytest.mark.parametrize("language", ["its own", "German"])
def test_a_sudo_that_refuses_is_one_clear_line_and_nothing_runs(
    hosts, request, tmp_path, why, language
):
    environment = request.getfixturevalue("german") if language == "German" else "SHLVL=1"
    fleet = hosts("r", environment=environment, **REFUSALS[why])
    trace = tmp_path / "made"
    calls = [
        read("cat", "--", str(tmp_path / "none"), sudo=True),
        change("touch", str(trace), sudo=True),
    ]
    for call in calls:
        with pytest.raises(LoginUnusable, match="may not use sudo without a password") as caught:
            fleet.run("nas", call)
        assert "ALL=(ALL) NOPASSWD: ALL" in caught.value.fix
        assert ("!requiretty" in caught.value.fix) == (why == "a terminal")
    assert os.listdir(tmp_path / "sshd-0")
    assert not trace.exists()
    assert fleet.run("nas", read("id", "-u")).ok  # what needs no sudo goes on


def test_an_account_that_runs_nothing_is_named(hosts):
    fleet = hosts("n", shell="/usr/sbin/nologin")
    with pytest.raises(LoginUnusable, match="does not run what it is sent; it says: This account"):
        fleet.run("nas", read("cat", "/none"))
