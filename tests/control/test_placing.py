"""Files are put in their place by this machine's own shell, without root, in a folder of the test.

The commands are those that the resources make; what stands for the host runs them as they are,
but for `sudo` and for where the ledger is.
"""

import functools
import getpass
import grp
import hashlib
import http.server
import os
import shlex
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from homelab_lib.control.linux import Account, Download, File
from homelab_lib.control.linux.fetched import fetch_commands
from homelab_lib.control.linux.placing import LEDGER, claim, folder_mode
from homelab_lib.control.linux.tools import Tool
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Result, read

OWNER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"


class Here:
    """This machine as a host, for a user without sudo."""

    name = "here"

    def __init__(self, folder, path=None):
        self.ledger = folder / "ledger" / "files"
        self.ledger.parent.mkdir()
        self.path = path or os.environ["PATH"]

    def run(self, command, stdin=None):
        words = [word.replace(LEDGER, str(self.ledger)).replace("/var/lib/homelab",
                 str(self.ledger.parent)) for word in command.argv]  # fmt: skip
        given = command.stdin if stdin is None else stdin
        given = given.reveal() if isinstance(given, Secret) else given
        return subprocess.run(
            words, input=(given or "").encode(), capture_output=True, env={"PATH": self.path},
            timeout=30,
        )  # fmt: skip

    def read(self, *argv, ok=(0,), **options):
        shown = self.run(read(*argv))
        assert ok is None or shown.returncode in ok, shown.stderr
        return Result(shown.returncode, shown.stdout.decode(errors="replace"),
                      shown.stderr.decode())  # fmt: skip

    def begun(self, resource):
        return False

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]

    def seal(self, text):
        return f"sealed {len(text)}"

    def change(self, resource):
        """The one change that a resource wants; None where it wants none."""
        diff = resource.diff(resource.observe(self))
        assert not diff.conflict, diff.conflict
        return diff.changes[0] if diff.changes else None

    def make(self, resource):
        """Make it, as the engine does."""
        done = self.run(self.change(resource).call)
        assert done.returncode == 0, done.stderr
        assert self.change(resource) is None


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path)


def file(path, content="new\n", **more):
    return File("here", str(path), content, owner=OWNER, lab="attic", **more)


def conflict(host, resource):
    return resource.diff(resource.observe(host)).conflict


def test_it_is_written_listed_and_nothing_is_left_beside_it(here, tmp_path):
    here.make(file(tmp_path / "a/b/conf", mode="640"))
    assert (tmp_path / "a/b/conf").read_text() == "new\n"
    assert stat.S_IMODE((tmp_path / "a/b/conf").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o750
    assert [each.name for each in (tmp_path / "a/b").iterdir()] == ["conf"]
    assert here.ledger.read_text() == f"attic\t{tmp_path}/a/b/conf\n"


def test_a_folder_that_is_there_is_left_as_it_is(here, tmp_path):
    (tmp_path / "a").mkdir(mode=0o711)
    here.make(file(tmp_path / "a/conf", mode="600"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o711


def test_ours_is_rewritten_and_listed_once(here, tmp_path):
    here.make(file(tmp_path / "conf"))
    changed = here.change(file(tmp_path / "conf", "newer\n"))
    assert changed.replaces.startswith(f"644 {OWNER} ")
    here.make(file(tmp_path / "conf", "newer\n"))
    assert here.ledger.read_text().count("\n") == 1


def test_a_foreign_file_is_left_alone_until_somebody_gives_it_to_us(here, tmp_path):
    (tmp_path / "conf").write_text("theirs\n")
    assert "not of lab attic" in conflict(here, file(tmp_path / "conf"))
    here.ledger.write_text(f"attic\t{tmp_path}/conf\n")
    here.make(file(tmp_path / "conf"))


def test_what_came_since_we_looked_is_left_alone(here, tmp_path):
    change = here.change(file(tmp_path / "conf"))
    (tmp_path / "conf").write_text("theirs\n")
    done = here.run(change.call)
    assert done.returncode != 0
    assert b"came since we looked" in done.stdout
    assert (tmp_path / "conf").read_text() == "theirs\n"
    assert not here.ledger.exists()


def test_what_changed_since_we_looked_is_left_alone(here, tmp_path):
    here.make(file(tmp_path / "conf"))
    change = here.change(file(tmp_path / "conf", "newer\n"))
    (tmp_path / "conf").write_text("by hand\n")
    done = here.run(change.call)
    assert b"changed since we looked" in done.stdout
    assert (tmp_path / "conf").read_text() == "by hand\n"
    assert [each.name for each in tmp_path.glob("conf*")] == ["conf"]


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("came", [b"", b"ne"])
def test_what_was_cut_off_on_the_way_is_thrown_away(here, tmp_path, secret, came):
    """A dropped link looks like the end of the text."""
    content = Secret("the token", lambda: "new\n") if secret else "new\n"
    (tmp_path / "conf").write_text("old\n")
    adopted = file(tmp_path / "conf", content, adopt=True)
    done = here.run(here.change(adopted).call, stdin=came.decode())
    assert done.returncode != 0
    assert (tmp_path / "conf").read_text() == "old\n"
    assert not (tmp_path / "conf.homelab-new").exists()


def test_a_secret_arrives_whole_and_no_hash_of_it_is_kept(here, tmp_path):
    secret = Secret("the token", lambda: "hunter2 without an end of line")
    wanted = file(tmp_path / "token", secret, mode="600")
    here.make(wanted)
    assert (tmp_path / "token").read_text() == "hunter2 without an end of line"
    (tmp_path / "token").write_text("another\n")
    digest = hashlib.sha256(b"another\n").hexdigest()
    observed = wanted.observe(here)
    assert digest[:12] not in f"{observed} {wanted.diff(observed)}"
    assert observed["sealed"] in wanted.diff(observed).changes[0].replaces + observed["sealed"]


def test_of_somebodys_file_every_copy_is_kept(here, tmp_path):
    (tmp_path / "conf").write_text("first\n")
    (tmp_path / "conf.before-homelab").write_text("from last year\n")
    here.make(file(tmp_path / "conf", "ours\n", adopt=True))
    kept = {each.read_text() for each in tmp_path.glob("conf.before-homelab*")}
    assert kept == {"first\n", "from last year\n"}
    assert not here.ledger.exists(), "it stays theirs"


def test_links_that_somebody_planted_lead_nowhere(here, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "precious").write_text("precious\n")
    for name, target in (("a", victim), ("b", tmp_path / "precious"), ("c", tmp_path / "none")):
        (tmp_path / f"{name}.homelab-new").symlink_to(target)
        here.make(file(tmp_path / name))
        assert not (tmp_path / name).is_symlink()
    assert not list(victim.iterdir())
    assert (tmp_path / "precious").read_text() == "precious\n"
    assert not (tmp_path / "none").exists()


def test_a_link_in_the_place_is_not_followed(here, tmp_path):
    (tmp_path / "conf").symlink_to(tmp_path / "elsewhere")
    assert "is a symbolic link" in conflict(here, file(tmp_path / "conf"))


def test_a_folder_where_the_new_one_is_to_be_written_stops_it(here, tmp_path):
    (tmp_path / "conf.homelab-new/theirs").mkdir(parents=True)
    done = here.run(here.change(file(tmp_path / "conf")).call)
    assert done.returncode != 0
    assert (tmp_path / "conf.homelab-new/theirs").exists()
    assert not (tmp_path / "conf").exists()


def test_what_an_attempt_left_is_cleared_away(here, tmp_path):
    (tmp_path / "conf.homelab-new").write_text("half of i")
    here.make(file(tmp_path / "conf"))
    assert not (tmp_path / "conf.homelab-new").exists()


@pytest.mark.parametrize(
    "name", ["it's", "$(touch pwned)", "`id`", "new\nline", "tab\there", "-rf", "back\\slash", "ü"]
)
def test_a_hostile_name_is_only_a_name(here, tmp_path, name):
    here.make(file(tmp_path / name))
    assert (tmp_path / name).read_text() == "new\n"
    assert here.ledger.read_text() == claim("attic", f"{tmp_path}/{name}") + "\n"
    here.make(file(tmp_path / name, "newer\n"))
    assert not (tmp_path / "pwned").exists()


def test_many_are_looked_at_by_as_few_commands(here, tmp_path):
    files = [file(tmp_path / f"f{number}") for number in range(450)]
    for each in files[::2]:
        (tmp_path / each.path).write_text("new\n")
    seen = File.observe_together(here, files)
    clean = [each.diff(facts).clean for each, facts in zip(files, seen, strict=True)]
    assert clean == [number % 2 == 0 for number in range(450)]


@pytest.mark.parametrize(
    ("mode", "folder"), [("600", "700"), ("640", "750"), ("0644", "755"), ("755", "755"),
                         ("400", "700"), ("660", "770")]
)  # fmt: skip
def test_a_folder_lets_in_whoever_may_read_the_file(mode, folder):
    assert folder_mode(mode) == folder


# Downloads ---------------------------------------------------------------------------------------


class _Site(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        if self.path == "/endless":
            try:
                while True:
                    self.wfile.write(b"A" * 65536)
            except OSError:
                return
        if self.path == "/slow":
            self.wfile.write(b"#")
            self.server.over.wait()
            return
        self.wfile.write(b"#!/bin/sh\n")


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    server.over = threading.Event()
    thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["curl", "wget"])
def fetching(request, tmp_path):
    """A host with one of the two programs, and what else the script needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in (request.param, "sh", "env", "stat", "cat", "sha256sum", "which", "install", "mv",
                 "rm", "cp", "sync", "chmod", "grep", "mkdir", "printf", "timeout",
                 "id"):  # fmt: skip
        found = next((f"{d}/{name}" for d in ("/usr/bin", "/bin") if os.path.exists(f"{d}/{name}")),
                     None)  # fmt: skip
        if found is None:
            pytest.skip(f"this machine has no {name}")
        (folder / name).symlink_to(found)
    (folder / "chown").symlink_to("/usr/bin/true")  # without root nothing is given to root
    return Here(tmp_path, path=str(folder))


def download(path, url, content=b"#!/bin/sh\n", **more):
    digest = hashlib.sha256(content).hexdigest()
    return Download("here", str(path), url, digest, mode="755", lab="attic", **more)


def fetch(host, resource):
    """Run what it wants; whose the folder is does not count here, where all are the test's own."""
    observed = resource.observe(host) | {"hand": "root"}
    return host.run(resource.diff(observed).changes[0].call)


def tool(path, url, content=b"#!/bin/sh\n", **more):
    """The same for a program in a user's own folders."""
    account = Account(getpass.getuser(), "users", str(path.parent))
    digest = hashlib.sha256(content).hexdigest()
    return Tool("here", path.name, account, url, digest, lab="attic", **more)


def left(folder):
    """What lies under any name that begins as the file's."""
    return [str(each.relative_to(folder)) for each in folder.rglob("kubectl*")]


@pytest.fixture(params=[download, tool])
def fetched(request):
    """What is fetched: a file of root's, or a program of a user's."""
    return request.param


def test_a_file_is_fetched(fetching, tmp_path, site):
    wanted = download(tmp_path / "kubectl", f"{site}/good")
    done = fetch(fetching, wanted)
    assert done.returncode == 0, done.stderr
    assert wanted.diff(wanted.observe(fetching)).clean
    assert fetching.ledger.read_text() == f"attic\t{tmp_path}/kubectl\n"


@pytest.mark.parametrize("path", ["/evil", "/missing"])
def test_what_is_not_what_was_named_leaves_nothing(fetching, tmp_path, site, path, fetched):
    done = fetch(fetching, fetched(tmp_path / "kubectl", f"{site}{path}", b"good"))
    assert done.returncode != 0
    assert not left(tmp_path)


def test_a_download_that_never_ends_is_cut_off_at_its_size(fetching, tmp_path, site, fetched):
    """By size, and long before its time is up; nothing of it stays on the disk."""
    wanted = fetched(tmp_path / "kubectl", f"{site}/endless", size_bytes=10_000_000)
    begun = time.monotonic()
    assert fetch(fetching, wanted).returncode != 0
    assert time.monotonic() - begun < 20 < wanted.timeout_s
    assert not left(tmp_path)


def test_a_configuration_that_never_ends_is_cut_off_and_nothing_of_it_stays(tmp_path, site):
    """What a firewall's own timer fetches, as systemd runs it."""
    options, path = tmp_path / "options", tmp_path / "firewall.xml"
    options.write_text(f'url = "{site}/endless"\n')
    path.write_text("<opnsense/>\n")
    first = shlex.split(fetch_commands(str(options), str(path), "</opnsense>")[0])
    if not os.path.exists("/usr/bin/curl"):
        pytest.skip("this machine has no curl")
    assert subprocess.run(first, capture_output=True, timeout=30).returncode != 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["firewall.xml", "options"]
    assert path.read_text() == "<opnsense/>\n"


def test_what_takes_too_long_is_given_up(fetching, tmp_path, site, fetched):
    wanted = fetched(tmp_path / "kubectl", f"{site}/slow", timeout_s=1)
    assert fetch(fetching, wanted).returncode != 0
    assert not left(tmp_path)


def test_a_tool_goes_through_no_link_that_lies_about(fetching, tmp_path, site):
    wanted = tool(tmp_path / "kubectl", f"{site}/good")
    folder = Path(wanted.path).parent
    folder.mkdir(parents=True)
    for ending in ("new", "archive"):
        (tmp_path / ending).write_text("precious\n")
        (folder / f"kubectl.homelab-{ending}").symlink_to(tmp_path / ending)
    done = fetch(fetching, wanted)
    assert done.returncode == 0, done.stderr
    assert wanted.diff(wanted.observe(fetching)).clean
    for ending in ("new", "archive"):
        assert (tmp_path / ending).read_text() == "precious\n"


def test_a_host_without_either_says_what_to_install(tmp_path, fetching):
    for name in ("curl", "wget"):
        (tmp_path / "bin" / name).unlink(missing_ok=True)
    assert "apt-get install curl" in (
        (wanted := download(tmp_path / "kubectl", "http://127.0.0.1:9/x")).diff(
            wanted.observe(fetching) | {"hand": "root"}
        ).conflict
    )  # fmt: skip
