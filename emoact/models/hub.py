"""Hugging Face hub: snapshots in its cache, and sizes of downloads."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.errors import RequestError

REACH_SECONDS = 3.0
"""Longest wait for an answer of the hub."""

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.safetensors",
    "model.safetensors.index.json",
)
"""Files of a download; none of them can be executed."""
PICKLED_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, kw_only=True)
class RemoteSize:
    """Commit and number of bytes of a download."""

    commit: str
    total: int


def hub_cache() -> Path:
    """Cache folder of the hub's client, read from the environment at each call."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME")
    root = Path(base).expanduser() if base else Path.home() / ".cache"
    return root / "huggingface" / "hub"


def is_offline() -> bool:
    """True when the user has switched the hub off."""
    values = (os.environ.get("HF_HUB_OFFLINE", ""), os.environ.get("TRANSFORMERS_OFFLINE", ""))
    return any(value.upper() in {"1", "ON", "YES", "TRUE"} for value in values)


def cached_snapshot(hub_id: str, revision: str) -> Path | None:
    """Snapshot folder of a revision in the cache, or None.

    The folder's name is the commit. An interrupted download leaves it incomplete.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            hub_id, revision=revision, cache_dir=hub_cache(), local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    snapshot = Path(str(found))
    return snapshot if (snapshot / "config.json").is_file() else None


def remote_size(
    hub_id: str, revision: str, *, looked_in: Path, suggestion: str, allow_pickle_weights: bool
) -> RemoteSize:
    """Commit and size of a download.

    Raises:
        RequestError: The hub is switched off, cannot be reached, or does not have the model.
    """
    if is_offline():
        why = "the hub is switched off (HF_HUB_OFFLINE)"
        raise _missing(hub_id, revision, looked_in, why, suggestion)
    answer = _ask(hub_id, revision)
    if isinstance(answer, urllib.error.HTTPError):
        raise _refused(hub_id, revision, answer.code, suggestion)
    if isinstance(answer, Exception):
        reason = getattr(answer, "reason", None) or answer
        why = f"the hub cannot be reached ({reason})"
        raise _missing(hub_id, revision, looked_in, why, suggestion)
    files = [
        (str(entry.get("rfilename", "")), int(entry.get("size") or 0))
        for entry in answer.get("siblings", [])
        if isinstance(entry, dict)
    ]
    patterns = FILES + (PICKLED_FILES if allow_pickle_weights else ())
    wanted = [(name, size) for name, size in files if _matches(name, patterns)]
    if not any(name.endswith((".safetensors", ".bin")) for name, _ in wanted):
        raise RequestError(
            f"model {hub_id}@{revision} has no safetensors weights on the hub",
            remedy="Choose a revision that has them, or pass --allow-pickle-weights if you trust "
            "its publisher.",
        )
    return RemoteSize(commit=str(answer.get("sha", "")), total=sum(size for _, size in wanted))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return "/" not in name and any(Path(name).match(pattern) for pattern in patterns)


def _ask(hub_id: str, revision: str) -> dict[str, Any] | Exception:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    quoted = urllib.parse.quote(revision, safe="")
    url = f"{endpoint}/api/models/{hub_id}/revision/{quoted}?blobs=true"
    if urllib.parse.urlsplit(url).scheme not in {"https", "http"}:
        return RequestError(f"HF_ENDPOINT is {endpoint!r}; an http(s) address is expected")
    request = urllib.request.Request(url, headers={"user-agent": "emoact"})  # noqa: S310 checked above
    token = _token()
    if token:
        request.add_unredirected_header("authorization", f"Bearer {token}")
    outcome: list[dict[str, Any] | Exception] = []

    def fetch() -> None:
        try:
            with urllib.request.urlopen(request, timeout=REACH_SECONDS) as response:  # noqa: S310
                answer = json.load(response)
            outcome.append(answer if isinstance(answer, dict) else ValueError("odd answer"))
        except (OSError, ValueError) as error:
            outcome.append(error)

    # Name resolution has no time limit, so the wait is limited here.
    thread = threading.Thread(target=fetch, daemon=True, name="hub-reach")
    thread.start()
    thread.join(REACH_SECONDS)
    return outcome[0] if outcome else TimeoutError(f"no answer within {REACH_SECONDS:.0f} s")


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _refused(hub_id: str, revision: str, status: int, suggestion: str) -> RequestError:
    if status in {401, 403}:
        return RequestError(
            f"the hub does not offer {hub_id}@{revision} (HTTP {status}): it does not exist, "
            "or its licence has to be accepted first",
            remedy=f"{suggestion} For a gated model, accept its terms on its hub page and set "
            "HF_TOKEN.",
        )
    if status == 404:
        return RequestError(f"the hub has no model {hub_id}@{revision}", remedy=suggestion)
    return RequestError(
        f"the hub answered HTTP {status} for {hub_id}@{revision}", remedy="Try again later."
    )


def _missing(
    hub_id: str, revision: str, looked_in: Path, why: str, suggestion: str
) -> RequestError:
    return RequestError(
        f"model {hub_id}@{revision} is not in the hub cache ({looked_in}), and {why}",
        remedy=f"{suggestion} Otherwise download it where there is a network (`hf download "
        f"{hub_id}`) and copy models--{hub_id.replace('/', '--')} into that folder (HF_HOME moves "
        "it), or give the path of a local Hugging Face directory or .gguf file with --model. The "
        "embedded model smollm2-135m needs no hub.",
    )
