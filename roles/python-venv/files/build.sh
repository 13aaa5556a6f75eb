#!/bin/sh
# build.sh PYTHON UV LOCK OPTION...: runs `pip wheel OPTION...` with the pip of a lock, as the build account, with variables from
# standard input. eval and cat, because the account may read root's standard input but not open /dev/stdin.
set -eu
umask 0022
set -a
eval "$(cat)"
cd "$HOME"
python=$1 uv=$2 lock=$3
shift 3
exec </dev/null
"$python" -I -m venv --without-pip venv
"$uv" pip install --quiet --color=never --python=venv/bin/python \
  --no-deps --require-hashes --only-binary=:all: --requirement="$lock"
exec venv/bin/python -I -m pip wheel "$@"
