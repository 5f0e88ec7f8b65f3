"""The service: started with its command and environment, and waited for until it answers."""

from __future__ import annotations

import errno
import shlex
import time
from collections.abc import Mapping

import msgspec

from loadpath.deploy.address import LOOPBACK, Address, free_port, port_is_free
from loadpath.deploy.cores import chosen_cores
from loadpath.deploy.embedded import PORT_TAKEN
from loadpath.deploy.environment import find_program, service_environment
from loadpath.deploy.guard import Guard, GuardedChild, exit_words
from loadpath.deploy.logs import Log
from loadpath.deploy.probe import HandshakeError, http_status, pauses, speaks_tls, unless_ended
from loadpath.deploy.processes import tree
from loadpath.deploy.sockets import holder_of, listening_ports
from loadpath.errors import WouldNotRunError
from loadpath.events import EventSink, PartReady, PartStarting
from loadpath.spec import Service, Setup
from loadpath.spec.tls import client_context

SERVICE = "service"
"""The part name of the service itself."""

_LOOPBACK_6 = "::1"
_PORT_TRIES = 3
_FIRST_SERVER_ERROR = 500
_LONGEST_ANSWER_S = 5.0
_ENVIRONMENT_ADVICE = (
    "Of your own environment it gets PATH, HOME and the like only: put what else it needs under "
    "[service] env."
)

_TLS_ADVICE = (
    'Under [service], tls = true takes any certificate, tls = { ca = "ca.pem", name = "…" } '
    "verifies it; leave tls out when the service speaks plain HTTP."
)


class RunningService(msgspec.Struct, frozen=True):
    """The service as it runs."""

    child: GuardedChild
    address: Address


async def start_service(
    setup: Setup,
    values: Mapping[str, Mapping[str, str]],
    *,
    guard: Guard,
    log: Log,
    emit: EventSink,
    port: int | None = None,
) -> RunningService:
    """Start the service and wait until it is ready.

    `values` are what its dependencies' templates stand for; `port` is one the user insists on.
    Raises `WouldNotRunError` that says what was waited for, with the last lines it printed.
    """
    if port is not None and not port_is_free(port):
        holder = holder_of(port)
        raise WouldNotRunError(
            f"port {port} is taken" + (f" by {holder}" if holder else ""),
            advice="Name another port, or none: a free one is found.",
        )
    began_s = time.monotonic()
    for tries_left in reversed(range(_PORT_TRIES)):
        tried = free_port() if port is None else port
        words = tuple(
            word.replace("{port}", str(tried)).replace("{workers}", str(setup.worker_count))
            for word in setup.service.start
        )
        command = shlex.join(words)
        emit(PartStarting(at_s=time.time(), part=SERVICE, detail=command))
        env = service_environment(setup, values, port=tried)
        child = await _spawn(setup, words, env, guard, log)
        try:
            address = await _until_ready(
                setup.service, child, command=command, port=tried, guard=guard, log=log
            )
        except WouldNotRunError as error:
            await _end(guard, setup.service, child)
            lost = any(PORT_TAKEN.search(line) for line in error.last_lines)
            if lost and tries_left and port is None:
                continue
            raise
        except BaseException:
            await _end(guard, setup.service, child)
            raise
        took_s = time.monotonic() - began_s
        emit(PartReady(at_s=time.time(), part=SERVICE, address=str(address), took_s=took_s))
        return RunningService(child, address)
    raise AssertionError("the last try returns or raises")


async def stop_service(guard: Guard, service: Service, running: RunningService) -> int:
    """Ask it to end; what has not ended after `stop_timeout_s` is killed. How many those were."""
    return await _end(guard, service, running.child)


async def _end(guard: Guard, service: Service, child: GuardedChild) -> int:
    return await guard.end(child, timeout_s=service.stop_timeout_s)


async def _spawn(
    setup: Setup, words: tuple[str, ...], env: dict[str, str], guard: Guard, log: Log
) -> GuardedChild:
    directory = setup.service.directory
    program = find_program(words, env, directory, "[service] start")
    try:
        return await guard.spawn(
            (program, *words[1:]),
            name=SERVICE,
            env=env,
            cwd=directory,
            stdout=log.file,
            cores=chosen_cores(setup.cores),
        )
    except OSError as error:
        no_program = error.errno == errno.ENOEXEC
        raise WouldNotRunError(
            f"the service could not be started with {shlex.join(words)}: {error}",
            advice="A script must begin with a line such as #!/bin/sh." if no_program else None,
        ) from None


async def _until_ready(
    service: Service, child: GuardedChild, *, command: str, port: int, guard: Guard, log: Log
) -> Address:
    method, _, path = service.ready.rpartition(" ")
    path = path if path.startswith("/") else f"/{path}"
    url = f"{method or 'GET'} {service.scheme}://{Address(LOOPBACK, port)}{path}"
    tls = service.tls
    security = None if tls is None else (client_context(tls), tls.name)
    deadline_s = time.monotonic() + service.ready_timeout_s
    status = None
    async for _ in pauses():
        log.keep_small()
        if child.returncode is not None and not (child.returncode == 0 and guard.roots(child)):
            how = exit_words(child.returncode)
            raise WouldNotRunError(
                f"the service {how} before it answered {url}; it was started with: {command}",
                last_lines=log.tail(),
                advice=_ENVIRONMENT_ADVICE
                if child.returncode
                else "The start command must keep running until it is told to end.",
            )
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            break
        for host in (LOOPBACK, _LOOPBACK_6):
            timeout_s = min(max(left_s, 0.1), _LONGEST_ANSWER_S)
            asking = http_status(
                Address(host, port), method or "GET", path, timeout_s, security=security
            )
            try:
                status = await unless_ended(child, asking)
            except HandshakeError as error:
                raise WouldNotRunError(
                    f"no TLS with the service: {error}; it was asked for {url} and was started "
                    f"with: {command}",
                    last_lines=log.tail(),
                    advice=_TLS_ADVICE,
                ) from None
            if status is not None and status < _FIRST_SERVER_ERROR:
                return Address(host, port)
            if status is not None:
                break
    if status is not None:
        found = f"its last answer was status {status}"
    else:
        found = "nothing listened there" if port_is_free(port) else "it sent no HTTP reply"
    if not status and tls is None and await speaks_tls(Address(LOOPBACK, port)):
        raise WouldNotRunError(
            f"the service speaks TLS, and {url} is asked for without; it was started with: "
            f"{command}",
            last_lines=log.tail(),
            advice="Set tls = true under [service].",
        )
    elsewhere = sorted(set(listening_ports(tree(guard.roots(child)))) - {port})
    if elsewhere and not status:
        found += f"; it listens on port {', '.join(map(str, elsewhere))}, not on {port}"
    raise WouldNotRunError(
        f"the service was not ready after {service.ready_timeout_s:g} s: waited for a status below "
        f"500 from {url}, {found}; it was started with: {command}",
        last_lines=log.tail(),
        advice="Put {port} where the start command names its port, or read it from PORT."
        if elsewhere and not status
        else "Mend ready or raise ready_timeout under [service] if it needs longer.",
    )
