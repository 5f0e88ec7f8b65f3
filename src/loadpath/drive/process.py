"""The engine process: takes commands at its control socket until that is closed."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque

from loadpath import recording
from loadpath.control.codec import CONTROL_FD, LENGTH_BYTES
from loadpath.control.failure import failed
from loadpath.control.process import control_socket
from loadpath.drive.alone import Alone
from loadpath.drive.driver import Driver, soon
from loadpath.drive.effects import EffectsCounter, write_journal
from loadpath.drive.messages import (
    CODEC,
    Answer,
    AskVariants,
    Begin,
    CheckHolds,
    Command,
    Counted,
    CountEffects,
    Drawn,
    Finished,
    HoldsChecked,
    LoggedIn,
    LogIn,
    LoginProgress,
    Probe,
    Probed,
    Progress,
    Ready,
    RunSegment,
    StartAt,
    StopSegment,
    VariantsAsked,
)
from loadpath.drive.plan import SegmentProgress
from loadpath.drive.privileges import (
    go_first,
    raise_file_limit,
    sharpen_timer,
)
from loadpath.drive.variants import VariantsAsker
from loadpath.errors import LoadpathError


class ControlClosedError(Exception):
    """The other end is gone: so is the reason to run."""


class Control:
    """The engine's end of the control socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._received = b""
        self._commands: deque[Command] = deque()

    def next(self) -> Command:
        """Wait for the next command. Raises `ControlClosedError`."""
        while not self._commands:
            self._receive()
        return self._commands.popleft()

    def peek(self) -> list[Command]:
        """What has come, without waiting; call when the socket is readable."""
        self._receive()
        commands = list(self._commands)
        self._commands.clear()
        return commands

    def put_back(self, command: Command) -> None:
        """Keep a command for `next`."""
        self._commands.append(command)

    def send(self, answer: Answer) -> None:
        """Send an answer, waiting as long as that takes."""
        try:
            self._sock.sendall(CODEC.encode(answer))
        except OSError:
            raise ControlClosedError from None

    def send_progress(self, progress: SegmentProgress) -> None:
        """Send a report if the socket takes it now: load must not wait for who reads it."""
        content = CODEC.encode(Progress(progress))
        try:
            sent = self._sock.send(content, socket.MSG_DONTWAIT)
            if sent < len(content):
                self._sock.sendall(content[sent:])
        except BlockingIOError:
            return
        except OSError:
            raise ControlClosedError from None

    def _receive(self) -> None:
        try:
            data = self._sock.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            raise ControlClosedError
        self._received += data
        while len(self._received) >= LENGTH_BYTES:
            size = int.from_bytes(self._received[:LENGTH_BYTES])
            end = LENGTH_BYTES + size
            if len(self._received) < end:
                return
            content = self._received[LENGTH_BYTES:end]
            self._received = self._received[end:]
            self._commands.append(CODEC.command(content))


class EngineProcess:
    """Answers commands, one at a time."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._driver: Driver | None = None
        self._alone: Alone | None = None
        self._effects: EffectsCounter | None = None

    def serve(self) -> None:
        """Answer until the control socket is closed."""
        while True:
            command = self._control.next()
            try:
                answer = self._answer(command)
            except ControlClosedError:
                raise
            except Exception as error:  # noqa: BLE001  told to the other end, which raises it
                answer = failed(error)
            if answer is not None:
                self._control.send(answer)

    def _answer(self, command: Command) -> Answer | None:
        if isinstance(command, StopSegment | StartAt):  # the segment was over before it came
            return None
        if isinstance(command, Begin):
            self._driver = Driver(command.plan, {CONTROL_FD: self._heard})
            self._alone = Alone(self._driver)
            self._effects = EffectsCounter(self._driver)
            raise_file_limit(command.plan.connection_limit)
            if command.plan.timer == "us":
                sharpen_timer()
                go_first()
            return Ready(os.getpid())
        assert self._driver and self._alone and self._effects, "Begin comes first"
        match command:
            case RunSegment(segment, part):
                write_requests = recording.write_requests  # 0.2 s, the first time
                when = soon if part.of == 1 else self._together
                result, rows = self._driver.run_segment(
                    segment, self._control.send_progress, part=part, when=when
                )
                write_requests(segment.requests_path, rows)
                write_journal(self._driver, segment)
                self._driver.write_replies(segment)
                return Finished(result)
            case Probe(operation, times, pause_s):
                return Probed(self._alone.probe(operation, times, pause_s))
            case CheckHolds(limit, budget_s):
                return HoldsChecked(self._alone.check_holds(limit, budget_s))
            case CountEffects(wanted):
                return Counted(self._effects.count(wanted))
            case AskVariants(wanted):
                return VariantsAsked(VariantsAsker(self._driver).ask(wanted))
            case LogIn():
                self._driver.log_in(
                    lambda done, total: self._control.send(LoginProgress(done, total))
                )
                return LoggedIn()

    def _together(self) -> float:
        """When all processes start, once each has drawn its arrivals."""
        self._control.send(Drawn())
        while True:
            command = self._control.next()
            if isinstance(command, StartAt):
                return command.at_s
            if isinstance(command, StopSegment):
                raise LoadpathError("the segment was called off before it began")

    def _heard(self) -> None:
        """The control socket is readable while a segment runs."""
        assert self._driver is not None
        for command in self._control.peek():
            if isinstance(command, StopSegment):
                self._driver.stop_segment()
            else:
                self._control.put_back(command)


def main() -> int:
    """Serve commands at descriptor 3. The exit status is 0 when the other end closed it."""
    sock = control_socket("loadpath.drive.Engine")
    if sock is None:
        return 2
    with sock, contextlib.suppress(ControlClosedError):
        EngineProcess(Control(sock)).serve()
    return 0
