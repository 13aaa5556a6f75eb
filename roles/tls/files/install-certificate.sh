#!/bin/sh
# install-certificate FOLDER FILE SERVICE ISSUED
#
# Makes FILE of the key and the chain in FOLDER, if a server could use them, reloads SERVICE, and leaves the mark ISSUED.
# certbot runs it after every renewal, its timer twice a day: FILE.reload is there until a reload has succeeded.
set -eu
umask 077
new=$(mktemp "$2.XXXXXX")
trap 'rm -f "$new"' EXIT
cat "$1/privkey.pem" "$1/fullchain.pem" >"$new"
python3 -c 'import ssl, sys; ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(sys.argv[1])' "$new"
if [ -e "$2.reload" ] || [ ! -e "$4" ] || ! cmp -s "$new" "$2"; then
  : >"$2.reload"
  # a power cut leaves the old file or the new one, and the mark
  sync "$new" "$2.reload"
  mv "$new" "$2"
  sync "${2%/*}"
  systemctl reload "$3"
  (umask 022 && : >"$4")
  rm "$2.reload"
  echo "installed $2"
fi
