#!/usr/bin/env bash
# Makes .venv with the locked dependencies and this project, editable. Where there is nothing to do
# it ends within a second; what an interrupted call left behind, the next one makes again.
#
# Uses uv if it is installed (uv.lock), else python -m venv and pip (requirements.lock, the same
# versions). Package indexes are those that the environment configures (pip.conf, PIP_*, UV_*).
set -euo pipefail
trap 'exit 130' INT TERM HUP

unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# Settings meant for other environments would lead Python, pip or uv away from this one.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV
unset PIP_PREFIX PIP_ROOT PIP_TARGET
unset UV_FROZEN UV_LOCKED UV_NO_DEV UV_NO_SYNC UV_PROJECT UV_SYSTEM_PYTHON UV_WORKING_DIR
export PIP_USER=0 UV_PROJECT_ENVIRONMENT=.venv
export PYTHONUNBUFFERED=1    # else pip's progress comes late
export UV_COMPILE_BYTECODE=1 # as pip does; else the first import of TensorFlow pays for it

readonly STATE=.venv/setup-state # "unfinished" and a process, or the fingerprint of what is there
readonly LOG=.venv/setup.log

# Any Python can read these two.
readonly FITS='import platform, sys
fits = platform.python_implementation() == "CPython" and (3, 11) <= sys.version_info[:2] < (3, 14)'
# Prints the interpreter that makes environments: not the one of an environment that it may itself
# belong to. Where it cannot serve, prints what it is and fails.
readonly PROBE=$FITS'

def refuse(reason):
    sys.stdout.write(reason)
    sys.exit(1)

version = "%s %s" % (platform.python_implementation(), platform.python_version())
if not fits:
    refuse(version)
try:
    import ensurepip, venv
except ImportError:
    refuse(version + " without ensurepip (Debian, Ubuntu: apt-get install python3-venv)")
sys.stdout.write(getattr(sys, "_base_executable", None) or sys.executable)
'

fingerprint() {
  pwd -P # an environment cannot be moved
  cksum pyproject.toml requirements.lock scripts/setup.sh uv.lock
}

# Prints a supported interpreter. One that is found may still not run: a pyenv shim, for one.
find_python() {
  local name answer found=""
  for name in python3.13 python3.12 python3.11 python3 python; do
    command -v "$name" >/dev/null || continue
    if answer=$("$name" -c "$PROBE" 2>/dev/null); then
      printf '%s\n' "$answer"
      return
    fi
    found+="  $name: ${answer:-does not run}"$'\n'
  done
  {
    echo "setup: this project needs Python 3.11, 3.12 or 3.13, and none was found on PATH."
    printf '%s' "${found:+Found instead:$'\n'$found}"
    echo "Install one of them, or uv (https://docs.astral.sh/uv/), and run this again."
  } >&2
  return 1
}

has_uv() {
  # The uv inside .venv is for development: it would have to replace itself.
  uv --version >/dev/null 2>&1 && ! [[ $(command -v uv) -ef .venv/bin/uv ]]
}

# Waits while another call is at work on this checkout.
wait_for_other() {
  local word pid told=""
  while read -r word pid 2>/dev/null <"$STATE" && [[ $word == unfinished ]] &&
    ps -p "$pid" -o args= 2>/dev/null | grep -q 'setup\.sh'; do
    [[ -n $told ]] || echo "Waiting for another setup (process $pid) ..."
    told=yes
    sleep 1
  done
}

# Prints why the .venv that is there has to be made again; prints nothing if it serves.
complaint() {
  local made_for=${recorded%%$'\n'*}
  if [[ $recorded == unfinished* ]]; then
    echo "an interrupted setup left it"
  elif [[ -n $recorded && $made_for != "$(pwd -P)" ]]; then
    echo "it was made for $made_for"
  elif ! .venv/bin/python -c "$FITS"$'\nsys.exit(not fits)' 2>/dev/null; then
    echo "its Python does not run or is not supported"
  fi
}

# Runs a command, keeps its output in the log and hands it to the function $1, which shows progress.
run() {
  local progress=$1
  shift
  if "$@" </dev/null 2>&1 | tee -a "$LOG" | "$progress"; then return; fi
  # Both installers fetch everything before they change anything: what was there still works.
  [[ -z $recorded ]] || printf '%s\n' "$recorded" >"$STATE"
  {
    echo "setup: this failed: $*"
    tail -n 20 "$LOG"
    echo "setup: the whole log is $PWD/$LOG"
  } >&2
  exit 1
}

uv_progress() {
  grep --line-buffered -vE '^ [+~-] | (Downloaded|Building|Built) |^Activate with' || true
}

pip_progress() {
  local total count=0 line
  total=$(grep -c '==' requirements.lock)
  while IFS= read -r line; do
    case $line in
      "Ignoring "*) total=$((total - 1)) ;; # for another platform or Python
      *"(from -r requirements.lock"*)
        count=$((count + 1))
        if ((count % 25 == 0 || count == total)); then echo "  fetched $count of $total"; fi
        ;;
      "Installing collected packages"*) echo "  installing (the longest part)" ;;
    esac
  done
}

install_with_uv() {
  echo "Installing the locked dependencies into .venv with uv ..."
  [[ -x .venv/bin/python ]] || run uv_progress uv venv --allow-existing .venv
  if uv lock --check --offline --quiet 2>>"$LOG"; then
    run uv_progress uv sync --locked --inexact
  else # a mirror in place of PyPI is enough for uv to find its lock outdated
    run uv_progress uv pip install --python .venv/bin/python -r requirements.lock
    run uv_progress uv pip install --python .venv/bin/python --no-deps --editable .
  fi
}

install_with_pip() {
  local python=.venv/bin/python
  echo "Installing the locked dependencies into .venv with pip (some minutes the first time) ..."
  [[ -x $python ]] || run cat "$base_python" -m venv .venv
  "$python" -m pip --version >/dev/null 2>&1 || run cat "$python" -m ensurepip
  run pip_progress "$python" -m pip install --no-input --no-deps -r requirements.lock
  run cat "$python" -m pip install --no-input --quiet --no-deps --no-build-isolation --editable .
}

wait_for_other
recorded=$(cat "$STATE" 2>/dev/null || true)
if [[ $recorded == "$(fingerprint)" ]] && .venv/bin/python -c '' 2>/dev/null; then
  echo ".venv is up to date."
  exit
fi

if [[ -e .venv || -L .venv ]]; then
  reason=$(complaint)
else
  reason="there is none"
fi
if [[ -n $reason ]]; then
  has_uv || base_python=$(find_python)
  echo "Making .venv: $reason."
  [[ -L .venv ]] || rm -rf .venv/bin # first, so that a half-removed one is known as such
  rm -rf .venv
  mkdir .venv
  recorded=""
fi

echo "unfinished $$" >"$STATE"
: >"$LOG"
if has_uv; then install_with_uv; else install_with_pip; fi
fingerprint >"$STATE.new"
mv "$STATE.new" "$STATE"
echo "Ready: .venv with $(.venv/bin/python --version). To activate it: source .venv/bin/activate"
