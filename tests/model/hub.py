"""A stand-in for the Hugging Face Hub on this machine: repositories of files, as huggingface_hub asks for them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 20_000  # files from here on have a sha256, as in Git LFS


@dataclass
class Hub:
    """What the hub holds and does. `asked` has (method, path, range) of all requests for files."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    licence: str = "apache-2.0"
    gated: bool = False
    cut_once: str | None = None  # a file whose first answer ends in its middle
    broken: str | None = None  # a file that is refused
    damaged: str | None = None  # a file that is served with another byte than the hub knows it by
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    address: str = ""

    def gets(self, name: str) -> list[str | None]:
        """Return the ranges in which a file was fetched."""
        return [span for method, path, span in self.asked if method == "GET" and path.endswith("/" + name)]


@contextmanager
def running(hub: Hub) -> Iterator[Hub]:
    """Serve `hub` at `hub.address`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            parts = urlparse(self.path).path.strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                return self.describe("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
            repository, name = "/".join(parts[:2]), "/".join(parts[4:])
            hub.asked.append((self.command, self.path, self.headers.get("Range")))
            content = hub.repositories.get(repository, {}).get(name)
            if content is None:
                return self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            if name == hub.broken and self.command == "GET":
                return self.send(403, b"no")
            return self.send_file(name, content)

        def describe(self, repository: str, revision: str) -> None:
            files = hub.repositories.get(repository)
            if files is None or revision not in ("main", COMMIT):
                return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound" if files is None else "RevisionNotFound"})
            if hub.gated:
                return self.send(403, b"{}", {"X-Error-Code": "GatedRepo"})
            siblings = [{"rfilename": name, "size": len(data), **hashes(data)} for name, data in files.items()]
            told = {"id": repository, "sha": COMMIT, "tags": ["x", f"license:{hub.licence}"], "siblings": siblings}
            return self.send(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

        def send_file(self, name: str, content: bytes) -> None:
            known = hashes(content)
            etag = known["lfs"]["sha256"] if "lfs" in known else known["blobId"]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if name == hub.damaged:
                content = bytes([content[0] ^ 1]) + content[1:]
            status, span = 200, self.headers.get("Range")
            if span and self.command == "GET":
                begin = int(span.removeprefix("bytes=").split("-")[0])
                status, whole = 206, len(content)
                content = content[begin:]
                headers["Content-Range"] = f"bytes {begin}-{whole - 1}/{whole}"
            if name == hub.cut_once and self.command == "GET":
                hub.cut_once = None
                return self.send(status, content, headers, sent=len(content) // 2)
            return self.send(status, content, headers)

        def send(self, status: int, content: bytes, headers: dict[str, str] | None = None, sent: int = -1) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content if sent < 0 else content[:sent])
            self.close_connection = sent >= 0

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hashes(content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if len(content) < LARGE_BYTES:
        return {"blobId": blob}
    sha256 = hashlib.sha256(content).hexdigest()
    return {"blobId": blob, "lfs": {"size": len(content), "sha256": sha256, "pointerSize": 130}}
