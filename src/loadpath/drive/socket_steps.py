"""Steps on WebSockets, without IO: begun, then looked at after whatever came, until over."""

from __future__ import annotations

import math
from typing import NamedTuple

from loadpath.drive.channels import NORMAL, Channel, Line
from loadpath.flow import Close, Count, Expect, Message, Send, SocketStep
from loadpath.recording.schema import RequestError


class StepError(Exception):
    """A step failed: its kind of error, and that in words."""

    def __init__(self, error: RequestError, words: str) -> None:
        super().__init__(words)
        self.error = error
        self.words = words


class Done(NamedTuple):
    """What a step came to: what its flow is sent, and what is recorded of it."""

    value: Message | float
    at_s: float
    sent_s: float = math.nan
    since_s: float | None = None


def begin(line: Line, began_s: float, timeout_s: float) -> None:
    """Begin the step of a line; `timeout_s` is that of the operation.

    Raises `StepError` and `ValueError`.
    """
    step = line.step
    assert step is not None
    line.began_s = began_s
    line.deadline_s = began_s + allowed_s(step, timeout_s)
    for channel in line.of(step):
        channel.taken = channel.taken_bytes = 0
        if isinstance(step, Send):
            if channel.over is not None:
                raise StepError(*channel.over)
            channel.send(step.data, binary=step.binary)
        elif isinstance(step, Count):
            channel.take_all()
        elif isinstance(step, Close):
            channel.say_goodbye(step.code, step.reason)


def allowed_s(step: SocketStep, timeout_s: float) -> float:
    """How long a step may take."""
    if isinstance(step, Count):
        return max(step.seconds, 0.0)
    if isinstance(step, Expect) and step.timeout_s is not None:
        return step.timeout_s
    return timeout_s


def looked_at(line: Line, now: float) -> Done | None:
    """What the step came to; None: it is not over.

    Raises `StepError`, and what the flow's own `accept` and `since` raise.
    """
    step = line.step
    assert step is not None
    if isinstance(step, Count):
        return _counted(line, step, now)
    channel = line.of(step)[0]
    done = None
    if isinstance(step, Send):
        if not channel.outgoing:
            return Done(now, now, sent_s=now)
    elif isinstance(step, Expect):
        done = _expected(line, step, channel)
    elif channel.over is not None and channel.over[0] is RequestError.CLOSED:
        done = Done(channel.socket.close_code or NORMAL, now)
    if done is not None:
        return done
    if channel.over is not None:
        raise StepError(*channel.over)
    if now >= line.deadline_s:
        raise StepError(RequestError.TIMEOUT, _in_vain(line, step, channel))
    return None


def end_count(line: Line, now: float) -> Done:
    """A count is over, be it early."""
    step = line.step
    assert step is not None
    channels = line.of(step)
    for channel in channels:
        channel.counting = False
    return Done(sum(channel.taken for channel in channels), now)


def _counted(line: Line, step: Count, now: float) -> Done | None:
    channels = line.of(step)
    for channel in channels:
        if channel.over is not None and channel.socket.close_code != NORMAL:
            raise StepError(*channel.over)
    if now >= line.deadline_s or all(channel.over is not None for channel in channels):
        return end_count(line, now)
    return None


def _expected(line: Line, step: Expect, channel: Channel) -> Done | None:
    while (message := channel.next_message()) is not None:
        if step.accept is not None and not step.accept(message):
            continue
        at_s = max(message.received_s, line.began_s)
        if step.since is None:
            return Done(message, at_s)
        since_s = float(step.since(message))
        if not since_s <= message.received_s:
            raise ValueError(
                f"`since` said that a message was sent at {since_s:.6f} s, after it was received "
                f"at {message.received_s:.6f} s: expected a time of time.monotonic()"
            )
        return Done(message, message.received_s, since_s=since_s)
    return None


def _in_vain(line: Line, step: SocketStep, channel: Channel) -> str:
    seconds = f"{line.deadline_s - line.began_s:g} s"
    if isinstance(step, Send):
        return f"the message was not taken whole in {seconds}"
    if isinstance(step, Close):
        return f"no answer in {seconds} to the close frame"
    if channel.taken:
        return f"none of {channel.taken:,} messages in {seconds} was the one expected"
    return f"no message in {seconds}"
