"""What the hub refuses is told apart before anything is downloaded, without a word of the token."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants

from emoact.errors import RequestError
from emoact.jobs.request import ExtractRequest, prepare
from emoact.models import weights
from emoact.models.resolve import resolve_model
from tests.support.families import tiny_config
from tests.support.tiny_models import seeded_model, small_tokenizer

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


@pytest.fixture
def repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a hub that this process and its children ask, without any token."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    # The hub's client reads them when it is imported.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repositories"
    with hub_server(folder) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield folder


SIZES = {"n_layer": 1, "n_embd": 4, "n_head": 1, "vocab_size": 9}


def _file(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, size)


def test_a_download_is_announced_with_its_commit_and_its_bytes(repositories: Path) -> None:
    for name, size in {
        "config.json": 700,
        "model.safetensors": 300_000_000,
        "onnx/model.onnx": 900_000_000,
        "pytorch_model.bin": 300_000_000,
        "modeling.py": 10,
    }.items():
        _file(repositories / "lab" / "big" / name, size)
    config = repositories / "lab" / "big" / "config.json"
    config.write_text(json.dumps(SIZES).ljust(700))
    source = resolve_model("lab/big")
    assert (source.needs, source.commit) == ("download", COMMIT)
    # Only the files that would be fetched count: no code, no second copy of the weights.
    assert source.download_bytes == 300_000_700


@pytest.mark.parametrize(
    ("model", "token", "expected"),
    [
        ("lab/gated", None, r"is gated: its terms .* no access token is set[^$]*Accept its terms"),
        ("lab/gated", OUTSIDER, r"account of the access token has no access[^$]*fine-grained"),
        ("lab/gated", EXPIRED, r"does not accept the access token of HF_TOKEN[^$]*Make a new tok"),
        ("lab/open", EXPIRED, r"does not accept the access token of HF_TOKEN"),
        ("lab/nothing", None, r"does not show lab/nothing@main[^$]*For a private model"),
        ("lab/nothing", GOOD, r"the hub has no model lab/nothing@main"),
    ],
)
def test_what_the_hub_withholds_is_told_apart_with_the_remedy(
    model: str,
    token: str | None,
    expected: str,
    repositories: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("gated", "open"):
        _file(repositories / "lab" / name / "model.safetensors", 8)
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(RequestError, match=expected) as caught:
        resolve_model(model)
    assert "canary" not in str(caught.value)


def test_a_token_of_a_login_is_named_so(repositories: Path) -> None:
    _file(repositories / "lab" / "open" / "model.safetensors", 8)
    login = Path(constants.HF_TOKEN_PATH)
    login.parent.mkdir(parents=True)
    login.write_text(EXPIRED)
    with pytest.raises(RequestError, match="access token of `hf auth login`"):
        resolve_model("lab/open")


def test_weights_that_do_not_fit_are_refused_before_their_download(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(repositories / "lab" / "big" / "model.safetensors", 4_000_000)
    monkeypatch.setattr(weights, "free_memory", lambda: 1_000_000)
    request = ExtractRequest(models=("lab/big",), results=tmp_path / "results")
    with pytest.raises(RequestError, match=r"of lab/big take 4.00 MB in float32, and 1.00 MB"):
        prepare(request)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "gemma3", "text_config": SIZES}, "gemma3 reads more than text"),
        ({"model_type": "t5", "vocab_size": 9}, "decoder-only"),
    ],
)
def test_a_model_that_is_not_read_is_refused_before_its_download(
    config: object, expected: str, repositories: Path, tmp_path: Path
) -> None:
    _file(repositories / "lab" / "eyes" / "model.safetensors", 8)
    (repositories / "lab" / "eyes" / "config.json").write_text(json.dumps(config))
    with pytest.raises(RequestError, match=expected):
        resolve_model("lab/eyes")
    assert not (tmp_path / "hf" / "hub").exists()


def test_a_download_that_was_interrupted_goes_on_where_there_is_a_hub(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _file(repositories / "lab" / "big" / "model.safetensors", 8)
    snapshot = tmp_path / "hf" / "hub" / "models--lab--big" / "snapshots" / COMMIT
    _file(snapshot / "config.json", 0)
    (snapshot / "config.json").write_text(json.dumps(SIZES))
    refs = tmp_path / "hf" / "hub" / "models--lab--big" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    assert resolve_model("lab/big").needs == "download"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RequestError, match="holds no weights"):
        resolve_model("lab/big")


def test_a_gated_model_in_shards_works(repositories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emoact.extraction.extractor import ActivationExtractor

    tokenizer = small_tokenizer()
    model = seeded_model(tiny_config("llama", len(tokenizer)))
    whole, sharded = repositories / "lab" / "whole", repositories / "lab" / "gated-shards"
    for folder, size in ((whole, "1GB"), (sharded, "40KB")):
        model.save_pretrained(folder, max_shard_size=size)
        tokenizer.save_pretrained(folder)
    assert len(list(sharded.glob("*.safetensors"))) > 2
    monkeypatch.setenv("HF_TOKEN", GOOD)
    done = subprocess.run(
        [sys.executable, "-m", "emoact", "models", "install", "lab/gated-shards"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout + done.stderr
    ours = ActivationExtractor("lab/gated-shards").extract("Thank you for the soup.")
    theirs = ActivationExtractor(str(whole)).extract("Thank you for the soup.")
    np.testing.assert_array_equal(ours.residual_stream, theirs.residual_stream)
