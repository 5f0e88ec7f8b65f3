"""The data that every arm starts from: prepared and seeded once, kept, copied for each."""

from __future__ import annotations

import shlex
import tempfile
import time
from pathlib import Path

import msgspec

from loadpath.deploy.commands import run_command
from loadpath.deploy.dependencies import Dependencies
from loadpath.deploy.embedded import SavedData
from loadpath.deploy.environment import find_program, service_environment
from loadpath.deploy.guard import Guard, exit_words
from loadpath.deploy.kind import file_name
from loadpath.deploy.logs import Log
from loadpath.errors import WouldNotRunError
from loadpath.events import EventSink, PhaseFinished, PhaseStarted, Warned
from loadpath.spec import Dependency, Setup

PREPARE_TIMEOUT_S = 600.0
SEED_TIMEOUT_S = 3600.0


class Snapshot(msgspec.Struct, frozen=True):
    """The data folders of stopped servers, by dependency; one that is missing starts empty.

    They lie in the folder that `prepare_data` was given and end with it.
    """

    saved: dict[str, SavedData] = {}


async def prepare_data(
    setup: Setup,
    *,
    guard: Guard,
    emit: EventSink,
    folder: Path,
    prepare_timeout_s: float = PREPARE_TIMEOUT_S,
    seed_timeout_s: float = SEED_TIMEOUT_S,
    always: bool = False,
) -> Snapshot:
    """Run every `prepare`, then every `seed`, once, and keep what they leave.

    Without any of them nothing is started and nothing is in the snapshot, except with `always`.


    The commands run in the service's folder with its environment. What they leave in PostgreSQL is
    vacuumed, analyzed and flushed, so that arms start from the same statistics. A dependency given
    by URL is prepared and seeded only with `setup.allow_writes`, and never copied. Raises
    `WouldNotRunError` for a command that fails or takes too long, with its last lines.
    """
    commands = _commands(setup, emit)
    if not commands and not always:
        return Snapshot()
    home = Path(tempfile.mkdtemp(prefix="data-", dir=folder))
    dependencies = Dependencies(setup, guard=guard, emit=emit, folder=home, around=(folder,))
    try:
        await dependencies.start({})
        for step, dependency, words in commands:
            timeout_s = prepare_timeout_s if step == "prepare" else seed_timeout_s
            title = f"{step} {dependency.name}"
            began_s = time.monotonic()
            emit(PhaseStarted(at_s=time.time(), phase=title, detail=shlex.join(words)))
            log = Log(home / f"{step}-{file_name(dependency.name)}.log")
            try:
                await _run(
                    setup,
                    dependencies,
                    title=title,
                    words=words,
                    guard=guard,
                    log=log,
                    timeout_s=timeout_s,
                )
            finally:
                log.close()
            took_s = time.monotonic() - began_s
            emit(PhaseFinished(at_s=time.time(), phase=title, result="done", took_s=took_s))
        await dependencies.settle()
        return Snapshot(await dependencies.stop_to_keep())
    except BaseException:
        await dependencies.stop()
        raise


def _commands(setup: Setup, emit: EventSink) -> list[tuple[str, Dependency, tuple[str, ...]]]:
    commands = []
    for step in ("prepare", "seed"):
        for dependency in setup.service.dependencies:
            words = dependency.prepare if step == "prepare" else dependency.seed
            if words is None:
                continue
            if dependency.url is None or setup.allow_writes:
                commands.append((step, dependency, words))
            else:
                emit(
                    Warned(
                        at_s=time.time(),
                        message=f"{dependency.name} is given by URL: its {step} was not run",
                        advice="It is used as it is. To prepare and seed it: --allow-writes",
                    )
                )
    return commands


async def _run(
    setup: Setup,
    dependencies: Dependencies,
    *,
    title: str,
    words: tuple[str, ...],
    guard: Guard,
    log: Log,
    timeout_s: float,
) -> None:
    env = service_environment(setup, dependencies.values())
    directory = setup.service.directory
    program = find_program(words, env, directory, title)
    command = shlex.join(words)
    try:
        code = await run_command(
            guard,
            (program, *words[1:]),
            name=title,
            env=env,
            cwd=directory,
            log=log,
            timeout_s=timeout_s,
        )
    except TimeoutError:
        raise WouldNotRunError(
            f"{title} did not end within {timeout_s:g} s: {command}",
            last_lines=log.tail(secrets=dependencies.secrets),
        ) from None
    except OSError as error:
        raise WouldNotRunError(f"{title} could not be started: {command}: {error}") from None
    if code == 0:
        return
    outputs = [log.text(), *(server.log.text() for server in dependencies.servers.values())]
    known = next(filter(None, map(dependencies.explain, outputs)), None)
    raise WouldNotRunError(
        f"{title} {exit_words(code)}: {command}" + (f": {known.message}" if known else ""),
        last_lines=log.tail(secrets=dependencies.secrets),
        advice=known.advice if known else None,
    )
