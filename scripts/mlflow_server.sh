#!/usr/bin/env bash
# An MLflow server for local use: PostgreSQL keeps the runs, and files go through the server.
# Needs PostgreSQL on the machine (apt-get install postgresql; brew install postgresql) and
# pip install 'runner[server]'. Runs until it is stopped; both then end in order.
#
#   bash scripts/mlflow_server.sh [FOLDER] [PORT]      default: mlflow-server 5000; what follows is
#                                                      handed on to `mlflow server`
#   export MLFLOW_TRACKING_URI=http://127.0.0.1:5000   in the shell that runs the commands
set -euo pipefail

unset CDPATH
folder=$(mkdir -p -- "${1:-mlflow-server}" && cd -- "${1:-mlflow-server}" && pwd -P)
port=${2:-5000}
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-$(if [[ -x .venv/bin/python ]]; then echo "$PWD/.venv/bin/python"; else command -v python3; fi)}

# Packages of PostgreSQL put its programs where no PATH leads.
programs=""
for place in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
  if [[ -x $place/initdb && -x $place/psql ]]; then programs=$place; fi
done
if [[ -z $programs ]]; then
  echo "PostgreSQL is not installed (no initdb). Install it: apt-get install postgresql" >&2
  exit 1
fi

# PostgreSQL refuses to run as root; its package brings a user for it, who must be let into FOLDER.
as_owner() { "$@"; }
if [[ $(id -u) == 0 ]]; then
  as_owner() { runuser -u postgres -- "$@"; }
  mkdir -p "$folder/postgresql"
  chown postgres "$folder/postgresql"
fi

# It listens on a socket only, in a folder of its own: paths of sockets must be short, and whoever
# may enter the folder may use the database, so that there is no password to keep.
socket=$(mktemp -d -t mlflow-XXXXXX)
if [[ $(id -u) == 0 ]]; then chown postgres "$socket"; fi
data=$folder/postgresql/data

stop() {
  if [[ -n ${server:-} ]] && kill "$server" 2>/dev/null; then wait "$server" || true; fi
  (cd / && as_owner "$programs/pg_ctl" -D "$data" -m fast -w stop) >/dev/null 2>&1 || true
  rm -rf "$socket"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

(
  cd / # where the owner may be
  if [[ ! -e $data/PG_VERSION ]]; then
    as_owner "$programs/initdb" -D "$data" -U mlflow -A trust -E UTF8 --no-instructions >/dev/null
  fi
  # Left by a server that was killed: its socket is gone.
  as_owner "$programs/pg_ctl" -D "$data" -m fast -w stop >/dev/null 2>&1 || true
  as_owner "$programs/pg_ctl" -D "$data" -l "$folder/postgresql/log" -w \
    -o "-c listen_addresses='' -c unix_socket_directories='$socket' -c unix_socket_permissions=0700" start >/dev/null
  as_owner "$programs/psql" -h "$socket" -U mlflow -d postgres -tAc \
    "SELECT 1 FROM pg_database WHERE datname = 'mlflow'" | grep -q 1 ||
    as_owner "$programs/createdb" -h "$socket" -U mlflow mlflow
)

# Its processes for jobs (eight of 250 MB) evaluate language models; nothing here needs them.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=${MLFLOW_SERVER_ENABLE_JOB_EXECUTION:-false}
"$python" -m mlflow server --host 127.0.0.1 --port "$port" --workers 2 \
  --backend-store-uri "postgresql+psycopg://mlflow@/mlflow?host=$socket" \
  --artifacts-destination "file://$folder/files" "${@:3}" &
server=$!
echo "MLflow: http://127.0.0.1:$port (files and database in $folder)"
wait "$server"
