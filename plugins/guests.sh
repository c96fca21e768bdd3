#!/usr/bin/env bash
# Builds the guests that are not written in Rust, with `reeve plugin build`, to target/plugins/<name>.wasm, and runs their cases with
# `reeve plugin test`. What their tools are is installed into target/plugins/build, at the versions that the guests pin.
# A second run builds nothing. A language whose tool is not on this machine is left out, and said so; REEVE_REQUIRE_GUESTS=1 fails then.
set -euo pipefail
shopt -s nullglob

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
reeve=${REEVE_BIN:-$root/target/debug/reeve}
out=$root/target/plugins
mkdir -p "$out/build"

say() { printf 'guests: %s\n' "$*" >&2; }

key_of() {
    {
        cd "$root"
        find "plugins/$1" wit host/reeve/src/cli/plugin/build plugins/guests.sh -type f -not -path '*/node_modules/*' -not -path '*/.venv/*' -print0 |
            LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d' ' -f1
}

without() { # tool
    say "no $1 here: $name is not built"
    [ "${REEVE_REQUIRE_GUESTS:-}" != 1 ] || exit 1
}

# A copy of the guest's sources beside its tools: nothing is written among the sources.
copy() {
    work=$out/build/$name
    mkdir -p "$work"
    cp -r "$root/plugins/$name/." "$work/"
}

build() {
    "$reeve" plugin build "$work" -o "$out/$name.wasm" >/dev/null
    "$reeve" plugin test "$out/$name.wasm" --cases "$root/plugins/$name/case" >&2
    key_of "$name" >"$out/$name.key"
}

for manifest in "$root"/plugins/*/{go.mod,package.json,requirements.txt}; do
    name=$(basename "$(dirname "$manifest")")
    if [ -s "$out/$name.wasm" ] && [ "$(cat "$out/$name.key" 2>/dev/null)" = "$(key_of "$name")" ]; then continue; fi
    case ${manifest##*/} in
        go.mod) tool=go ;;
        package.json) tool=npm ;;
        requirements.txt) tool=python3 ;;
    esac
    command -v "$tool" >/dev/null || { without "$tool"; continue; }
    say "building $name"
    copy
    case $tool in
        npm) (cd "$work" && npm install --silent --no-audit --no-fund >&2) ;;
        python3)
            [ -x "$work/.venv/bin/pip" ] || python3 -m venv "$work/.venv" || { without "python3 -m venv"; continue; }
            "$work/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$work/requirements.txt" >&2 ;;
    esac
    build
done
