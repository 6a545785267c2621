"""Hugging Face hub: snapshots in its cache, and sizes of downloads."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from emoact.errors import RequestError
from emoact.files import is_there
from emoact.models.shape import read_config, shape_of_config

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo
    from huggingface_hub.errors import HfHubHTTPError

T = TypeVar("T")

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
    """Commit of a download, its number of bytes, and of parameters where the hub knows it."""

    commit: str
    total: int
    n_parameters: int | None


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
    cache = hub_cache()
    # Its client takes a quarter of a second to import, and a page asks for every known model.
    folder = cache / f"models--{hub_id.replace('/', '--')}"
    if not folder.is_dir():
        return None
    ref = folder / "refs" / revision
    if is_there(ref) and not ref.is_file():
        # The client would wait for a pipe, and read a device without end.
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = snapshot_download(hub_id, revision=revision, cache_dir=cache, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        # An id that the hub does not have, or a commit that is no text.
        return None
    snapshot = Path(str(found))
    return snapshot if (snapshot / "config.json").is_file() else None


def remote_size(
    hub_id: str, revision: str, *, suggestion: str, allow_pickle_weights: bool
) -> RemoteSize:
    """Commit and sizes of a download, whose configuration is read first.

    Raises:
        RequestError: The hub is switched off, cannot be reached, or does not have the model; or the
            model reads more than text.
    """
    from huggingface_hub.errors import HfHubHTTPError

    if is_offline():
        why = "the hub is switched off (HF_HUB_OFFLINE)"
        raise _missing(hub_id, revision, why, suggestion)
    answer = _ask(hub_id, revision)
    if isinstance(answer, HfHubHTTPError):
        raise _refused(hub_id, revision, answer, suggestion)
    if isinstance(answer, Exception):
        why = f"the hub cannot be reached ({answer})"
        raise _missing(hub_id, revision, why, suggestion)
    patterns = FILES + (PICKLED_FILES if allow_pickle_weights else ())
    wanted = [file for file in answer.siblings or () if _matches(file.rfilename, patterns)]
    if not any(file.rfilename.endswith((".safetensors", ".bin")) for file in wanted):
        raise RequestError(
            f"model {hub_id}@{revision} has no safetensors weights on the hub",
            remedy="Choose a revision that has them, or pass --allow-pickle-weights if you trust "
            "its publisher.",
        )
    if any(file.rfilename == "config.json" for file in wanted):
        _check_config(hub_id, answer.sha or revision)
    return RemoteSize(
        commit=answer.sha or "",
        total=sum(file.size or 0 for file in wanted),
        n_parameters=None if answer.safetensors is None else answer.safetensors.total,
    )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return "/" not in name and any(Path(name).match(pattern) for pattern in patterns)


def _ask(hub_id: str, revision: str) -> ModelInfo | Exception:
    """Answer of the hub about a model whose files may be read, or the error in its place."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))

    def describe() -> ModelInfo:
        info = api.model_info(hub_id, revision=revision, files_metadata=True, timeout=REACH_SECONDS)
        if info.gated:
            # The hub describes a gated model to everybody; its files are another matter.
            api.auth_check(hub_id)
        return info

    return _in_time(describe)


def _check_config(hub_id: str, commit: str) -> None:
    """Refuse a model that emoact does not read by its configuration, a few kilobytes.

    A configuration that does not come in time is looked at after the download.
    """
    from huggingface_hub import hf_hub_download

    with tempfile.TemporaryDirectory() as folder:
        found = _in_time(
            lambda: hf_hub_download(
                hub_id,
                "config.json",
                revision=commit,
                local_dir=folder,
                endpoint=os.environ.get("HF_ENDPOINT"),
                etag_timeout=REACH_SECONDS,
            )
        )
        if isinstance(found, str):
            shape_of_config(read_config(Path(folder)), Path(hub_id, "config.json"))


def _in_time(ask: Callable[[], T]) -> T | Exception:
    """Answer of the hub within `REACH_SECONDS`, or the error in its place."""
    outcome: list[T | Exception] = []

    def fetch() -> None:
        try:
            outcome.append(ask())
        # The client has errors of its own, of its HTTP library and of JSON.
        except Exception as error:  # noqa: BLE001
            outcome.append(error)

    # Name resolution has no time limit, so the wait is limited here.
    thread = threading.Thread(target=fetch, daemon=True, name="hub-reach")
    thread.start()
    thread.join(REACH_SECONDS)
    return outcome[0] if outcome else TimeoutError(f"no answer within {REACH_SECONDS:.0f} s")


def _refused(hub_id: str, revision: str, error: HfHubHTTPError, suggestion: str) -> RequestError:
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError

    status, has_token = error.response.status_code, get_token() is not None
    named, page = f"{hub_id}@{revision}", f"https://huggingface.co/{hub_id}"
    if status == 401 and has_token:
        where = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "`hf auth login`"
        return RequestError(
            f"the hub does not accept the access token of {where} (HTTP 401), so {named} cannot be "
            "read: the token is expired, revoked or mistyped",
            remedy="Make a new token on https://huggingface.co/settings/tokens and set HF_TOKEN or "
            "run `hf auth login`. A public model needs none.",
        )
    if isinstance(error, GatedRepoError) and has_token:
        return RequestError(
            f"{named} is gated, and the account of the access token has no access to it "
            f"(HTTP {status})",
            remedy=f"Accept its terms on {page} with that account and wait until access is given. "
            "A fine-grained token also needs the permission to read gated repositories.",
        )
    if isinstance(error, GatedRepoError):
        return RequestError(
            f"{named} is gated: its terms have to be accepted, and no access token is set "
            f"(HTTP {status})",
            remedy=f"Accept its terms on {page}, then set HF_TOKEN or run `hf auth login`.",
        )
    if status in {401, 403}:
        return RequestError(
            f"the hub does not show {named} (HTTP {status}): it does not exist, or it is private",
            remedy=f"{suggestion} For a private model set HF_TOKEN or run `hf auth login`.",
        )
    if status == 404:
        return RequestError(f"the hub has no model {named}", remedy=suggestion)
    return RequestError(f"the hub answered HTTP {status} for {named}", remedy="Try again later.")


def _missing(hub_id: str, revision: str, why: str, suggestion: str) -> RequestError:
    return RequestError(
        f"model {hub_id}@{revision} is not in the hub cache ({hub_cache()}), and {why}",
        remedy=f"{suggestion} Otherwise download it where there is a network (`hf download "
        f"{hub_id}`) and copy models--{hub_id.replace('/', '--')} into that folder (HF_HOME moves "
        "it), or give the path of a local Hugging Face directory or .gguf file with --model. The "
        "embedded model smollm2-135m needs no hub.",
    )
