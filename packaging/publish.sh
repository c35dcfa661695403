#!/usr/bin/env bash
# Publishes the files of a release on GitHub, with their checksums and the notes of CHANGELOG.md.
#
#   packaging/publish.sh --prepare FOLDER   pack the store, write SHA256SUMS and check that all files are there
#   packaging/publish.sh FOLDER             the same, then publish; needs gh, and GITHUB_REF_NAME with the tag
#
# FOLDER has the output of packaging/dist for all platforms, and the app store in dpmp-store.
set -euo pipefail

prepare=
if [ "${1-}" = --prepare ]; then prepare=1; shift; fi
[ $# = 1 ] || { sed -n '4,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$(realpath "$1")
cd "$(dirname "$0")/.."
fail() { printf 'packaging/publish.sh: %s\n' "$*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
if [ -n "${GITHUB_REF_NAME-}" ]; then
    [ "$GITHUB_REF_NAME" = "v$version" ] || fail "the tag is $GITHUB_REF_NAME, but Cargo.toml says $version"
fi
# The changelog's section on this version, without its heading.
notes=$(awk -v heading="## [$version]" 'index($0, "## ") == 1 { on = index($0, heading) == 1; next } on' CHANGELOG.md)
[ -n "$notes" ] || fail "CHANGELOG.md has no section $version"

store=dpmp-store-$version.tar.gz
if [ -d "$folder/dpmp-store" ]; then
    tar -C "$folder" --sort=name --owner=0 --group=0 --numeric-owner -czf "$folder/$store" dpmp-store
    rm -r "$folder/dpmp-store"
fi
files=("$store")
for arch in amd64 arm64 armv7; do files+=("dpmp-$version-linux-$arch.tar.gz" "dpmp-$version-linux-$arch.cdx.json"); done
for arch in amd64 arm64 armhf; do files+=("dpmp_$version-1_$arch.deb"); done
for file in "${files[@]}"; do [ -s "$folder/$file" ] || fail "$file is missing"; done
(cd "$folder" && sha256sum "${files[@]}" >SHA256SUMS)
cat "$folder/SHA256SUMS"
[ -z "$prepare" ] || exit 0

[ -n "${GITHUB_REF_NAME-}" ] || fail "GITHUB_REF_NAME must have the tag"
cd "$folder"
gh release create "$GITHUB_REF_NAME" --repo "${GITHUB_REPOSITORY:?}" --verify-tag --title "DPMP $version" --notes "$notes" \
    SHA256SUMS "${files[@]}"
