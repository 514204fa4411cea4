#!/usr/bin/env bash
# One door on a fresh machine:
#   ./build.sh                  builds the layers of layers.yaml        (layerkit build)
#   ./build.sh build flask ...  any layerkit command, with its arguments
#   ./build.sh test ...         runs the whole test suite               (pytest)
# All of them run in this file's folder.
# Needs Python 3.11 or newer and a package index.  Makes .venv beside this file, once; LAYERKIT_PYTHON names the
# Python to make it with.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local name
    for name in ${LAYERKIT_PYTHON:+"$LAYERKIT_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        # a launcher on PATH may name a version that is not there: ask it
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    say "error: layerkit needs Python 3.11 or newer, and none is on PATH"
    say "  To do: install one, or name it: LAYERKIT_PYTHON=/path/to/python3 ./build.sh"
    exit 10
}

# ready STAMP: true when what STAMP stands for is installed as pyproject.toml and requirements.lock say now
ready() {
    [ -x "$venv/bin/python" ] && cmp -s "$here/pyproject.toml" "$venv/$1.pyproject.toml" &&
        cmp -s "$here/requirements.lock" "$venv/$1.requirements.lock"
}

# install STAMP OPTION...: the toolkit (editable), each distribution of the version and hash in requirements.lock
install() {
    local stamp=$1
    shift
    say "layerkit: preparing $venv ($stamp)"
    if ! "$venv/bin/python" -c 'import uv' 2>/dev/null; then
        local python
        python=$(find_python)
        local clear=--clear # of one whose Python is gone; any other is kept
        ! "$venv/bin/python" -c '' 2>/dev/null || clear=
        "$python" -m venv $clear "$venv" || {
            say "error: $python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"
            exit 10
        }
        # uv alone by pip, as locked; everything else by uv, which is faster
        sed -n '/^uv==/,/^[^ ]/p' "$here/requirements.lock" | grep -E '^uv==|--hash' >"$venv/uv.txt"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$venv/uv.txt"
    fi
    VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet \
        --constraints requirements.lock --build-constraints requirements.lock --editable . "$@"
    cp "$here/pyproject.toml" "$venv/$stamp.pyproject.toml"
    cp "$here/requirements.lock" "$venv/$stamp.requirements.lock"
}

cd "$here"
if [ "${1:-}" = test ]; then
    shift
    ready dev || install dev --group dev
    # the whole suite, in a process for each core; the tests of a file stay together
    [ $# -gt 0 ] || set -- --numprocesses auto --dist loadfile
    exec "$venv/bin/python" -m pytest "$@"
fi
ready run || ready dev || install run
[ $# -gt 0 ] || set -- build
exec "$venv/bin/layerkit" "$@"
