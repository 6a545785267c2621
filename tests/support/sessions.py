"""Sessions of the dashboard without a browser: websocket clients that do what its page would."""

import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.util import calc_hash
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


@dataclass
class Session:
    """One visitor of one page: every message the server sent as protobuf prints it, and failures.

    `remembers=False` does not look into the messages, which is dear; `goes_on` is what a browser
    that knows no control yet asks for next, `back` by the button of that name.
    """

    page: str
    query: str
    texts: list[str] = field(default_factory=list)
    runs: int = 0
    failures: list[str] = field(default_factory=list)
    remembers: bool = True
    origin: str | None = None
    cookie: str = ""
    upload: tuple[tuple[str, bytes], ...] = ()
    taken: list[tuple[int, str]] = field(default_factory=list)
    press: str = ""
    goes_on: tuple[str, str] | None = None
    back: bool = False
    pages: list[str] = field(default_factory=list)
    _buttons: dict[str, str] = field(default_factory=dict)
    _parts: dict[str, float] = field(default_factory=dict)
    _hash: str = ""
    _session: str = ""

    def visit(self, url: str, seconds: float, runs: int = 1_000_000) -> None:
        """Open the page and keep its parts alive, for a time or until so many scripts ended."""
        address = url.replace("http://", "ws://") + "/_stcore/stream"
        options: Any = {"origin": self.origin, "subprotocols": ["streamlit"], "max_size": None}
        if self.cookie:
            options["additional_headers"] = {"Cookie": self.cookie}
        with connect(address, **options) as connection:
            self._ask(connection)
            until = time.monotonic() + seconds
            due: dict[str, float] = {}
            while time.monotonic() < until and self.runs < runs:
                try:
                    self._take(connection.recv(timeout=0.05))
                except TimeoutError:
                    pass
                except ConnectionClosed as closed:
                    self.failures.append(f"the connection ended: {closed}")
                    return
                if self.upload and self.runs:
                    self.taken = [self._send(url, *each) for each in self.upload]
                    self.upload = ()
                if self.press and self.press in self._buttons and self._parts:
                    self._press(connection)
                if self.goes_on and self.runs:
                    (self.page, self.query), self.goes_on = self.goes_on, None
                    self._hash = calc_hash(self.page)
                    self._ask(connection, back=self.back)
                now = time.monotonic()
                for part, every in list(self._parts.items()):
                    if now >= due.setdefault(part, now + every):
                        due[part] = now + every
                        self._ask(connection, part)

    def _ask(
        self,
        connection: ClientConnection,
        part: str = "",
        *,
        page: str = "",
        pressed: str = "",
        back: bool = False,
    ) -> None:
        asked = BackMsg()
        state: Any = asked.rerun_script
        state.query_string = self.query
        state.page_name = self.page
        state.page_script_hash = page or self._hash
        state.fragment_id = part
        state.is_history_navigation = back
        # A part that the clock draws again waits; a click would break into the script at work.
        state.is_auto_rerun = bool(part)
        if pressed:
            state.widget_states.widgets.add(id=pressed, trigger_value=True)
        connection.send(asked.SerializeToString())

    def _press(self, connection: ClientConnection) -> None:
        """Press the button; the clock of the page strikes all the while until another is there."""
        left, parts, strikes = self._hash, list(self._parts), 0
        self._ask(connection, pressed=self._buttons[self.press])
        self.press = ""
        while self._hash == left and strikes < 1000:
            for part in parts:
                self._ask(connection, part, page=left)
            strikes += 1
            with suppress(TimeoutError):
                while True:
                    self._take(connection.recv(timeout=0.005))

    def _send(self, url: str, name: str, content: bytes) -> tuple[int, str]:
        """Upload as a page does, with the token against requests of other pages."""
        server = HTTPConnection(urlsplit(url).netloc, timeout=20)
        with closing(server):
            server.request("GET", "/_stcore/health")
            answer = server.getresponse()
            answer.read()
            cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]
            head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
            server.request(
                "PUT",
                f"/_stcore/upload_file/{self._session}/{name}",
                head + content + b"\r\n--x--\r\n",
                {
                    "Content-Type": "multipart/form-data; boundary=x",
                    "Cookie": cookie,
                    "X-Xsrftoken": cookie.partition("=")[2],
                },
            )
            answer = server.getresponse()
            return answer.status, answer.read().decode()

    def _take(self, data: str | bytes) -> None:
        assert isinstance(data, bytes)
        message = ForwardMsg()
        message.ParseFromString(data)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.pages.append(message.new_session.page_script_hash)
            if self.pages[-1] != self._hash:
                self._hash, self._parts = self.pages[-1], {}
            self._session = message.new_session.initialize.session_id
        elif kind == "auto_rerun":
            self._parts[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            self._parts.clear()
        elif kind == "script_finished":
            # A script that was cut short for the next one has not shown its page.
            self.runs += message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        elif kind == "delta":
            button = message.delta.new_element.button
            self._buttons[button.label] = button.id
        text = str(message) if self.remembers else ""
        if kind == "delta" and "exception {" in text:
            self.failures.append(text)
        if self.remembers:
            self.texts.append(text)


def visit_together(
    sessions: list[Session], url: str, seconds: float, runs: int = 1_000_000
) -> None:
    """All of them at once, each in a thread of its own."""
    threads = [
        threading.Thread(target=session.visit, args=(url, seconds, runs), daemon=True)
        for session in sessions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 30)
