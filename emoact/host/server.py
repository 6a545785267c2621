"""The socket of a host: who may ask, what is answered at once, and what waits for the model."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.host.warm import Answer, Sentence, Steered, WarmModel, look, steer
from emoact.jobs.causes import causes_of
from emoact.jobs.config import AnyConfig, RunConfig
from emoact.jobs.controls import controls_of
from emoact.jobs.directory import FrozenChoices, RunDirectory
from emoact.models import hosts
from emoact.models.alike import Loading

Task = Callable[[], object]
RunTask = Callable[[Path, int], Callable[[], int]]

_TALK_S = 30.0
_MOMENT_S = 0.5
_FIRST_S = 10.0
"""Least seconds that a host waits for its first request, also where the idle time is shorter."""


class Server:
    """Threads that talk, and a queue of tasks for the main thread, which computes."""

    def __init__(
        self, folder: Path, warm: WarmModel, *, stamp: str, idle_s: float, run: RunTask
    ) -> None:
        self._folder, self._warm, self._stamp, self._run = folder, warm, stamp, run
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._tasks: deque[tuple[str, Task]] = deque()
        self._at_work = ""
        self._leaving = self._closed = False
        self._talking = 0

    def serve(self, first: Callable[[], int] | None) -> int:
        """Do the first task and then what is asked for; returns what the first task returned."""
        self._at_work = "run" if first is not None else ""
        with contextlib.ExitStack() as stack:
            try:
                listener = stack.enter_context(hosts.listen(self._folder))
            except OSError as error:
                print(f"no socket for further requests: {error}", file=sys.stderr)
                self._leaving = True
            else:
                threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            code = 0 if first is None else first()
            waited_s = max(self._idle_s, _FIRST_S) if first is None else self._idle_s
            while (task := self._next(waited_s)) is not None:
                task()
                waited_s = self._idle_s
        hosts.remove(self._folder)
        with self._changed:
            # The last answers are on their way.
            self._changed.wait_for(lambda: not self._talking, timeout=_TALK_S)
        return code

    def _next(self, waited_s: float) -> Task | None:
        """The next task; None when it is time to shut down, after which none is taken."""
        until = time.monotonic() + waited_s
        with self._changed:
            self._at_work = ""
            self._changed.notify_all()
            while not self._tasks:
                left = until - time.monotonic()
                over = self._leaving or left <= 0 or self._warm.loading is None
                if over and not self._at_work:
                    self._closed = True
                    return None
                self._changed.wait(max(left, 0.01))
            self._at_work, task = self._tasks.popleft()
            return task

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self._talking += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(_TALK_S)
                if hosts.is_own(connection):
                    content, _ = hosts.receive(connection, limits=hosts.REQUEST)
                    self._answer(connection, content)
        except (OSError, EOFError, ValueError) as error:
            # A closed browser tab, or a program that does not speak this protocol.
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            with self._changed:
                self._talking -= 1
                self._changed.notify_all()

    def _answer(self, connection: socket.socket, content: Mapping[str, Any]) -> None:
        name = content.get("request")
        if name == "leave":
            with self._changed:
                self._leaving = True
                self._changed.notify_all()
            hosts.send(connection, {"ok": True})
            return
        try:
            if name == "run":
                self._take_run(connection, content)
            elif name == "sentence":
                asked = decode(Sentence, content.get("asked"))
                self._take(connection, content, asked, lambda: look(self._warm, asked))
            elif name == "steer":
                steered = decode(Steered, content.get("asked"))
                self._take(connection, content, steered, lambda: steer(self._warm, steered))
            else:
                raise RequestError(f"there is no request {name!r:.40}")
        except EmoactError as error:
            hosts.send(connection, _refused(error))

    def _take(
        self,
        connection: socket.socket,
        content: Mapping[str, Any],
        asked: Sentence | Steered,
        answer_of: Callable[[], Answer],
    ) -> None:
        """Answer a typed text on the main thread, or only say whether this host would."""
        answering: Future[Answer] = Future()

        def compute() -> None:
            """An error of one request is told to its asker and ends nothing."""
            try:
                answering.set_result(answer_of())
            except EmoactError as error:
                answering.set_exception(error)
            except Exception as error:  # noqa: BLE001
                said = f"the model failed: {type(error).__name__}: {str(error)[:300]}"
                answering.set_exception(EmoactError(said))

        probe = content.get("probe") is True
        why = self._refusal(content, asked.request.loading)
        why = why or self._enqueue("sentence", None if probe else compute)
        if why or probe:
            hosts.send(connection, {"not_here": why} if why else {"ok": True})
        else:
            answer, arrays = answering.result()
            hosts.send(connection, {"ok": True, **answer}, arrays)

    def _refusal(self, content: Mapping[str, Any], loading: Loading) -> str:
        """Reason for which this host cannot take a request; empty where it can."""
        if content.get("stamp") != self._stamp:
            return "started by another version or with other settings"
        if self._warm.loading != loading:
            return "another model, or loaded in another way"
        return ""

    def _enqueue(self, name: str, task: Task | None) -> str:
        """Put a task in the queue, or only say why it could not be; empty where it can."""
        with self._changed:
            if self._at_work == "run" or self._leaving or self._closed:
                return "busy with a run, or shutting down"
            if task is not None:
                self._tasks.append((name, task))
                self._changed.notify_all()
        return ""

    def _take_run(self, connection: socket.socket, content: Mapping[str, Any]) -> None:
        """Take a run over: say that it fits, receive the lock's open file, begin."""
        directory = _directory(content.get("asked"))
        config = directory.config()
        loading = _loading(config)
        why = self._refusal(content, loading)
        frozen = FrozenChoices(directory.plan_path).get(loading.folder)
        if not why and not self._warm.threads_fit(frozen):
            why = "the run computes with another number of threads"
        if not why and not self._claim():
            why = "busy, or shutting down"
        if why:
            hosts.send(connection, {"not_here": why})
            return
        descriptor = -1
        try:
            hosts.send(connection, {"ok": True})
            descriptor = _receive_lock(connection, directory)
            task = self._run(directory.path, descriptor)
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            with self._changed:
                self._at_work = ""
                self._changed.notify_all()
            raise
        with self._changed:
            self._tasks.append(("run", task))
            self._changed.notify_all()
        hosts.send(connection, {"ok": True})

    def _claim(self) -> bool:
        with self._changed:
            # The lock of a run is free a moment before its task has ended.
            self._changed.wait_for(lambda: not self._at_work, timeout=_MOMENT_S)
            busy = self._at_work or self._tasks or self._leaving or self._closed
            if busy or not self._warm.is_loaded:
                return False
            self._at_work = "run"
            return True


def _refused(error: EmoactError) -> dict[str, Any]:
    return {
        "ok": False,
        "message": error.message,
        "remedy": error.remedy,
        "wrong_request": isinstance(error, RequestError),
    }


def _directory(asked: Any) -> RunDirectory:
    path = asked.get("directory") if isinstance(asked, dict) and len(asked) == 1 else None
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise RequestError("a run is asked for by the absolute path of its directory")
    directory = RunDirectory(Path(path))
    if not directory.exists():
        raise RequestError(f"{path} is no run directory")
    return directory


def _loading(config: AnyConfig) -> Loading:
    """The way in which the first model of a run is loaded."""
    if config.kind == "causes":
        return causes_of(config).model.loading
    if not isinstance(config, RunConfig):
        return controls_of(config).models[0].loading
    first, options = config.models[0], config.options
    return Loading.of(first.folder, first.commit, options, config.allow_pickle_weights)


def _receive_lock(connection: socket.socket, directory: RunDirectory) -> int:
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 4, flags)
    try:
        if len(descriptors) == 1:
            sent, lock = os.fstat(descriptors[0]), directory.lock_path.lstat()
            if stat.S_ISREG(lock.st_mode) and os.path.samestat(sent, lock):
                return descriptors.pop()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    raise RequestError(f"what was sent is not the lock of run {directory.run_id!r}")
