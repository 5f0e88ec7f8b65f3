"""WebSockets without IO: what one received and has to send, and those of one flow.

Frames are read and written by the websockets library; the handshake is a request of the engine's
own, so that it has the headers and cookies of whoever asks.
"""

from __future__ import annotations

import math
from collections import deque

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions.permessage_deflate import enable_client_permessage_deflate
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension, build_subprotocol
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from loadpath.flow import Connect, Message, Request, Socket, SocketStep
from loadpath.recording.schema import RequestError

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
INBOX_MESSAGES_MAX = 1_000
INBOX_BYTES_MAX = 256 * 1024
"""What may lie unread; beyond that the engine leaves the rest in the kernel, and is a slow client.
A socket so takes this, the kernel's buffers and one message at most."""

WRITES_MAX = 64
"""Writes that may wait for the kernel before reading stops: answers to pings, say."""

ABNORMAL = 1006
GOING_AWAY = 1001
NORMAL = 1000

_NOWHERE = WebSocketURI(secure=False, host="", port=0, path="/", query="")  # it opens nothing


class HandshakeError(Exception):
    """What came back is not the handshake of a WebSocket; the message says why."""


class Channel:
    """One WebSocket. `over` says why nothing more will come, in kind and words.

    What is received goes to the `inbox`, unless it is only counted (`counting`). `outgoing` waits
    for the kernel. `fd` is its connection's, once there is one. `taken` messages of `taken_bytes`
    came since the step began that is being waited for. `paused`: it is not read; `writing`: the
    kernel took no more.
    """

    __slots__ = (
        "_parts",
        "_protocol",
        "_text",
        "_unread_bytes",
        "counting",
        "fd",
        "inbox",
        "number",
        "outgoing",
        "over",
        "paused",
        "socket",
        "taken",
        "taken_bytes",
        "writing",
    )

    def __init__(self, connect: Connect) -> None:
        self._protocol = ClientProtocol(
            _NOWHERE,
            extensions=enable_client_permessage_deflate(None) if connect.compress else None,
            subprotocols=[Subprotocol(each) for each in connect.subprotocols] or None,
            state=State.OPEN,  # it reads frames only, and nothing before the handshake is over
            max_size=MESSAGE_BYTES_MAX,
        )
        self._parts: list[bytes] = []
        self._text = False
        self._unread_bytes = 0
        self.socket = Socket(0)
        self.inbox: deque[Message] = deque()
        self.outgoing: deque[memoryview] = deque()
        self.over: tuple[RequestError, str] | None = None
        self.counting = False
        self.paused = False
        self.writing = False
        self.taken = 0
        self.taken_bytes = 0
        self.fd = -1
        self.number = 0

    def request(self, connect: Connect) -> Request:
        """The request that asks for it."""
        protocol, asked = self._protocol, connect.request
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", protocol.key),
            ("Sec-WebSocket-Version", "13"),
        ]
        if protocol.available_extensions:
            offered = [(e.name, e.get_request_params()) for e in protocol.available_extensions]
            headers.append(("Sec-WebSocket-Extensions", build_extension(offered)))
        if protocol.available_subprotocols:
            offers = build_subprotocol(protocol.available_subprotocols)
            headers.append(("Sec-WebSocket-Protocol", offers))
        return Request("GET", asked.path, (*headers, *asked.headers), expect=asked.expect)

    def open(self, head: bytes, rest: bytes, now: float) -> Socket:
        """The reply was 101, with this head; `rest` came after it. Raises `HandshakeError`."""
        headers = Headers()
        for line in head.split(b"\r\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                headers[name.decode("latin-1").strip()] = value.decode("latin-1").strip()
        try:
            self._protocol.process_response(Response(101, "", headers))
        except InvalidHandshake as error:
            raise HandshakeError(f"the handshake of the WebSocket is not valid: {error}") from None
        self.socket = Socket(101, b"", head)
        if rest:
            self.feed(rest, now)
        return self.socket

    # Receiving

    @property
    def full(self) -> bool:
        """Whether it should not be read from now."""
        return (
            len(self.inbox) >= INBOX_MESSAGES_MAX
            or self._unread_bytes >= INBOX_BYTES_MAX
            or len(self.outgoing) > WRITES_MAX
        )

    def feed(self, data: bytes, now: float) -> None:
        """Take what was received, or the end of it (no bytes)."""
        if self.over is not None:
            return
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._take(event, now):
                self._protocol.fail(1007, "invalid UTF-8")
                self._collect()
                self.end(RequestError.PROTOCOL, "a text message that is not UTF-8")
                return
        if protocol.close_rcvd is not None:
            code, reason = protocol.close_rcvd.code, protocol.close_rcvd.reason
            self._collect()
            self.end(RequestError.CLOSED, f"with {code} {reason}".rstrip(), code)
        elif protocol.parser_exc is not None or not data:
            self._collect()
            if not data:
                within = self._parts or str(protocol.parser_exc).startswith("stream ends after")
                where = "within a message" if within else "without a close frame"
                self.end(RequestError.RESET, f"the connection was closed {where}")
            else:
                self.end(RequestError.PROTOCOL, f"{protocol.parser_exc}")

    def _take(self, frame: Frame, now: float) -> bool:
        """Take a frame; whether it may go on."""
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._text = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return True
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return True
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self._text:
            try:
                data.decode()
            except UnicodeDecodeError:
                return False
        self.socket.received += 1
        if self.counting:
            self.taken += 1
            self.taken_bytes += len(data)
            return True
        message = Message(data, now)
        message.binary = not self._text
        self.inbox.append(message)
        self._unread_bytes += len(data)
        return True

    def next_message(self) -> Message | None:
        """The first that was not taken yet."""
        if not self.inbox:
            return None
        message = self.inbox.popleft()
        self._unread_bytes -= len(message.data)
        self.taken += 1
        self.taken_bytes += len(message.data)
        return message

    def take_all(self) -> None:
        """Count what lies there, and from now on what comes."""
        while self.next_message() is not None:
            pass
        self.counting = True

    # Sending

    def send(self, data: bytes, *, binary: bool) -> None:
        """Put a message in `outgoing`."""
        if binary:
            self._protocol.send_binary(data)
        else:
            self._protocol.send_text(data)
        self._collect()

    def say_goodbye(self, code: int, reason: str = "") -> None:
        """Put a close frame in `outgoing`, unless one was."""
        if self.over is None and self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._collect()

    def collect(self) -> None:
        """Put what is to be answered (pings) in `outgoing`."""
        if self.over is None:
            self._collect()

    def _collect(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data:
            self.outgoing.append(memoryview(data))

    def end(self, error: RequestError, words: str, code: int = ABNORMAL) -> None:
        """Nothing more will come, and why."""
        if self.over is None:
            self.over = error, words
            self.socket.close_code = code
            self.dispose()

    def dispose(self) -> None:
        """Let go of its reader and of what that raised: rings that nothing collects under load."""
        self._protocol.parser.close()
        self._protocol.parser_exc = None


class Line:
    """The WebSockets of one flow, and the step on them that it is at.

    `opening` is the one whose handshake is under way. The step was begun at `began_s` and is over
    at `deadline_s` at the latest; `check_at` is when that is looked at next.
    """

    __slots__ = ("began_s", "channels", "check_at", "deadline_s", "opening", "step")

    def __init__(self) -> None:
        self.channels: dict[Socket, Channel] = {}
        self.opening: Channel | None = None
        self.step: SocketStep | None = None
        self.began_s = math.nan
        self.deadline_s = math.inf
        self.check_at = math.inf

    def forget_opening(self) -> None:
        """The handshake came to nothing, or to an open socket."""
        if self.opening is not None and self.opening.socket not in self.channels:
            self.opening.dispose()
        self.opening = None

    def of(self, step: SocketStep) -> tuple[Channel, ...]:
        """The WebSockets that a step is about. Raises `ValueError` for one of another flow."""
        sockets = getattr(step, "sockets", None) or (getattr(step, "socket", None),)
        channels = tuple(self.channels[each] for each in sockets if each in self.channels)
        if len(channels) != len(sockets):
            raise ValueError(
                f"{type(step).__name__.lower()}: expected a socket that this flow opened with "
                "connect(…), and that was not refused"
            )
        return channels
