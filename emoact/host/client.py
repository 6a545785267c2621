"""Asking a worker, and starting one where there is none; never imports torch."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import emoact
from emoact.errors import EmoactError, RequestError
from emoact.host.messages import receive, send
from emoact.host.place import private, workers_folder
from emoact.host.request import SentenceRequest
from emoact.jobs.lock import read_lock
from emoact.store.atomic import write_json

WORKER = (sys.executable, "-P", "-m", "emoact.host.worker")
"""The command of a worker; its folder is added."""

MOST_CHARACTERS = 2_000
_PATIENCE_S = 180.0
_PAUSE_S = 0.05
_STARTS = 2
_LOG_TAIL = 400


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the model made of a sentence.

    Attributes:
        text: The sentence.
        token_strings: Its tokens, the BOS included where one was prepended.
        content_start: First position of the sentence itself.
        bos: What was prepended.
        random_weights: Whether the model's weights say nothing about language.
        arrays: `<site>.l2`, `<site>.l1` of `[layer, pos]` and `<site>.pooled` of
            `[layer, d_model]`, the mean over the content.
        seconds: From asking to the answer.
    """

    text: str
    token_strings: tuple[str, ...]
    content_start: int
    bos: Mapping[str, Any]
    random_weights: bool
    arrays: Mapping[str, np.ndarray]
    seconds: float


def check_text(text: str) -> str:
    """The sentence without white space around it.

    Raises:
        RequestError: It is empty or too long.
    """
    sentence = text.strip()
    if not sentence:
        raise RequestError("the sentence is empty", remedy="Type one.")
    if len(sentence) > MOST_CHARACTERS:
        raise RequestError(
            f"the sentence has {len(sentence):,} characters; at most {MOST_CHARACTERS:,} are taken",
            remedy="Shorten it.",
        )
    return sentence


def look_at(request: SentenceRequest, text: str, *, patience_s: float = _PATIENCE_S) -> Looked:
    """What the model makes of a sentence; starts a worker where none has the model.

    Raises:
        RequestError: The sentence is empty, too long, or has no tokens.
        EmoactError: The worker cannot be started, failed, or was killed.
    """
    sentence = check_text(text)
    folder = _folder(request)
    began = time.monotonic()
    deadline, starts, losses = began + patience_s, 0, 0
    while time.monotonic() < deadline:
        connection = _connect(folder, deadline)
        if connection is None:
            if not is_warm(request):
                if starts == _STARTS:
                    raise _lost(folder)
                _start(request, folder)
                starts += 1
            time.sleep(_PAUSE_S)
            continue
        try:
            with connection:
                send(connection, {"text": sentence}, {})
                content, arrays = receive(connection)
        except TimeoutError:
            break
        except (EOFError, OSError) as error:
            losses += 1
            # One that had idled long enough may have left just as it was asked; a second loss is
            # the sentence's doing, or somebody's who kills workers.
            if losses > 1:
                raise _lost(folder) from error
            continue
        return _looked(sentence, content, arrays, time.monotonic() - began)
    raise EmoactError(
        f"the model gave no answer within {patience_s:.0f} s",
        remedy=f"Look at {folder / 'worker.log'}, then try again.",
    )


def is_warm(request: SentenceRequest) -> bool:
    """Whether a worker has the model, or is loading it."""
    try:
        return read_lock(_folder(request) / "lock").held
    except OSError:
        return False


def stop_workers(*, but: str = "") -> None:
    """Ask every worker to leave; each finishes what it is doing first.

    Args:
        but: Key of the request whose worker may stay.
    """
    for folder in workers_folder().iterdir():
        if folder.name == but or not folder.is_dir():
            continue
        with contextlib.suppress(OSError, EOFError, ValueError):
            connection = _connect(folder, time.monotonic() + 1.0)
            if connection is not None:
                with connection:
                    send(connection, {"stop": True}, {})
                    receive(connection)


def _folder(request: SentenceRequest) -> Path:
    folder = workers_folder() / request.key
    private(folder)
    return folder


def _connect(folder: Path, deadline: float) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(max(deadline - time.monotonic(), 0.1))
    try:
        connection.connect(os.fspath(folder / "socket"))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise EmoactError(f"{folder / 'socket'} cannot be used: {error.strerror}") from error
    return connection


def _start(request: SentenceRequest, folder: Path) -> None:
    # One model at a time: each takes some hundred megabytes.
    stop_workers(but=request.key)
    write_json(folder / "request.json", request.to_json(), durable=False)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        log = os.open(folder / "worker.log", flags, 0o600)
    except OSError as error:
        raise EmoactError(f"{folder} cannot be written: {error.strerror}") from error
    package = str(Path(emoact.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": package + (os.pathsep + known if known else ""),
        # Only installed models are asked for; nothing is ever fetched for a sentence.
        "HF_HUB_OFFLINE": "1",
    }
    try:
        process = subprocess.Popen(
            [*WORKER, os.fspath(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise EmoactError(f"the model's process cannot be started: {error.strerror}") from error
    finally:
        os.close(log)
    # A child that nobody waits for stays in the process table for as long as we live.
    threading.Thread(target=process.wait, daemon=True, name="reap-sentence").start()
    # Until it holds its lock it looks like none; a second start would only leave again.
    deadline = time.monotonic() + 10.0
    while process.poll() is None and not is_warm(request) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)


def _looked(
    text: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray], seconds: float
) -> Looked:
    if not content["ok"]:
        kind = RequestError if content["wrong_request"] else EmoactError
        raise kind(str(content["message"]), remedy=content["remedy"])
    return Looked(
        text=text,
        token_strings=tuple(map(str, content["token_strings"])),
        content_start=int(content["content_start"]),
        bos=content["bos"],
        random_weights=bool(content["random_weights"]),
        arrays=arrays,
        seconds=seconds,
    )


def _lost(folder: Path) -> EmoactError:
    try:
        log = (folder / "worker.log").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        log = ""
    last = log[-_LOG_TAIL:].splitlines()[-1] if log else ""
    said = f"; its log ends with: {last}" if last else ""
    return EmoactError(
        f"the process that had the model ended before it answered{said}",
        remedy="Try again; where memory is short, close other programs first.",
    )
