#!/usr/bin/env bash
# Puts what a release has into target/dist: the program, its manual pages, the image, its bill of materials, the charts, and
# checksums of all.
# Nothing is built here but the charts' archives; `make dist` builds the rest before.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
out=target/dist
helm=$(command -v helm || echo "$(tests/cluster/build.sh helm)/helm")
machine=$(uname -m)

rm -rf "$out"
mkdir -p "$out"
install -m 755 "$program" "$out/reeve-linux-$machine"
cp target/image/reeve.tar "$out/reeve-image-linux-$machine.tar"
cp target/image/sbom.cdx.json "$out/"
for chart in reeve-crds reeve; do
	"$helm" package "charts/$chart" --destination "$out" >/dev/null
done
# The manual pages, the same bytes for the same program.
"$program" man "$out/man1"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$out" -cf - man1 | gzip -n >"$out/reeve-man.tar.gz"
rm -r "$out/man1"
cd "$out"
sha256sum -- * >SHA256SUMS
cat SHA256SUMS
