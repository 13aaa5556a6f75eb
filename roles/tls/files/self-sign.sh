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
settings=$(mktemp)
trap 'rm -f "$new" "$settings"' EXIT
# a file of its own, for OpenSSL 1.1.0 has no -addext
cat >"$settings" <<END
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = self-signed
[extensions]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
basicConstraints = critical,CA:true
subjectAltName = ${names#,}
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days 3650 -config "$settings" \
  -keyout "$new" -out "$new"
sync "$new"
mv "$new" "$file"
