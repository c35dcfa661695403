#!/usr/bin/env bash
# Publishes the image for all platforms and pins it in the Umbrel app. For the maintainer.
#
#   packaging/release.sh [--dry-run] [--source URL] IMAGE     for example registry.example/name/dpmp
#   packaging/release.sh --pin FILE IMAGE VERSION DIGEST      only the last step, on one docker-compose.yml
#
# IMAGE is the name without a tag; the tag is the version in Cargo.toml. dir:FOLDER works without a registry.
# Needs buildah and skopeo, and a login: buildah login, or REGISTRY_USER and REGISTRY_TOKEN. The base image is pinned by
# its current digest, which the image's labels name; BASE_IMAGE and BASE_DIGEST override both. In a GitHub workflow, the
# outputs `image` and `digest` name the published image.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'packaging/release.sh: %s\n' "$*" >&2; exit 1; }

# pin FILE IMAGE VERSION DIGEST: in the one line `image: ...dpmp...:<version>@sha256:<digest>` of a compose file
pin() {
    [[ $4 =~ ^sha256:[0-9a-f]{64}$ ]] || fail "$4 is not a digest"
    local line='^([[:space:]]*image:[[:space:]]*)[^[:space:]]+:[^[:space:]:@]+@sha256:[0-9a-f]{64}[[:space:]]*$'
    [ "$(grep -cE "$line" "$1")" = 1 ] || fail "$1 does not have exactly one line image: NAME:VERSION@sha256:DIGEST"
    sed -E -i "s|$line|\\1$2:$3@$4|" "$1"
    echo "$1: $2:$3@$4"
}

dry='' source=''
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 ;;
        --source) source=${2:?--source needs a URL} && shift ;;
        --pin) [ $# = 5 ] || fail "--pin needs FILE IMAGE VERSION DIGEST"; pin "${@:2}"; exit ;;
        -*) fail "unknown option $1; use --dry-run, --source or --pin" ;;
        *) break ;;
    esac
    shift
done
[ $# = 1 ] || { sed -n '4,10s/^# \{0,1\}//p' packaging/release.sh >&2; exit 2; }
image=$1
# Registries do not allow capital letters, but GitHub accounts can have them.
[[ $image = dir:* ]] || image=${image,,}

# do_it COMMAND...: runs the command, or only shows it
do_it() {
    printf '+ %s\n' "$*"
    [ -n "$dry" ] || "$@"
}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[ -n "$version" ] || fail "no version in Cargo.toml"
case $image in
    dir:*) target=$image ;;
    *:* | *@*) [[ ${image##*/} != *[:@]* ]] || fail "give IMAGE without a tag or digest"; target=docker://$image:$version ;;
    *) target=docker://$image:$version ;;
esac
[ -n "$dry" ] || [ -z "$(git status --porcelain)" ] || fail "commit your changes first"
revision=$(git rev-parse HEAD)
base=${BASE_IMAGE:-debian:trixie-slim}
base_digest=${BASE_DIGEST-}
if [ -z "${BASE_DIGEST+set}" ]; then
    if [ -n "$dry" ]; then
        base_digest="sha256:<from skopeo inspect docker://$base>"
    else
        base_digest=$(skopeo inspect --format '{{.Digest}}' "docker://$base")
    fi
fi

if [ -n "${REGISTRY_TOKEN-}" ] && [ -z "$dry" ]; then
    buildah login --username "${REGISTRY_USER:?}" --password-stdin "${image%%/*}" <<<"$REGISTRY_TOKEN"
fi

# Cross-compiled for each platform, without emulation. In Docker's format, because OCI's would drop the HEALTHCHECK.
list=localhost/dpmp-release:$version
here=linux/$(dpkg --print-architecture)
[ -n "$dry" ] || buildah manifest rm "$list" >/dev/null 2>&1 || true
do_it buildah manifest create "$list"
for platform in linux/amd64 linux/arm64 linux/arm/v7; do
    do_it buildah build --layers --format docker --platform "$platform" --manifest "$list" \
        --build-arg TARGETPLATFORM="$platform" --build-arg BUILDPLATFORM="$here" \
        --build-arg BASE_IMAGE="$base" --build-arg BASE_DIGEST="$base_digest" \
        --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        ${source:+--label org.opencontainers.image.source="$source"} .
done
digest_file=$(mktemp)
trap 'rm -f "$digest_file"' EXIT
do_it buildah manifest push --all --format v2s2 --digestfile "$digest_file" "$list" "$target"
if [ -n "$dry" ]; then
    echo "+ then writes its digest into: $(echo umbrel/*/docker-compose.yml)"
    exit
fi
digest=$(cat "$digest_file")
echo "$target is published as $digest"
[ -z "${GITHUB_OUTPUT-}" ] || printf 'image=%s\ndigest=%s\n' "$image" "$digest" >>"$GITHUB_OUTPUT"
[[ $image != dir:* ]] || exit 0
for file in umbrel/*/docker-compose.yml; do
    [ ! -e "$file" ] || pin "$file" "$image" "$version" "$digest"
done
