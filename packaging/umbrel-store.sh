#!/usr/bin/env bash
# Prepares the community app store as a separate repository, because umbrelOS expects umbrel-app-store.yml at the root
# of a repository.
#
#   packaging/umbrel-store.sh OWNER FOLDER
#
# OWNER is the GitHub account with the repositories "dpmp" (the program) and "dpmp-store" (the store). FOLDER is a clone
# of the store, or a new folder. Make a release first, which pins the image. Commit and push the folder afterwards.
set -euo pipefail

owner=${1-} folder=${2-}
[ $# -eq 2 ] || { echo "usage: umbrel-store.sh OWNER FOLDER" >&2; exit 1; }
[[ $owner =~ ^[A-Za-z0-9-]+$ ]] || { echo "umbrel-store.sh: $owner cannot be a GitHub account" >&2; exit 1; }
folder=$(realpath -m "$folder")
cd "$(dirname "$0")/.."
if grep -q '@sha256:0\{64\}' umbrel/*/docker-compose.yml; then
    echo "umbrel-store.sh: the image in docker-compose.yml has no digest yet; make a release first" >&2
    exit 1
fi
# The list of apps this script has added; nothing else is ever deleted.
list=$folder/.dpmp-store
if [ -e "$folder" ] && [ ! -f "$list" ] && [ ! -f "$folder/umbrel-app-store.yml" ] &&
    [ -n "$(find "$folder" -mindepth 1 -maxdepth 1 ! -name '.*' ! -name 'README*' ! -name 'LICENSE*' -print -quit)" ]; then
    echo "umbrel-store.sh: $folder contains other things; use a new folder or a clone of the store" >&2
    exit 1
fi
if [ -f "$folder/umbrel-app-store.yml" ] && ! grep -q '^id: "dpmp"$' "$folder/umbrel-app-store.yml"; then
    echo "umbrel-store.sh: $folder is a different store" >&2
    exit 1
fi
mkdir -p "$folder"
# Apps removed here are removed from the published store, too.
if [ -f "$list" ]; then
    while IFS= read -r app; do
        if [[ $app =~ ^dpmp-[a-z0-9-]+$ ]] && [ -d "$folder/$app" ] && [ ! -L "$folder/$app" ]; then
            rm -r "${folder:?}/$app"
        fi
    done <"$list"
fi
cp -a umbrel/. "$folder"
: >"$list"
for manifest in umbrel/*/umbrel-app.yml; do
    app=$(basename "$(dirname "$manifest")")
    echo "$app" >>"$list"
    sed -i "s#/OWNER/#/$owner/#" "$folder/$app/umbrel-app.yml"
done
sed -i "s#/OWNER/#/$owner/#" "$folder/README.md"
echo "The store is in $folder. Publish it as the repository dpmp-store. Its address for umbrelOS:"
echo "  https://github.com/$owner/dpmp-store"
