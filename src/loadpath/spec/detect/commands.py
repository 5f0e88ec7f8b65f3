"""How a project lays out its database and fills it, where a usual convention tells.

Migrations come before scripts: `alembic upgrade head`, `flask db upgrade`, `manage.py migrate`,
`npm run migrate`; then commands of `flask` and scripts by their usual names.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from loadpath.spec.detect.found import Commands
from loadpath.spec.detect.project import Project
from loadpath.spec.detect.python_code import Module, keyword, last_name, text_of

# Dashes and underscores alike. The first that fits is taken.
_PREPARE_NAMES = (
    *("migrate", "db:migrate", "migrate:latest", "migrate:up", "migrate:deploy", "migration:run"),
    *("migrations:run", "db:push", "db:setup", "init-db", "initdb", "db:init", "create-db"),
    *("create-tables", "create-all", "setup-db", "db:create"),
)
_SEED_NAMES = (
    *("seed", "db:seed", "seed:run", "seed-db", "seed-data", "seed-database", "db-seed"),
    *("populate", "populate-db", "load-fixtures", "load-sample-data", "sample-data"),
    *("initial-data", "load-demo", "demo-data", "fake-data"),
)
_SHELL = set("&|;<>$`*?\n")


def node_commands(project: Project) -> Commands:
    """The scripts of package.json with the usual names, else Prisma's own."""
    listed = (project.node or {}).get("scripts")
    scripts = listed if isinstance(listed, dict) else {}
    prepare = _script(scripts, _PREPARE_NAMES)
    if prepare is None and any(p.endswith("schema.prisma") for p in project.sources):
        prepare = ("npx", "prisma", "migrate", "deploy")
    return Commands(prepare, _script(scripts, _SEED_NAMES))


def node_words(name: str, script: str) -> tuple[str, ...]:
    """The words that run a script of package.json; without npm where node alone is called, for npm
    would be one process more between the guard and it, and only npm knows node_modules/.bin."""
    try:
        words = shlex.split(script)
    except ValueError:
        words = []
    if words and words[0] == "node" and not _SHELL.intersection(script):
        return tuple(words)
    return ("npm", name) if name == "start" else ("npm", "run", name)


def django_commands(project: Project) -> Commands:
    """`migrate`, then a management command with a usual name, else the fixtures there are."""
    manage = ("python", "manage.py")
    own = {
        path.stem: path
        for path in map(PurePosixPath, project.sources)
        if path.parent.parts[-2:] == ("management", "commands")
    }
    seed = _named(own, _SEED_NAMES)
    words: tuple[str, ...] | None = (*manage, seed) if seed else None
    fixtures = sorted(
        file.name.partition(".")[0]
        for folder in (project.directory, *project.directory.iterdir())
        for file in folder.glob("fixtures/*.*")
        if file.suffix in (".json", ".yaml", ".yml", ".jsonl", ".xml")
    )
    if words is None and fixtures:
        words = (*manage, "loaddata", *dict.fromkeys(fixtures))
    return Commands((*manage, "migrate", "--noinput"), words)


def python_commands(
    project: Project, modules: Mapping[str, Module], flask_app: str | None
) -> Commands:
    """Of a FastAPI or Flask service. `flask_app` is what `flask --app` is given, for Flask."""
    flask = ("flask", "--app", flask_app) if flask_app else ()
    own = list(_flask_commands(modules)) if flask else []
    scripts = dict(_scripts(modules, project))
    prepare: tuple[str, ...] | None = None
    seed: tuple[str, ...] | None = None
    if (project.directory / "alembic.ini").is_file():
        prepare = ("alembic", "upgrade", "head")
    elif flask and (project.directory / "migrations" / "env.py").is_file():
        prepare = (*flask, "db", "upgrade")
    elif flask and (name := _named(own, _PREPARE_NAMES)):
        prepare = (*flask, name)
    elif name := _named(scripts, _PREPARE_NAMES):
        prepare = scripts[name]
    if flask and (name := _named(own, _SEED_NAMES)):
        seed = (*flask, name)
    elif name := _named(scripts, _SEED_NAMES):
        seed = scripts[name]
    notes: tuple[str, ...] = ()
    makes = sorted(
        ("__main__" in project.sources[m.path], m.path)
        for m in modules.values()
        if _makes_tables(m.tree)
    )
    if prepare is None and makes:
        notes = (f"no prepare: {makes[0][1]} makes the tables by itself (create_all)",)
    return Commands(prepare, seed, notes)


def _script(scripts: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, ...] | None:
    name = _named(scripts, names)
    script = scripts.get(name) if name else None
    return node_words(name, script) if name and isinstance(script, str) else None


def _named(found: Mapping[str, object] | list[str], names: tuple[str, ...]) -> str | None:
    by_name = {re.sub(r"[-_:.]", "-", name): name for name in found}
    wanted = (re.sub(r"[-_:.]", "-", name) for name in names)
    return next((by_name[name] for name in wanted if name in by_name), None)


def _flask_commands(modules: Mapping[str, Module]) -> Iterator[str]:
    """Commands without an argument that they must be given."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            decorators = [d for d in node.decorator_list if isinstance(d, ast.Call)]
            if any(_must_be_given(d) for d in decorators):
                continue
            for each in decorators:
                if last_name(each.func) == "command":
                    named = text_of(each.args[0] if each.args else keyword(each, "name"))
                    yield named or node.name.removesuffix("_command").replace("_", "-")


def _must_be_given(decorator: ast.Call) -> bool:
    required = keyword(decorator, "required")
    is_required = isinstance(required, ast.Constant) and required.value is True
    return last_name(decorator.func) == "argument" or is_required


def _scripts(
    modules: Mapping[str, Module], project: Project
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Scripts by their name without suffix, those nearest to the top last, for the last wins."""
    found = sorted(modules.values(), key=lambda m: -len(PurePosixPath(m.path).parts))
    for module in found:
        path = PurePosixPath(module.path)
        in_src = path.parts[0] == "src"
        if "__main__" not in project.sources[module.path]:
            continue
        if len(path.parts) == 1:
            yield path.stem, ("python", module.path)
        elif not in_src:
            # As a module, so that it can import the package whatever folder it is in.
            yield path.stem, ("python", "-m", module.name)


def _makes_tables(tree: ast.Module) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr == "create_all" for n in ast.walk(tree))
