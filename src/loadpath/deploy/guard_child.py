# ruff: noqa: PTH123
# os instead of pathlib: the guard process must start at once.
"""How the guard turns a fork of itself into the program it was asked to start.

Standard library only: the guard process imports this.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
from typing import Any, NamedTuple, NoReturn

from loadpath.deploy.family import PART_VARIABLE
from loadpath.deploy.processes import die_with_parent

HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that the guard handles, and that no child of it must inherit so."""

_FIRST_FREE_DESCRIPTOR = 64


class Failure(NamedTuple):
    """Why a program could not be started. `stage` is start, user, directory or program."""

    stage: str
    code: int
    text: str


def start(order: dict[str, Any], descriptors: list[int], token: str) -> int | Failure:
    """Start what `order` asks for; its pid once the program runs.

    `descriptors` are ours, one for each of the order's targets, in that order.
    """
    report, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(report)
        _become(order, dict(zip(order["targets"], descriptors, strict=True)), answer, token)
    os.close(answer)
    # The other end closes by itself when the program takes over.
    with open(report, "rb") as file:
        failure = file.read()
    if failure:
        os.waitpid(pid, 0)
        return Failure(*json.loads(failure))
    return pid


def _become(
    order: dict[str, Any], descriptors: dict[int, int], answer: int, token: str
) -> NoReturn:
    """Become the program, or write to `answer` why not."""
    stage = "start"
    try:
        guard = os.getppid()
        os.setsid()
        _restore_signals()
        answer = _place(descriptors, answer)
        if order["cores"] is not None:
            os.sched_setaffinity(0, order["cores"])
        stage = "user"
        if order["user"] is not None:
            os.setgroups([order["group"]])
            os.setgid(order["group"])
            os.setuid(order["user"])
        # After the user is changed: that clears it.
        die_with_parent(order["death_signal"])
        if os.getppid() != guard:
            os._exit(1)
        stage = "directory"
        os.chdir(order["cwd"])
        stage = "program"
        # Last, where a program that writes its title over its environment reaches last.
        environment = {k: v for k, v in order["env"].items() if k != PART_VARIABLE}
        environment[PART_VARIABLE] = f"{token}.{order['child']}"
        os.execvpe(order["argv"][0], order["argv"], environment)
    except OSError as error:
        failure = Failure(stage, error.errno or 0, error.strerror or str(error))
        os.write(answer, json.dumps(failure).encode())
    except BaseException as error:  # noqa: BLE001  a fork must not return into the guard's loop
        os.write(answer, json.dumps(Failure(stage, errno.EINVAL, repr(error))).encode())
    finally:
        os._exit(127)


def _restore_signals() -> None:
    """Undo what Python and the guard set up: an ignored signal would stay so in the program."""
    signal.set_wakeup_fd(-1)
    for sig in (*HANDLED, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(sig, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _place(descriptors: dict[int, int], answer: int) -> int:
    """Put each descriptor at its number, /dev/null at 0, 1 and 2 where none is given.

    Returns where `answer` stands now: above all of them, so that none overwrites it.
    """
    free = max([_FIRST_FREE_DESCRIPTOR, *(target + 1 for target in descriptors)])
    null = os.open(os.devnull, os.O_RDWR)
    sources = {0: null, 1: null, 2: null, **descriptors}
    moved = {t: fcntl.fcntl(s, fcntl.F_DUPFD_CLOEXEC, free) for t, s in sources.items()}
    answer = fcntl.fcntl(answer, fcntl.F_DUPFD_CLOEXEC, free)
    for target, source in moved.items():
        os.dup2(source, target)
    return answer
