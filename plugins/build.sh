#!/usr/bin/env bash
# Builds every guest to a component: target/plugins/<name>.wasm beside target/plugins/<name>.key (what it was built from).
# A second run builds nothing. `plugins/build.sh NAME..` builds only those.
#
# Guests compile for wasm32-unknown-unknown. Where that target's standard library is not installed and rustup cannot bring it, Debian's own
# Rust builds it from source (rustc-web cargo-web rust-web-src). No WASI, no adapter, no tool from `cargo install`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
plugins=$root/plugins
out=$root/target/plugins
target=wasm32-unknown-unknown
debian_packages=(rustc-web cargo-web rust-web-src)

say() { echo "plugins: $*" >&2; }
die() { say "$*"; exit 1; }

# Every folder here whose crate is a cdylib is a guest.
guests() {
    local manifest
    for manifest in "$plugins"/*/Cargo.toml; do
        if grep -q cdylib "$manifest"; then basename "$(dirname "$manifest")"; fi
    done
}

# What a guest is built from: its sources, the contract, the shared files and the compiler.
key_of() {
    {
        rustc -V
        cd "$root"
        find plugins/build.sh plugins/Cargo.toml plugins/Cargo.lock plugins/encode/Cargo.toml plugins/encode/src \
            plugins/pods/Cargo.toml plugins/pods/src plugins/krm/Cargo.toml plugins/krm/src \
            plugins/provider/Cargo.toml plugins/provider/src \
            "plugins/$1/Cargo.toml" "plugins/$1/src" "plugins/$1/config-schema.json" "plugins/$1/manifest.json" \
            wit -type f \( -path 'plugins/*' -o -name '*.wit' \) -print0 2>/dev/null |
            LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d' ' -f1
}

fresh() { [ -s "$out/$1.wasm" ] && [ "$(cat "$out/$1.key" 2>/dev/null)" = "$(key_of "$1")" ]; }

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; }

missing_debian_packages() {
    local package
    for package in "${debian_packages[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_debian_packages() {
    local command="apt-get install --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        die "no standard library for $target, and no apt-get here: install it with 'rustup target add $target'"
    [ "$(id -u)" = 0 ] ||
        die "no standard library for $target: run 'rustup target add $target', or as root '$command'"
    say "installing $* (Debian's packages)"
    apt-get update -qq >&2 || die "apt-get update failed; it is needed before: $command"
    # --no-remove: never at the price of a Rust that is installed already.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends "$@" >&2 ||
        die "this failed: $command"
}

# The linker for wasm: rustup's toolchain brings one, Debian has one in a package of its own.
wasm_linker() {
    local sysroot linker
    sysroot=$(rustc --print sysroot)
    for linker in "$sysroot"/lib/rustlib/*/bin/rust-lld /usr/bin/wasm-ld /usr/bin/wasm-ld-*; do
        if [ -x "$linker" ]; then
            echo "$linker"
            return
        fi
    done
    install_debian_packages lld
    echo /usr/bin/wasm-ld
}

# Sets `cargo` and `build_std` to what builds guests here.
choose_toolchain() {
    cargo=(cargo)
    build_std=()
    if [ "${REEVE_GUESTS_WITH:-}" != debian ]; then
        if has_target; then return; fi
        if command -v rustup >/dev/null && [ -n "$(missing_debian_packages 2>/dev/null || echo none)" ]; then
            say "adding the target $target with rustup"
            if timeout 90 rustup target add "$target" >&2 && has_target; then return; fi
            say "rustup has no $target to give; building its standard library with Debian's Rust"
        fi
    fi
    local missing
    missing=$(missing_debian_packages 2>/dev/null || echo "${debian_packages[*]}")
    # shellcheck disable=SC2086 # a list
    if [ -n "$missing" ]; then install_debian_packages $missing; fi
    export RUSTC RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER
    # Before RUSTC is set: it is asked of the toolchain that people use here.
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$(wasm_linker)
    RUSTC=$(dpkg -L rustc-web | grep -m1 '/bin/rustc$')
    cargo=("$(dpkg -L cargo-web | grep -m1 '^/usr/bin/cargo$')")
    build_std=(-Zbuild-std=std,panic_abort)
}

build() {
    local name=$1 key began=$SECONDS module
    key=$(key_of "$name")
    # Paths of this machine would make another digest elsewhere.
    RUSTFLAGS="--remap-path-prefix=$root=/reeve --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        "${cargo[@]}" build --quiet --locked --release --target "$target" ${build_std[@]+"${build_std[@]}"} -p "$name"
    module=$CARGO_TARGET_DIR/$target/release/${name//-/_}.wasm
    "$CARGO_TARGET_DIR/debug/encode" "$module" "$out/$name.wasm.new" "$plugins/$name"
    mv "$out/$name.wasm.new" "$out/$name.wasm"
    echo "$key" >"$out/$name.key"
    say "built $name in $((SECONDS - began)) s: sha256:$(sha256sum "$out/$name.wasm" | cut -d' ' -f1)"
}

command -v rustc >/dev/null || die "no rustc here: install Rust, for example with rustup"
mkdir -p "$out"
# One builder at a time; the second finds the work done.
if command -v flock >/dev/null; then
    exec 9>"$out/.lock"
    flock 9
fi

if [ $# -gt 0 ]; then wanted=("$@"); else read -r -d "" -a wanted < <(guests && printf "\0"); fi
stale=()
for name in "${wanted[@]}"; do
    [ -f "$plugins/$name/Cargo.toml" ] || die "there is no plugin $name in $plugins"
    fresh "$name" || stale+=("$name")
done
[ ${#stale[@]} -gt 0 ] || exit 0

cd "$plugins"
choose_toolchain
export CARGO_TARGET_DIR=$out/build
"${cargo[@]}" build --quiet --locked -p encode
for name in "${stale[@]}"; do build "$name"; done
