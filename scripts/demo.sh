#!/usr/bin/env bash
# The main job on real data: trains three initializers with five seeds each and compares them.
# Takes under two minutes once everything is installed. Arguments are handed on, such as seeds=3.
set -euo pipefail

unset CDPATH PYTHONHOME PYTHONPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

bash scripts/setup.sh
exec .venv/bin/python -m runner --multirun init=uniform,glorot_normal,zero "$@"
