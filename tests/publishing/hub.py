"""A server on the loopback address that speaks the calls of the Hugging Face Hub which upload and fetch a model."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hub:
    """Repositories by name; each commit is the files by path. `calls` lists the requests."""

    def __init__(self) -> None:
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.endpoint = ""

    def sha(self, name: str, number: int) -> str:
        """Return the name of a commit."""
        return hashlib.sha1(f"{name} {number}".encode()).hexdigest()

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """Return the files of a revision. Raise `KeyError` if there is none."""
        commits = self.commits[name]
        known = {self.sha(name, number): files for number, files in enumerate(commits)}
        return commits[-1] if revision == "main" else known[revision]


class Handler(BaseHTTPRequestHandler):
    """Answers requests from the hub that the server holds."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, content: bytes | dict[str, Any] | list[Any], status: int = 200, **headers: str) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def missing(self) -> None:
        """Answer as the Hub does for a repository that does not exist."""
        self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    def do_POST(self) -> None:
        path, content = self.path.partition("?")[0], self.body()
        self.hub.calls.append(f"POST {path}")
        if path == "/api/repos/create":
            asked = json.loads(content)
            name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
            self.hub.commits.setdefault(name, [{}])
            self.hub.private.setdefault(name, asked.get("visibility") == "private" or asked.get("private") is True)
            self.answer({"url": f"{self.hub.endpoint}/{name}", "name": name, "id": name})
        elif path == "/api/validate-yaml":
            assert "license:" in json.loads(content)["content"]
            self.answer({})
        elif "/preupload/" in path:
            files = [one["path"] for one in json.loads(content)["files"]]
            modes = {name: "lfs" if name.endswith((".safetensors", ".png")) else "regular" for name in files}
            self.answer({"files": [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]})
        elif path.endswith("/objects/batch"):
            wanted = json.loads(content)["objects"]
            upload = [
                {**one, "actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{one['oid']}"}}} for one in wanted
            ]
            self.answer({"transfer": "basic", "objects": upload})
        elif "/commit/" in path:
            self.commit(path.removeprefix("/api/models/").partition("/commit/")[0], content)
        else:
            self.missing()

    def commit(self, name: str, content: bytes) -> None:
        files = dict(self.hub.files(name))
        for line in map(json.loads, content.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.hub.objects[line["value"]["oid"]]
        self.hub.commits[name].append(files)
        sha = self.hub.sha(name, len(self.hub.commits[name]) - 1)
        self.answer({"commitUrl": f"{self.hub.endpoint}/{name}/commit/{sha}", "commitOid": sha, "success": True})

    def do_PUT(self) -> None:
        content, oid = self.body(), self.path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.objects[oid] = content
        self.answer({})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].replace("%2F", "/")
        self.hub.calls.append(f"{self.command} {path}")
        try:
            self.fetch(path)
        except KeyError:
            self.missing()

    def fetch(self, path: str) -> None:
        if path.startswith("/api/models/"):
            parts = path.removeprefix("/api/models/").split("/")
            name, revision = "/".join(parts[:2]), parts[3] if len(parts) > 3 else "main"
            files = self.hub.files(name, revision)
            if "tree" in parts:
                self.answer([_entry(file, content) for file, content in files.items()])
            else:
                number = self.hub.commits[name].index(files)
                self.answer(
                    {
                        "id": name,
                        "modelId": name,
                        "sha": self.hub.sha(name, number),
                        "private": self.hub.private[name],
                        "siblings": [{"rfilename": file} for file in files],
                        "tags": [],
                        "downloads": 0,
                        "likes": 0,
                    }
                )
            return
        name, word, place = path.strip("/").partition("/resolve/")
        revision, _, file = place.partition("/")
        if not word:
            raise KeyError(path)
        content = self.hub.files(name, revision)[file]
        self.answer(content, X_Repo_Commit=revision, ETag=f'"{hashlib.sha256(content).hexdigest()}"')


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


@contextmanager
def serving() -> Iterator[Hub]:
    """Yield a hub that answers at its `endpoint` inside the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = server.hub = Hub()  # type: ignore[attr-defined]
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
