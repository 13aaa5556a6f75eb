#!/bin/sh
# install-certificate FOLDER FILE SERVICE ISSUED
#
# Writes the key and the chain in FOLDER to FILE, if a server can load them, reloads SERVICE and creates the file ISSUED.
# certbot runs it after every renewal, its timer twice a day: FILE.reload exists until a reload has succeeded.
set -eu
umask 077
new=$(mktemp "$2.XXXXXX")
trap 'rm -f "$new"' EXIT
cat "$1/privkey.pem" "$1/fullchain.pem" >"$new"
python3 -c 'import ssl, sys; ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(sys.argv[1])' "$new"
if [ -e "$2.reload" ] || [ ! -e "$4" ] || ! cmp -s "$new" "$2"; then
  : >"$2.reload"
  # after a power cut, FILE is the old or the new one, and FILE.reload exists
  sync "$new" "$2.reload"
  mv "$new" "$2"
  sync "${2%/*}"
  systemctl reload "$3"
  (umask 022 && : >"$4")
  rm "$2.reload"
  echo "installed $2"
fi
