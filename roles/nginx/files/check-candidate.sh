#!/bin/sh
# check-candidate FILE PLACE: is nginx's configuration valid with FILE in the place of /etc/nginx/PLACE?
#
# A site alone is no configuration that `nginx -t` can read, so the whole of it is copied, and tested with the candidate.
set -eu
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# Links become what they lead to. One that leads nowhere stays, so that nginx refuses it where it would read it.
cd /etc/nginx
find -L . -type d -print0 2>/dev/null | (cd "$copy" && xargs -0 mkdir -p)
find -L . -type f -print0 2>/dev/null | xargs -0 cp --parents --target-directory="$copy"
find -L . -type l -print0 2>/dev/null | xargs -0 -r cp --no-dereference --parents --target-directory="$copy"
cp --remove-destination "$1" "$copy/$2"
case $2 in
sites-available/*)
  mkdir -p "$copy/sites-enabled"
  cp --remove-destination "$1" "$copy/sites-enabled/${2#*/}"
  ;;
esac
grep -rlZ /etc/nginx/ "$copy" | xargs -0 -r sed -i "s#/etc/nginx/#$copy/#g"
nginx -t -q -c "$copy/nginx.conf" 2>"$copy/answer" || {
  sed "s#$copy/#/etc/nginx/#g" "$copy/answer" >&2
  exit 1
}
