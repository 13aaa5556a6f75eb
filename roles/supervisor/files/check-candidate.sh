#!/bin/sh
# check-candidate FILE: is FILE a valid part of supervisor's configuration?
#
# supervisord has no option for that. It reads everything before it opens its socket, so one whose socket can't be
# opened stops there, before it starts a program: when that is what it complains about, the file is valid.
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
