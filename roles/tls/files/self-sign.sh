#!/bin/sh
# self-sign.sh FILE NAME...
#
# Makes a key and a self-signed certificate for the names, in one file, which is there in whole or not at all.
set -eu
file=$1
shift
names=$(printf ',DNS:%s' "$@")
umask 077
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days 3650 -subj /CN=self-signed \
  -addext "subjectAltName=${names#,}" -keyout "$new" -out "$new"
mv "$new" "$file"
