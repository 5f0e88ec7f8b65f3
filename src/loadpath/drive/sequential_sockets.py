"""The WebSockets of one flow run alone, on blocking sockets: for probes and checks."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from time import monotonic

import msgspec

from loadpath.drive.channels import GOING_AWAY, Channel, HandshakeError, Line
from loadpath.drive.failures import describe, describe_raised
from loadpath.drive.sequential import NoReplyError, SequentialClient, SequentialReply
from loadpath.drive.socket_steps import StepError, begin, looked_at
from loadpath.drive.state import FlowRun
from loadpath.flow import Message, Socket
from loadpath.recording.schema import RequestError

RECEIVE_BYTES = 64 * 1024
SWITCHED = 101


class SocketsAlone:
    """Sends the requests of a flow, and does its steps on WebSockets."""

    def __init__(self, client: SequentialClient) -> None:
        self._client = client
        self._socks: dict[Channel, socket.socket] = {}

    def exchange(self, run: FlowRun, timeout_s: float) -> SequentialReply:
        """Send the request that a flow is at; of a handshake, the reply is a `Socket`.

        Raises `NoReplyError`.
        """
        channel, line = run.handshake, run.line
        last = self._client.exchange(
            run.payload, method=run.method, timeout_s=timeout_s, upgrade=channel is not None
        )
        if channel is None or line is None:
            return last
        reply = last.reply
        opened = Socket(reply.status, reply.body, reply.head)
        if reply.status < 400:
            if reply.status != SWITCHED:
                why = f"expected 101 Switching Protocols, got {reply.status}"
                raise NoReplyError(describe(RequestError.PROTOCOL, why))
            self._socks[channel] = self._client.taken_over()
            try:
                opened = channel.open(reply.head, last.rest, monotonic())
            except HandshakeError as error:
                raise NoReplyError(describe(RequestError.PROTOCOL, str(error))) from None
            line.opening = None
            line.channels[opened] = channel
        return msgspec.structs.replace(last, reply=opened)

    def step(self, run: FlowRun, timeout_s: float) -> Message | float:
        """Do the step that a flow is at; what it is to be sent. Raises `NoReplyError`."""
        line = run.line
        assert line is not None
        try:
            begin(line, monotonic(), timeout_s)
            while True:
                self._write(line)
                done = looked_at(line, monotonic())
                if done is not None:
                    return done.value
                self._read(line)
        except StepError as failed:
            raise NoReplyError(describe(failed.error, failed.words)) from None
        except Exception as error:  # noqa: BLE001  what a flow accepts is code of its own
            raise NoReplyError(describe(RequestError.FLOW, describe_raised(error))) from None

    def close(self, run: FlowRun) -> None:
        """The flow is over: close what it left open."""
        for channel, sock in self._socks.items():
            channel.say_goodbye(GOING_AWAY)
            with contextlib.suppress(OSError):
                sock.settimeout(0)
                for content in channel.outgoing:
                    sock.send(content)
            sock.close()
        self._socks.clear()
        if run.line is not None:
            run.line.channels.clear()

    def _write(self, line: Line) -> None:
        for channel, sock in self._socks.items():
            channel.collect()
            try:
                while channel.outgoing:
                    sock.settimeout(max(line.deadline_s - monotonic(), 0.001))
                    sock.sendall(channel.outgoing[0])
                    channel.outgoing.popleft()
            except TimeoutError:
                return  # of which the step will tell
            except OSError as error:
                channel.end(RequestError.RESET, (error.strerror or str(error)).lower())
                channel.outgoing.clear()

    def _read(self, line: Line) -> None:
        """Wait until something comes or the time is up, and take it."""
        socks = {
            sock: channel
            for channel, sock in self._socks.items()
            if channel.over is None and not channel.full
        }
        left = max(line.deadline_s - monotonic(), 0)
        poll = select.poll()
        by_fd = {sock.fileno(): sock for sock in socks}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(left * 1000 + 1):
            sock = by_fd[fd]
            sock.settimeout(0)
            channel = socks[sock]
            try:
                while channel.over is None:
                    channel.feed(sock.recv(RECEIVE_BYTES), monotonic())
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError as error:
                channel.end(RequestError.RESET, (error.strerror or str(error)).lower())
