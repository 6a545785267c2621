"""A small server that answers as the Hugging Face hub does, for the models of a folder."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "e" * 40
GOOD, OUTSIDER, EXPIRED = "hf_good_canary", "hf_outsider_canary", "hf_expired_canary"
"""Tokens: one of an account with access to gated models, one without, one that is not valid."""

_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)/(?P<what>revision|auth-check|tree)")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/[^/]+/(?P<file>[^/?]+)")


@contextmanager
def hub_server(repositories: Path) -> Iterator[str]:
    """Serve every folder `owner/name`; those named `gated*` are gated. Gives the address."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            found = _API.match(self.path) or _FILE.match(self.path)
            folder = repositories / found["id"] if found else None
            if token == EXPIRED:
                self._refuse(401, "", "Invalid credentials in Authorization header")
            elif found is None or folder is None or not folder.is_dir():
                self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
            elif "what" in found.groupdict() and found["what"] != "auth-check":
                files = [file for file in sorted(folder.rglob("*.*")) if file.is_file()]
                sizes = {str(file.relative_to(folder)): file.stat().st_size for file in files}
                about: Any = {
                    "id": found["id"],
                    "sha": COMMIT,
                    "gated": "manual" if folder.name.startswith("gated") else False,
                    "siblings": [{"rfilename": name, "size": sizes[name]} for name in sizes],
                }
                weights = sum(sizes[name] for name in sizes if name.endswith(".safetensors"))
                about["safetensors"] = {"parameters": {"F32": weights // 4}, "total": weights // 4}
                if found["what"] == "tree":
                    about = [
                        {"type": "file", "path": name, "size": sizes[name], "oid": "0" * 40}
                        for name in sizes
                    ]
                self._send(json.dumps(about).encode(), with_body=with_body)
            elif folder.name.startswith("gated") and token != GOOD:
                self._refuse(403 if token else 401, "GatedRepo", "Access is restricted")
            elif "file" in found.groupdict():
                self._send((folder / found["file"]).read_bytes(), with_body=with_body)
            else:
                self._send(b"{}", with_body=with_body)

        def _send(self, body: bytes, *, with_body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def _refuse(self, status: int, code: str, message: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", message)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
