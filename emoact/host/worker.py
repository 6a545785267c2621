"""The process that keeps one model and answers sentences: `python -m emoact.host.worker DIR`.

Its lock says that it lives, its socket is reachable by its user alone, and it leaves by itself when
nobody has asked for some minutes. Several pages may ask at once; the model answers one at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from emoact.errors import EmoactError, RequestError
from emoact.host.messages import receive, send
from emoact.host.request import SentenceRequest
from emoact.jobs.lock import RunLock
from emoact.models.threads import let_threads_sleep

IDLE_S = 600.0
_FAILED_S = 2.0
_ACCEPT_S = 0.5
_TALK_S = 30.0
_LOCK_PATIENCE_S = 0.5


class Model(Protocol):
    """A loaded model."""

    def look(self, text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is said of a sentence: words and arrays, as in `client.Looked`."""


Load = Callable[[SentenceRequest], Model]


def main(argv: Sequence[str], *, load: Load | None = None, idle_s: float | None = None) -> int:
    """Serve until nobody asks any more."""
    os.umask(0o077)
    folder = Path(argv[0])
    lock = RunLock.acquire(folder / "lock", patience_s=_LOCK_PATIENCE_S)
    if lock is None:
        return 0
    try:
        request = SentenceRequest.from_json(json.loads((folder / "request.json").read_bytes()))
        _Worker(folder, request, load or _load, IDLE_S if idle_s is None else idle_s).serve()
    finally:
        with contextlib.suppress(OSError):
            (folder / "socket").unlink()
        lock.close()
    return 0


class _Worker:
    def __init__(self, folder: Path, request: SentenceRequest, load: Load, idle_s: float) -> None:
        self._folder, self._request, self._load, self._idle_s = folder, request, load, idle_s
        self._loaded = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._model: Model | None = None
        self._failure: EmoactError | None = None
        self._busy = 0
        self._counting = threading.Lock()
        self._stopping = False
        self._last = time.monotonic()

    def serve(self) -> None:
        """Answer until stopped, or idle for long, or the model cannot be loaded."""
        path = self._folder / "socket"
        with contextlib.suppress(FileNotFoundError):
            # What a killed worker left; the lock is ours, so nobody serves it.
            path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(os.fspath(path))
            listener.listen(16)
            listener.settimeout(min(_ACCEPT_S, self._idle_s))
            threading.Thread(target=self._load_model, daemon=True).start()
            while not self._is_over():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with self._counting:
                    self._busy += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()
            with contextlib.suppress(OSError):
                path.unlink()

    def _is_over(self) -> bool:
        if self._busy:
            return False
        if self._stopping:
            return True
        # Whoever started it has still to hear that the model could not be loaded.
        patience = self._idle_s if self._failure is None else min(_FAILED_S, self._idle_s)
        return self._loaded.is_set() and time.monotonic() - self._last > patience

    def _load_model(self) -> None:
        try:
            self._model = self._load(self._request)
        except EmoactError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001  whoever asks must hear of it, whatever it is
            self._failure = EmoactError(
                f"the model cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
            )
        self._last = time.monotonic()
        self._loaded.set()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(_TALK_S)
                content, _ = receive(connection)
                if content.get("stop"):
                    self._stopping = True
                    send(connection, {"ok": True}, {})
                    return
                answer, arrays = self._answer(str(content["text"]))
                send(connection, answer, arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            # A tab that was closed, or somebody who speaks another language.
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            with self._counting:
                self._last = time.monotonic()
                self._busy -= 1

    def _ready(self) -> Model:
        if self._model is None:
            raise self._failure or EmoactError("the model was never loaded")
        return self._model

    def _answer(self, text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        self._loaded.wait()
        try:
            with self._one_at_a_time:
                answer, arrays = self._ready().look(text)
        except EmoactError as error:
            return _refusal(error), {}
        except Exception as error:  # noqa: BLE001  one sentence must not end the others' worker
            failed = EmoactError(f"the model failed: {type(error).__name__}: {str(error)[:300]}")
            return _refusal(failed), {}
        return {"ok": True, **answer}, arrays


def _refusal(error: EmoactError) -> dict[str, Any]:
    return {
        "ok": False,
        "message": error.message,
        "remedy": error.remedy,
        "wrong_request": isinstance(error, RequestError),
    }


class _Extracting:
    """A real model."""

    def __init__(self, request: SentenceRequest) -> None:
        from emoact.extraction.extractor import ActivationExtractor

        self._extractor = ActivationExtractor(request.model, options=request.options)

    def look(self, text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        from emoact.positions import pool_sample, position_norms

        sample = self._extractor.extract(text)
        arrays = {}
        for site, layers in sample.sites.items():
            if site == "pattern":
                continue
            arrays[f"{site}.l2"] = np.stack([position_norms(rows, "l2") for rows in layers])
            arrays[f"{site}.l1"] = np.stack([position_norms(rows, "l1") for rows in layers])
            arrays[f"{site}.pooled"] = np.stack(
                [pool_sample(rows, content_start=sample.content_start) for rows in layers]
            )
        facts = self._extractor.facts
        return {
            "token_strings": list(sample.token_strings),
            "content_start": sample.content_start,
            "bos": dict(facts.bos),
            "random_weights": facts.random_weights,
        }, arrays


def _load(request: SentenceRequest) -> Model:
    let_threads_sleep()
    return _Extracting(request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
