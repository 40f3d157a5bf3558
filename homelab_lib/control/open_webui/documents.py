"""A document that Open WebUI was given to read, and asked for: by the model that embeds, and then
by one that answers.

Sources: docs.openwebui.com, API endpoints; open-webui/open-webui 0.11 routers/auths.py, files.py
(an upload answers 200 also where its document could not be read: its status says so; who
administers it finds everybody's documents, by their names alone), retrieval.py.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control.linux import read_file
from homelab_lib.control.open_webui.api import Place
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

_ANSWER: Shape = {
    "passage": {"documents": [[str]], "distances?": [[(int, float)]]},
    "answer": {"choices": [{"message": {"content": str}}]},
}
# $1 where the answer is kept, $2 the address, $3 the document's name, $4 its text, $5 what is
# looked for in it, $6 the chat; in both, FILE stands for the document's number. The login is on
# standard input; what comes of it is nowhere among the processes, for printf is the shell's own.
_SCRIPT = r"""set -eu; umask 077
mkdir -p "${1%/*}"
trap 'rm -f "$1.text" "$1.new"' EXIT
said=$(curl -sS --fail-with-body -m 60 -H 'Content-Type: application/json' --data-binary @- \
  "$2/api/v1/auths/signin") || { echo "signing in: $said" >&2; exit 1; }
token=$(printf '%s\n' "$said" | grep -o '"token":"[^"]*"' | head -n 1 | cut -d '"' -f 4)
[ -n "$token" ] || { echo "signing in: it gives no token" >&2; exit 1; }
ask() {
  printf 'Authorization: Bearer %s\n' "$token" | curl -sS --fail-with-body -m 600 -H @- "$@"
}
number() { grep -o '"id":"[^"]*"' | head -n 1 | cut -d '"' -f 4; }
json='Content-Type: application/json'
said=$(ask "$2/api/v1/files/search?filename=$3" || true)
case $said in
  '[]' | '{"detail":"No files found'*) file=;;
  '[{'*'"id":"'*) file=$(printf '%s\n' "$said" | number);;
  *) echo "looking for the document: ${said:-no answer}" >&2; exit 1;;
esac
if [ -z "$file" ]; then
  printf '%s' "$4" > "$1.text"
  said=$(ask -F "file=@$1.text;filename=$3;type=text/plain" \
    "$2/api/v1/files/?process_in_background=false") || { echo "uploading: $said" >&2; exit 1; }
  file=$(printf '%s\n' "$said" | number)
fi
said=$(ask "$2/api/v1/files/$file/process/status")
case $said in *'"completed"'*) ;; *)
  ask "$2/api/v1/files/$file" >&2 || true
  ask -X DELETE "$2/api/v1/files/$file" > /dev/null || true
  echo "reading the document: $said" >&2; exit 1;;
esac
query=$(printf '%s\n' "$5" | sed "s/FILE/$file/g")
passage=$(ask -H "$json" --data-binary "$query" "$2/api/v1/retrieval/query/doc") ||
  { echo "looking in the document: $passage" >&2; exit 1; }
chat=$(printf '%s\n' "$6" | sed "s/FILE/$file/g")
answer=$(ask -H "$json" --data-binary "$chat" "$2/api/chat/completions") ||
  { echo "asking: $answer" >&2; exit 1; }
printf '{"passage":%s,"answer":%s}\n' "$passage" "$answer" > "$1.new"
sync "$1.new"
mv -fT -- "$1.new" "$1"
"""


@dataclass(frozen=True)
class DocumentAsked:
    """A document that was read and asked for once, the answer kept.

    Parameters
    ----------
    host, place
        A node, and where Open WebUI is.
    email, password
        Its administrator's login.
    title, text
        The document. Its name there tells of its text and of who reads it, too: one that is called
        so is ours, whatever else there is of that title.
    question
        What is asked of it.
    embeds, model
        The models that read it and that answer, by their tags.
    keep
        The file that the answer is kept in, on the node.
    """

    host: str
    place: Place
    email: str
    password: Secret = field(hash=False)
    title: str
    text: str
    question: str
    embeds: str
    model: str
    keep: str
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"document {self.title} in {self.place.namespace}/{self.place.service}"

    @property
    def _file(self) -> str:
        """Another document, question or model is asked anew."""
        told = "\n".join((self.title, self.text, self.question, self.embeds, self.model))
        return f"{self.keep}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.json"

    @property
    def _called(self) -> str:
        """What the document is called there."""
        title = PurePosixPath(self.title)
        told = hashlib.sha256(f"{self.text}\n{self.embeds}".encode()).hexdigest()[:12]
        return f"{title.stem}-{told}{title.suffix}"

    def observe(self, host: Host) -> dict[str, Any]:
        kept = bool(read_file(host, self._file).strip())
        return {"kept": kept, "url": "" if kept else self.place.url(host)}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["kept"]:
            return Diff()
        if not observed["url"]:
            return Diff(waiting=f"service {self.place.service} has no address yet")
        query = {"collection_name": "file-FILE", "query": self.question, "k": 1}
        chat = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.question}],
            "files": [{"type": "file", "id": "FILE"}],
            "stream": False,
        }
        words = (self._file, observed["url"], self._called, self.text, json.dumps(query))
        call = change(
            "sh",
            "-c",
            _SCRIPT,
            "sh",
            *words,
            json.dumps(chat),
            stdin=Secret("Open WebUI's login", self._login),
            sudo=True,
            timeout_s=self.timeout_s,
        )
        what = (
            f"give {self.place.service} the document {self.title}, which {self.embeds} reads, and "
            f"ask {self.model} about it"
        )
        undo = f"delete {self._called} on the page of {self.place.service}; rm {self._file}"
        return Diff((Change(what, call, undo=undo),))

    def _login(self) -> str:
        return json.dumps({"email": self.email, "password": self.password.reveal()})

    def told(self, host: Host) -> tuple[str, str]:
        """The passage that was found, and the answer.

        Raises
        ------
        NotUnderstood
            What was kept is no such thing.
        """
        text = read_file(host, self._file)
        found = answers.understood(text, _ANSWER, host=host.name, line=f"cat {self._file}")
        passages = [each for some in found["passage"]["documents"] for each in some]
        return " ".join(passages), found["answer"]["choices"][0]["message"]["content"]
