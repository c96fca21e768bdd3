#!/usr/bin/env bash
# Names what is missing, with the command that installs it, and installs what Debian's packages give.
set -euo pipefail

missing=0
need() { # command, how to get it
	command -v "$1" >/dev/null 2>&1 && return
	printf 'missing: %s. %s\n' "$1" "$2" >&2
	missing=1
}
need cargo "Install Rust 1.95 or newer: see rustup's instructions, then 'rustup toolchain install stable'"
need rustc "Install Rust 1.95 or newer with rustup"
need go "Install Go 1.26 or newer and put it on PATH"
need git "apt-get install git"
need cc "apt-get install gcc libc6-dev"
need make "apt-get install make"
[ "$missing" = 0 ] || exit 1

for part in rustfmt clippy; do
	cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || {
		printf "missing: %s. Run 'rustup component add %s'\n" "$part" "$part" >&2
		missing=1
	}
done
[ "$missing" = 0 ] || exit 1

packages=()
# What GitHub publishes of its API, and its client, are packages for it.
command -v node >/dev/null 2>&1 || packages+=(nodejs)
command -v npm >/dev/null 2>&1 || packages+=(npm)
[ -x /usr/sbin/sshd ] || packages+=(openssh-server)
command -v ssh-keygen >/dev/null 2>&1 || packages+=(openssh-client)
command -v gpg >/dev/null 2>&1 || packages+=(gnupg)
[ -x "$(git --exec-path)/git-http-backend" ] || packages+=(git)
command -v cmake >/dev/null 2>&1 || packages+=(cmake)
command -v openssl >/dev/null 2>&1 || packages+=(openssl)
if [ ${#packages[@]} -gt 0 ]; then
	command -v apt-get >/dev/null 2>&1 || {
		printf 'missing: %s. Install these with your package manager\n' "${packages[*]}" >&2
		exit 1
	}
	sudo=()
	[ "$(id -u)" = 0 ] || sudo=(sudo)
	printf 'installing %s\n' "${packages[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	"${sudo[@]}" apt-get update -qq
	"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
