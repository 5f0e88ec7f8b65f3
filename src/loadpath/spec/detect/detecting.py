"""Puts together what a folder tells of a service."""

from __future__ import annotations

import re
from pathlib import Path

from loadpath.spec.detect.commands import django_commands, node_commands
from loadpath.spec.detect.dependencies import (
    find_dependencies,
    find_unsupported,
    required_elsewhere,
)
from loadpath.spec.detect.django import detect_django
from loadpath.spec.detect.express import detect_express
from loadpath.spec.detect.found import Commands, Detected, Route, Start
from loadpath.spec.detect.project import Project, read_project
from loadpath.spec.detect.python_web import detect_web

_HEALTH = re.compile(
    r"/(?:\w+/)*_?(?:health(?:z|check|_check|-check)?|readyz?|livez?|ping|status)/?"
)
_NO_START = Start(
    ("./start", "--port", "{port}", "--workers", "{workers}"),
    ("check this: no framework was recognized; how is the service started?",),
)


def detect(directory: Path | str) -> Detected:
    """What the service in a folder is, as far as its files tell. Nothing of it is run or imported.

    Raises `ConfigurationError` when there is no such folder, no code in it, or its project files
    cannot be read.
    """
    project = read_project(Path(directory))
    framework: str | None = None
    start, env, routes = _NO_START, dict[str, str](), tuple[Route, ...]()
    commands = Commands()
    if (django := detect_django(project)) is not None:
        framework, commands = "Django", django_commands(project)
        start, routes = django
    elif (web := detect_web(project)) is not None:
        framework, start, routes, commands = web[0].framework, *web[1:]
    elif (express := detect_express(project)) is not None:
        framework = "Express"
        start, env, routes = express
        commands = node_commands(project)
    start = Start(_from_own_environment(project, start.words), start.notes)
    commands = Commands(
        commands.prepare and _from_own_environment(project, commands.prepare),
        commands.seed and _from_own_environment(project, commands.seed),
        commands.notes,
    )
    dependencies = find_dependencies(project, commands)
    taken = {name for d in dependencies for name in d.env} | set(env)
    required = required_elsewhere(project.variables, taken)
    return Detected(
        directory=Path(directory),
        framework=framework,
        start=start,
        ready=f"GET {_ready_path(routes)}",
        env={**env, **{n: value for n, (value, _) in required.items()}},
        env_notes={n: note for n, (_, note) in required.items()},
        dependencies=dependencies,
        unsupported=find_unsupported(project),
        routes=routes,
    )


def _from_own_environment(project: Project, words: tuple[str, ...]) -> tuple[str, ...]:
    """A command with its program out of the virtual environment in the folder, if it is there:
    Loadpath may be installed in another one, whose packages are not the service's."""
    for folder in (".venv", "venv"):
        program = f"{folder}/bin/{words[0]}"
        if (project.directory / program).is_file():
            return (program, *words[1:])
    return words


def _ready_path(routes: tuple[Route, ...]) -> str:
    """A health check if there is one, else the root (any status below 500 is an answer)."""
    paths = [r.path for r in routes if r.is_plain]
    return next((p for p in paths if _HEALTH.fullmatch(p)), "/")
