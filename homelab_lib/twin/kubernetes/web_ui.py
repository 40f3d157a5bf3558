"""Open WebUI in a pod: a login, documents that a model reads, chats about them.

Sources: open-webui/open-webui 0.11: main.py (`lifespan`, `/api/config`, `/health`),
utils/auth.py (`create_admin_user`), routers/auths.py, files.py (a document that could not be
embedded is kept as *failed*, and its upload answers 200), retrieval.py and retrieval/utils.py;
models/config.py (settings of the first start go before the environment, unless that is switched
off). What a language model makes of a document nobody can foretell: see `language.quoted`. The
words of a document that could not be embedded are those of older releases.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object, dig
from homelab_lib.twin.kubernetes.services import ask
from homelab_lib.twin.machine.surroundings import BODY, METHOD, Answer, NetError

IMAGE = "ghcr.io/open-webui/open-webui"
_EPHEMERAL = "a folder of the pod's own"
_SETTINGS = {
    "ENABLE_SIGNUP": "True",
    "DEFAULT_USER_ROLE": "pending",
    "OLLAMA_BASE_URLS": "http://localhost:11434",
    "RAG_EMBEDDING_ENGINE": "",
    "RAG_EMBEDDING_MODEL": "sentence-transformers/all-MiniLM-L6-v2",
    "RAG_OLLAMA_BASE_URL": "http://localhost:11434",
}
_WRONG = (
    "The email or password provided is incorrect. Please check for typos and try logging in again."
)
_PROHIBITED = (
    "You do not have permission to access this resource. Please contact your administrator for "
    "assistance."
)
_TOO_LONG = (
    "Uh-oh! The password you entered is too long. Please make sure your password is less than 72 "
    "bytes long."
)
_TAKEN = (
    "Uh-oh! This email is already registered. Sign in with your existing account or choose another "
    "email to start anew."
)
_NOT_FOUND = "We could not find what you're looking for :/"
_NOTHING_CAME = "'NoneType' object is not iterable"
_PAGE = b"<!DOCTYPE html>\n<html>\n<head>\n<title>Open WebUI</title>\n</head>\n</html>\n"
_MOST_PASSWORD_BYTES = 72


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def started(cluster: Cluster, pod: Object) -> "WebUi":
    """The one of a pod that runs it."""
    claims = (dig(v, "persistentVolumeClaim.claimName") for v in pod["spec"].get("volumes", ()))
    claim = next(filter(None, claims), f"{_EPHEMERAL} {pod['metadata']['uid']}")
    machine = cluster.members[pod["spec"]["nodeName"]]
    kept = machine.kept.setdefault("open-webui", {})
    store = kept.setdefault(f"{pod['metadata']['namespace']}/{claim}", {})
    return WebUi(cluster, pod, _environment(cluster, pod), store)


def _environment(cluster: Cluster, pod: Object) -> dict[str, str]:
    found = {}
    for each in pod["spec"]["containers"][0].get("env", ()):
        secret = dig(each, "valueFrom.secretKeyRef")
        value = str(each.get("value", ""))
        if secret:
            space = pod["metadata"]["namespace"]
            data = dig(cluster.get("Secret", secret["name"], space), "data") or {}
            value = base64.b64decode(data.get(secret["key"], "")).decode()
        found[each["name"]] = value
    return found


class WebUi:
    """One of them; see `started`.

    Parameters
    ----------
    cluster, pod
        Where it runs.
    env
        Its environment.
    store
        What is on its volume: accounts, documents, settings.
    """

    def __init__(
        self, cluster: Cluster, pod: Object, env: Mapping[str, str], store: dict[str, Any]
    ) -> None:
        self.cluster, self.pod, self.env, self.store = cluster, pod, env, store
        told = {name: env.get(name, value) for name, value in _SETTINGS.items()}
        kept = env.get("ENABLE_PERSISTENT_CONFIG", "True").lower() == "true"
        self.settings = store.setdefault("settings", told) if kept else told
        self.users: dict[str, Any] = store.setdefault("users", {})
        self.files: dict[str, Any] = store.setdefault("files", {})
        # Of a real one that was there before the twin nobody knows the accounts, but that it has.
        self.has_strangers = store.setdefault("real", cluster.seeded and not self.users)
        email, password = env.get("WEBUI_ADMIN_EMAIL", ""), env.get("WEBUI_ADMIN_PASSWORD", "")
        if email and password and not self._has_users():
            self.users[email.lower()] = {"password": password, "role": "admin"}
            self.settings["ENABLE_SIGNUP"] = "False"

    def stop(self) -> None:
        """It ends; what is on its volume stays."""

    def __call__(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What it says to a request."""
        parts = urlsplit(path)
        method, body = headers.get(METHOD, "GET"), headers.get(BODY, "")
        try:
            for (verb, pattern), (who, answer) in _ROUTES.items():
                found = re.fullmatch(pattern, parts.path)
                if found is None or verb != method:
                    continue
                user = self._user(headers) if who else ""
                asked = dict(parse_qsl(parts.query)) | {"user": user} | found.groupdict()
                return _said(answer(self, asked, headers, body))
        except Refused as error:
            return _said({"detail": str(error)}, error.status)
        if method == "GET" and not parts.path.startswith("/api"):
            return 200, _PAGE, 0.0
        return _said({"detail": "Not Found"}, 404)

    # ------------------------------------------------------------------- accounts

    def _has_users(self) -> bool:
        return bool(self.users) or self.has_strangers

    def _user(self, headers: Mapping[str, str]) -> str:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            raise Refused(401, "Not authenticated")
        for email, user in self.users.items():
            if token == self._token(email):
                if user["role"] not in ("user", "admin"):
                    raise Refused(401, _PROHIBITED)
                return email
        raise Refused(
            401, "Your session has expired or the token is invalid. Please sign in again."
        )

    def _token(self, email: str) -> str:
        key = self.env.get("WEBUI_SECRET_KEY", "t0p-s3cr3t")
        return f"eyJhbGciOiJIUzI1NiJ9.{hashlib.sha256(f'{key}/{email}'.encode()).hexdigest()}"

    def _signin(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        form = json.loads(body)
        email, password = form["email"].lower(), form["password"]
        if self.has_strangers and email not in self.users:
            self.users[email] = {"password": password, "role": "admin"}
        user = self.users.get(email)
        if user is None or user["password"] != password:
            raise Refused(400, _WRONG)
        return {"token": self._token(email), "token_type": "Bearer", "expires_at": None} | {
            "id": _number(email), "email": email, "name": "Admin", "role": user["role"]
        }  # fmt: skip

    def _signup(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        if self._has_users() and self.settings["ENABLE_SIGNUP"].lower() != "true":
            raise Refused(403, _PROHIBITED)
        form, first = json.loads(body), not self._has_users()
        if form["email"].lower() in self.users:
            raise Refused(400, _TAKEN)
        if len(form["password"].encode()) > _MOST_PASSWORD_BYTES:
            raise Refused(400, _TOO_LONG)
        role = "admin" if first else self.settings["DEFAULT_USER_ROLE"]
        self.users[form["email"].lower()] = {"password": form["password"], "role": role}
        if first:
            self.settings["ENABLE_SIGNUP"] = "False"
        return self._signin(asked, headers, body)

    def _config(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        image = self.pod["spec"]["containers"][0]["image"]
        features = {
            "auth": self.env.get("WEBUI_AUTH", "True").lower() == "true",
            "enable_signup": self.settings["ENABLE_SIGNUP"].lower() == "true",
            "enable_login_form": True,
        }
        said = {"status": True, "name": "Open WebUI", "version": image.rpartition(":")[2]}
        onboarding = {} if self._has_users() else {"onboarding": True}
        return onboarding | said | {"default_locale": "", "features": features}

    # --------------------------------------------------------------------- models

    def _ollama(self, url: str, path: str, document: Any = None) -> Any:
        """What a server of models says; None where it says nothing good."""
        asked = {} if document is None else {METHOD: "POST", BODY: json.dumps(document)}
        try:
            status, said, _ = ask(self.cluster, self.pod, url, path, asked)
        except NetError:
            return None
        return json.loads(said) if status == 200 else None

    def _servers(self) -> dict[str, str]:
        """Of each model, the first server that has it."""
        found: dict[str, str] = {}
        for url in filter(None, self.settings["OLLAMA_BASE_URLS"].split(";")):
            for row in (self._ollama(url, "/api/tags") or {}).get("models", ()):
                found.setdefault(row["name"], url)
        return found

    def _models(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        return {"data": [{"id": name, "owned_by": "ollama"} for name in sorted(self._servers())]}

    def _embedded(self, text: str) -> list[float] | None:
        if self.settings["RAG_EMBEDDING_ENGINE"] != "ollama":
            return None  # by a model of its own, which a twin has not
        asked = {"input": [text], "model": self.settings["RAG_EMBEDDING_MODEL"]}
        said = self._ollama(self.settings["RAG_OLLAMA_BASE_URL"], "/api/embed", asked)
        vectors = (said or {}).get("embeddings") or [None]
        found: list[float] | None = vectors[0]
        return found

    # ------------------------------------------------------------------ documents

    def _search(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        wanted = asked["filename"].lower()
        found = [f for f in self.files.values() if fnmatch(f["filename"].lower(), wanted)]
        if not found:
            raise Refused(404, "No files found matching the pattern.")
        return [_shown(each) for each in found]

    def _upload(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        edge = headers.get("content-type", "").rpartition("boundary=")[2]
        head, _, rest = body.partition("\r\n\r\n")
        name = re.search(r'filename="([^"]*)"', head)
        if not edge or name is None:
            raise Refused(422, "Field required")
        text = rest.removesuffix(f"\r\n--{edge}--\r\n")
        key = _number(f"{name[1]}{len(self.files)}{self.cluster.world.clock.now()}")
        made = {"id": key, "user_id": _number(asked["user"]), "filename": name[1]}
        self.files[key] = made | {"text": text, "status": "pending", "error": ""}
        uploaded = _shown(self.files[key])  # as it was before it was read
        vector = self._embedded(text)
        told = {"status": "completed"} if vector else {"status": "failed", "error": _NOTHING_CAME}
        self.files[key] |= told | {"vector": vector}
        return uploaded | {"status": True}

    def _file(self, asked: Any) -> dict[str, Any]:
        if asked["id"] not in self.files:
            raise Refused(404, _NOT_FOUND)
        found: dict[str, Any] = self.files[asked["id"]]
        return found

    def _status(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        return {"status": self._file(asked)["status"]}

    def _shown(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        return _shown(self._file(asked))

    def _delete(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        self.files.pop(self._file(asked)["id"])
        return {"message": "File deleted successfully"}

    def _query(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        form = json.loads(body)
        file = self._file({"id": form["collection_name"].removeprefix("file-")})
        vector = self._embedded(form["query"])
        if vector is None or file.get("vector") is None:
            raise Refused(400, f"[ERROR: {_NOTHING_CAME}]")
        near = sum(a * b for a, b in zip(vector, file["vector"], strict=True))
        return {
            "ids": [[file["id"]]],
            "distances": [[round((1 + near) / 2, 6)]],
            "documents": [[file["text"]]],
            "metadatas": [[{"name": file["filename"], "file_id": file["id"]}]],
        }

    def _chat(self, asked: Any, headers: Mapping[str, str], body: str) -> Any:
        form = json.loads(body)
        url = self._servers().get(form["model"])
        if url is None:
            raise Refused(400, "Model not found")
        question = form["messages"][-1]["content"]
        read = ""
        for each in form.get("files", ()):
            file = self._file(each)
            if self._embedded(question) and file.get("vector"):
                source = f'<source id="1" name="{file["filename"]}">{file["text"]}</source>'
                read += f"<context>\n{source}\n</context>\n\n"
        message = {"role": "user", "content": f"{read}{question}"}
        told = {"model": form["model"], "messages": [message], "stream": False}
        said = self._ollama(url, "/api/chat", told)
        if said is None:
            raise Refused(400, "Open WebUI: Server Connection Error")
        choice = {"index": 0, "message": said["message"], "finish_reason": "stop"}
        return {"id": f"{form['model']}-1", "object": "chat.completion", "choices": [choice]}


Handler = Callable[[WebUi, Any, Mapping[str, str], str], Any]
_ID = r"(?P<id>[0-9a-f-]{36})"
_ROUTES: dict[tuple[str, str], tuple[bool, Handler]] = {
    ("GET", "/health(/db)?"): (False, lambda *_: {"status": True}),
    ("GET", "/api/config"): (False, WebUi._config),
    ("POST", "/api/v1/auths/signin"): (False, WebUi._signin),
    ("POST", "/api/v1/auths/signup"): (False, WebUi._signup),
    ("GET", "/api/models"): (True, WebUi._models),
    ("GET", "/api/v1/files/search"): (True, WebUi._search),
    ("POST", "/api/v1/files/"): (True, WebUi._upload),
    ("GET", f"/api/v1/files/{_ID}/process/status"): (True, WebUi._status),
    ("GET", f"/api/v1/files/{_ID}"): (True, WebUi._shown),
    ("DELETE", f"/api/v1/files/{_ID}"): (True, WebUi._delete),
    ("POST", "/api/v1/retrieval/query/doc"): (True, WebUi._query),
    ("POST", "/api/chat/completions"): (True, WebUi._chat),
}
"""What it answers, and whether only to whoever is signed in."""


def _shown(file: Mapping[str, Any]) -> dict[str, Any]:
    data = {"status": file["status"]}
    data |= {"content": file["text"]} if file["status"] != "pending" else {}
    data |= {"error": file["error"]} if file["error"] else {}
    own = {key: file[key] for key in ("id", "user_id", "filename")}
    return own | {"data": data, "meta": {"name": file["filename"], "content_type": "text/plain"}}


def _number(text: str) -> str:
    drawn = hashlib.sha256(text.encode()).hexdigest()
    return "-".join((drawn[:8], drawn[8:12], drawn[12:16], drawn[16:20], drawn[20:32]))


def _said(document: Any, status: int = 200) -> Answer:
    return status, json.dumps(document, separators=(",", ":")).encode(), 0.2
