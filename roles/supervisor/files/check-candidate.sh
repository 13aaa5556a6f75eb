#!/bin/sh
# check-candidate FILE: is FILE a valid part of supervisor's configuration?
#
# supervisord has no option for that. It reads its configuration before it opens its socket and starts programs, so
# with a socket that cannot be opened it stops there: if that is its error, the file is valid.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/supervisord.conf" <<CONF
[unix_http_server]
file=$folder/missing/socket
[supervisord]
logfile=$folder/log
pidfile=$folder/pid
childlogdir=$folder
nocleanup=true
[include]
files=$folder/candidate.conf
CONF
cp "$1" "$folder/candidate.conf"
answer=$(supervisord -n -c "$folder/supervisord.conf" 2>&1) || true
case $answer in
*"Cannot open an HTTP server"*) ;;
*)
  echo "$answer" >&2
  exit 1
  ;;
esac
