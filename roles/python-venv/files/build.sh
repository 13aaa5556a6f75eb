#!/bin/sh
# build.sh PYTHON UV LOCK OPTION...: runs `pip wheel OPTION...` with the pip of a lock, as the build account, with variables from
# standard input, and ends all that it leaves.
# eval and cat, because the account may read root's standard input but not open /dev/stdin.
set -eu
umask 0022
set -a
eval "$(cat)"
cd "$HOME"
python=$1 uv=$2 lock=$3
shift 3
code=0
{
  "$python" -I -m venv --without-pip venv \
    && "$uv" pip install --quiet --color=never --python=venv/bin/python \
      --no-deps --require-hashes --only-binary=:all: --requirement="$lock" \
    && venv/bin/python -I -m pip wheel "$@"
} </dev/null || code=$?
# -1: all processes of the account; in a container, systemd may not learn when the last process of a unit has ended
for _ in 1 2 3; do
  if [ "$(id -u)" != 0 ]; then kill -s KILL -- -1 2>/dev/null || true; fi
  sleep 0.3
done
exit "$code"
