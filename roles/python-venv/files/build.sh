#!/bin/sh
# build.sh COMMAND...: runs a command as the build account, with variables from standard input, and ends all that it leaves.
# eval and cat, because the account may read root's standard input but not open /dev/stdin.
set -eu
umask 0022
set -a
eval "$(cat)"
cd "$HOME"
code=0
"$@" </dev/null || code=$?
# -1: all processes of the account; in a container, systemd may not learn when the last process of a unit has ended
for _ in 1 2 3; do
  if [ "$(id -u)" != 0 ]; then kill -s KILL -- -1 2>/dev/null || true; fi
  sleep 0.3
done
exit "$code"
