#!/bin/sh
# archive.sh FOLDER NAMES: packs FOLDER/archive.tar with packages and their dependencies; prints the system that they are for.
# apt checks the archive's signatures here, and the hashes in Packages when a host installs from the archive.
set -eu
mkdir "$0/debs"
cd "$0/debs"
apt-get --quiet=2 update >&2
# As if nothing were installed: another host may lack what this one has.
# shellcheck disable=SC2086  # the names are words
apt-get --option Dir::State::status=/dev/null --no-install-recommends --simulate install $1 |
  sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' |
  xargs apt-get --quiet=2 --option APT::Sandbox::User=root download >&2
for deb in *.deb; do
  plain=$(echo "$deb" | tr -d %)
  [ "$deb" = "$plain" ] || mv "$deb" "$plain"
  dpkg-deb --field "$plain"
  sum=$(sha256sum "$plain" | cut --delimiter=' ' --fields=1)
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$plain" "$(stat --format=%s "$plain")" "$sum"
done >Packages
tar --create --file=../archive.tar --owner=0 --group=0 --mode=u=rwX,go=rX .
chmod 0755 "$0"
chmod 0644 ../archive.tar
# shellcheck source=/dev/null
. /etc/os-release
echo "$ID-$VERSION_ID-$(dpkg --print-architecture)"
