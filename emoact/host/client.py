"""Asking a host about a sentence, and starting one where none has the model; no torch."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact.errors import EmoactError, RequestError
from emoact.jobs.machine import start_apart
from emoact.models import hosts
from emoact.models.alike import ModelRequest
from emoact.models.cache import cache_root
from emoact.positions import Span
from emoact.sites import SiteName
from emoact.store.atomic import lock_held

WORKER = (sys.executable, "-P", "-m", "emoact.host.worker")
"""The command of a host; its folder and what it loads are added."""

MOST_CHARACTERS = 2_000
_PATIENCE_S = 180.0
_PROBE_S = 1.0
_START_S = 30.0
_PAUSE_S = 0.05
_STARTS = 2
_LOG_BYTES = 400


@dataclass(frozen=True, kw_only=True)
class Looked:
    """The answer of the model to a sentence.

    Attributes:
        token_strings: Its tokens, the BOS included where one was prepended.
        content: Positions of the sentence itself; the rest is BOS or chat template.
        bos: What was prepended.
        arrays: `<site>.l2`, `<site>.l1` of `[layer, pos]` and `<site>.pooled` of
            `[layer, d_model]`, the mean over the content; `pattern` of `[layer, head, pos, pos]`,
            float16, where it was asked for; `projection` of `[pos]` on `along`, and
            `contributions` of `[component, pos]` to it.
        components: `component`, `layer`, `head`, `kv_group` of the rows of `contributions`.
    """

    text: str
    token_strings: tuple[str, ...]
    content: Span
    bos: Mapping[str, Any]
    random_weights: bool
    arrays: Mapping[str, np.ndarray]
    seconds: float
    components: tuple[Mapping[str, Any], ...] = ()


def check_text(text: str) -> str:
    """The sentence without white space around it; `RequestError` if empty or too long."""
    sentence = text.strip()
    if not sentence:
        raise RequestError("the sentence is empty", remedy="Type one.")
    if len(sentence) > MOST_CHARACTERS:
        raise RequestError(
            f"the sentence has {len(sentence):,} characters; at most {MOST_CHARACTERS:,} are taken",
            remedy="Shorten it.",
        )
    return sentence


def look_at(
    request: ModelRequest,
    text: str,
    *,
    along: tuple[np.ndarray, SiteName, int] | None = None,
    apart: bool = False,
    patience_s: float = _PATIENCE_S,
) -> Looked:
    """Ask a host about a sentence; starts one where none has the model.

    `along` is a vector on which every position is projected, with its site and layer; with `apart`
    the projections are taken apart into what heads, MLPs and embedding add, too.

    Raises:
        RequestError: The sentence is empty, too long, or has no tokens.
        EmoactError: No host can be started, it failed, or it was killed.
    """
    sentence = check_text(text)
    began = time.monotonic()
    asked: dict[str, Any] = {"text": sentence}
    if along is not None:
        vector, site, layer = along
        asked.update(vector=_in_base64(vector), site=site, layer=layer, apart=apart)
    content, arrays = _answered(request, "sentence", asked, patience_s)
    return Looked(
        text=sentence,
        token_strings=tuple(map(str, content["token_strings"])),
        content=(int(content["content"][0]), int(content["content"][1])),
        bos=content["bos"],
        random_weights=bool(content["random_weights"]),
        arrays=arrays,
        seconds=time.monotonic() - began,
        components=tuple(content.get("components", ())),
    )


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A prompt with what the model wrote behind it, as in `causes.continuation.Continued`."""

    strings: tuple[str, ...]
    n_prompt: int
    difference: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """The answer of the model to a prompt that is steered."""

    plain: Continuation
    steered: Continuation
    bos: Mapping[str, Any]
    random_weights: bool
    seconds: float


def continue_both(
    request: ModelRequest,
    text: str,
    *,
    layer: int,
    vector: np.ndarray,
    max_tokens: int = 24,
    seed: int = 0,
    from_last: bool = False,
) -> Continuations:
    """Ask a host to continue a prompt with and without a direction; starts one where needed.

    `vector`, the direction times its dose, is added at the input of `layer`: from the last token of
    the prompt on with `from_last`, else at every one after BOS. Both continuations have at most
    `max_tokens` and use the same draws.

    Raises:
        RequestError: The prompt is empty or too long, or the direction does not fit the model.
        EmoactError: No host can be started, it failed, or it was killed.
    """
    began = time.monotonic()
    asked = {
        "text": check_text(text),
        "layer": layer,
        "vector": _in_base64(vector),
        "max_tokens": max_tokens,
        "seed": seed,
        "from_last": from_last,
    }
    content, arrays = _answered(request, "steer", asked, _PATIENCE_S)
    plain, steered = (
        Continuation(
            strings=tuple(map(str, content[name]["strings"])),
            n_prompt=int(content[name]["n_prompt"]),
            difference=tuple(arrays[name].tolist()),
        )
        for name in ("plain", "steered")
    )
    return Continuations(
        plain=plain,
        steered=steered,
        bos=content["bos"],
        random_weights=bool(content["random_weights"]),
        seconds=time.monotonic() - began,
    )


def _in_base64(vector: np.ndarray) -> str:
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def _answered(
    request: ModelRequest, name: str, asked: Mapping[str, Any], patience_s: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The answer of a host that has the model; raises its error, and starts one where none has."""
    deadline, starts, losses = time.monotonic() + patience_s, 0, 0
    said = ""
    while time.monotonic() < deadline:
        try:
            answer = _ask(request, name, asked, deadline)
        except TimeoutError:
            break
        except (EOFError, OSError, ValueError) as error:
            losses += 1
            # A host that had been idle may shut down in this very moment; a second loss is the
            # fault of the sentence, or hosts are being killed.
            if losses > 1:
                raise _lost(said) from error
            continue
        if answer is not None:
            content = answer[0]
            if not content["ok"]:
                kind = RequestError if content["wrong_request"] else EmoactError
                raise kind(str(content["message"]), remedy=content["remedy"])
            return answer
        if starts == _STARTS:
            raise _lost(said)
        said = _start(request)
        starts += 1
    raise EmoactError(
        f"the model gave no answer within {patience_s:.0f} s",
        remedy=f"Look at the logs in {hosts.hosts_folder()}, then try again.",
    )


def is_warm(request: ModelRequest) -> bool:
    """True where a host has the model, or is loading it, and is not busy with a run."""
    try:
        return (
            _ask(request, "sentence", {"text": ""}, time.monotonic() + _PROBE_S, probe=True)
            is not None
        )
    except (EmoactError, EOFError, OSError, ValueError):
        return False


def _ask(
    request: ModelRequest,
    name: str,
    asked: Mapping[str, Any],
    deadline: float,
    *,
    probe: bool = False,
) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The answer of the host that has the model; None where there is none."""
    folders = hosts.hosts()
    stamp = hosts.stamp(WORKER[-1], hosts.child_environment()) if folders else ""
    whole = {"request": dataclasses.asdict(request), **asked}
    message = {"request": name, "stamp": stamp, "asked": whole, "probe": probe}
    for folder in folders:
        connection = hosts.connect(folder, timeout_s=deadline - time.monotonic())
        if connection is None:
            continue
        with connection:
            hosts.send(connection, message)
            content, arrays = hosts.receive(connection)
        # A host of an older version does not know every request.
        unknown = str(content.get("message", "")).startswith("there is no request")
        if "not_here" not in content and not unknown:
            return content, arrays
    return None


def _start(request: ModelRequest) -> str:
    """Start a host; returns the end of its log where it ended before it listened."""
    lock = lock_held(cache_root() / "locks" / "host.lock", patience_s=_START_S)
    with contextlib.ExitStack() as held:
        # Where the cache cannot be written, two pages at once may start a host each.
        with contextlib.suppress(EmoactError):
            held.enter_context(lock)
        # Another page may have started it meanwhile.
        return "" if is_warm(request) else _start_alone(request)


def _start_alone(request: ModelRequest) -> str:
    folder = hosts.new_folder()
    log, loading = folder / "log", json.dumps(dataclasses.asdict(request.loading))
    words = [*WORKER, "--folder", os.fspath(folder), "--loading", loading]
    try:
        log.touch(mode=0o600)
        # Open from now on: a host that ends takes its folder with it.
        with log.open("rb") as output:
            process = start_apart(words, log=log, env=hosts.child_environment())
            deadline = time.monotonic() + _START_S
            while process.poll() is None and time.monotonic() < deadline:
                if (folder / "socket").exists():
                    return ""
                time.sleep(_PAUSE_S)
            output.seek(max(0, os.fstat(output.fileno()).st_size - _LOG_BYTES))
            return output.read(_LOG_BYTES).decode(errors="replace")
    except OSError as error:
        raise EmoactError(f"the model's process cannot be started: {error.strerror}") from error


def _lost(log: str) -> EmoactError:
    lines = log.strip().splitlines()
    said = f"; its log ends with: {lines[-1]}" if lines else ""
    return EmoactError(
        f"the process that had the model ended before it answered{said}",
        remedy="Try again; where memory is short, close other programs first.",
    )
