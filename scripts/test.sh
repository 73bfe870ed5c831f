#!/usr/bin/env bash
# Runs the tests, two at a time. With arguments they are handed on to pytest instead, such as
# tests/report or -m 'slow or browser'.
set -euo pipefail

unset CDPATH PYTHONHOME PYTHONPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
if (($# == 0)); then set -- -n 2 --dist worksteal; fi
exec .venv/bin/python -m pytest "$@"
