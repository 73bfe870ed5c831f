#!/usr/bin/env bash
# Runs the tests. Arguments are handed on to pytest, such as tests/report or -m 'slow or browser'.
set -euo pipefail

unset CDPATH PYTHONHOME PYTHONPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
exec .venv/bin/python -m pytest "$@"
