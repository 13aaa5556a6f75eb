#!/bin/sh
# check-candidate FILE PLACE: is nginx's configuration valid with FILE in the place of /etc/nginx/PLACE?
#
# A site alone is no configuration that `nginx -t` can read, so the whole of it is copied, and tested with the candidate.
set -eu
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -rL /etc/nginx/. "$copy"
cp "$1" "$copy/$2"
case $2 in
sites-available/*)
  if [ ! -d "$copy/sites-enabled" ]; then mkdir "$copy/sites-enabled"; fi
  cp "$1" "$copy/sites-enabled/${2#*/}"
  ;;
esac
grep -rlZ /etc/nginx/ "$copy" | xargs -0 -r sed -i "s#/etc/nginx/#$copy/#g"
nginx -t -q -c "$copy/nginx.conf" 2>"$copy/answer" || {
  sed "s#$copy/#/etc/nginx/#g" "$copy/answer" >&2
  exit 1
}
