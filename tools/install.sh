#!/bin/sh
# Make .venv inside the checkout and install the locked packages and this checkout into it.
# Called by `make install`; PYTHON, VENV and STAMP come from the Makefile.
set -eu

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
STAMP=${STAMP:-$VENV/.installed}

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null 2>&1 || stop \
    "No '$PYTHON' on the PATH. Loadpath needs Python 3.11 or later." \
    "Install it (Debian, Ubuntu: apt install python3 python3-venv), or name another one:" \
    "    make install PYTHON=/path/to/python3.12"

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop \
    "Loadpath needs Python 3.11 or later; '$PYTHON' is $("$PYTHON" -V 2>&1)." \
    "Name a newer one:  make install PYTHON=python3.12"

# An environment that was moved, half made, or made by another Python is made anew.
if [ -d "$VENV" ]; then
    if [ ! -e "$STAMP" ] && ls "$VENV"/.installed* >/dev/null 2>&1; then
        echo "This checkout has moved: making $VENV anew."
        rm -rf "$VENV"
    elif ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$VENV"
    fi
fi

# Debian's python3 lacks ensurepip unless python3-venv is installed; uv, virtualenv, or a pip
# outside (22.3 and later can install into another environment) do as well.
make_environment() {
    why=$("$PYTHON" -m venv "$VENV" 2>&1) && return
    rm -rf "$VENV"
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --seed --python "$PYTHON" "$VENV" && return
    fi
    rm -rf "$VENV"
    if "$PYTHON" -m virtualenv --version >/dev/null 2>&1; then
        "$PYTHON" -m virtualenv --quiet "$VENV" && return
    elif command -v virtualenv >/dev/null 2>&1; then
        virtualenv --quiet --python "$PYTHON" "$VENV" && return
    fi
    rm -rf "$VENV"
    if "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -m venv --without-pip "$VENV" &&
            "$PYTHON" -m pip --quiet --python "$VENV/bin/python" install pip && return
    fi
    rm -rf "$VENV"
    stop "$PYTHON could not make a virtual environment. It said:" "$why" "" \
        "On Debian and Ubuntu:  apt install python3-venv" \
        "Elsewhere: install uv or virtualenv, and type make again."
}

if [ ! -d "$VENV" ]; then
    echo "Making $VENV with $("$PYTHON" -V 2>&1)"
    make_environment
fi

pip() {
    "$VENV/bin/python" -m pip --disable-pip-version-check --no-input "$@"
}

echo "Installing the locked packages (about 200 MB the first time)"
pip install --quiet --no-compile --require-hashes -r requirements.lock

# --no-deps and --no-build-isolation: nothing is fetched that the lock has no hash of.
set -- -e .
for project in systems/*/pyproject.toml; do
    [ -e "$project" ] && set -- "$@" -e "$(dirname "$project")"
done
pip install --quiet --no-compile --no-deps --no-build-isolation "$@"

# pip would compile a file at a time; this takes every core. A few files are templates or tests of
# syntax errors, which nothing can compile: that is no failure.
"$VENV/bin/python" -m compileall -qq -j 0 "$VENV/lib" || :

rm -f "$VENV"/.installed*
: >"$STAMP"
echo "Installed in $VENV"
