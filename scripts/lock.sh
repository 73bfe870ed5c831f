#!/usr/bin/env bash
# Brings uv.lock up to date with pyproject.toml, and requirements.lock, for pip, with uv.lock.
# Arguments are handed on to uv lock, such as --upgrade. With --check nothing is written: it fails
# where one of the two is not what it should be.
set -euo pipefail

unset CDPATH VIRTUAL_ENV
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# The locks name PyPI, whatever mirror this machine uses.
unset UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INDEX UV_INDEX_URL
export UV_NO_CONFIG=1
readonly HOSTS='https://(pypi\.org|files\.pythonhosted\.org)/'

uv=.venv/bin/uv
[[ -x $uv ]] || uv=uv

export_requirements() {
  echo "# Exported from uv.lock by scripts/lock.sh; not to be edited."
  "$uv" export --quiet --locked --format requirements.txt --no-hashes --no-emit-project \
    --no-annotate --no-header
}

if [[ ${1:-} == --check ]]; then
  "$uv" lock --check
  export_requirements | diff requirements.lock - || {
    echo "lock: requirements.lock is not the export of uv.lock; run scripts/lock.sh" >&2
    exit 1
  }
  if grep -nE '://|(url|path|editable|directory) = "' uv.lock |
    grep -vE "\"$HOSTS|source = \{ (editable|virtual) = \"\.\" \}"; then
    echo "lock: uv.lock names something that is not on PyPI (see above)" >&2
    exit 1
  fi
else
  "$uv" lock "$@"
  export_requirements >requirements.lock.new
  mv requirements.lock.new requirements.lock
fi
