#!/usr/bin/env bash
# Prints what the changelog says of a version (`0.1.0`, or `Unreleased`): the notes of its release. A version of which it says
# nothing is not released.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
notes=$(awk -v wanted="## [$version]" '
	index($0, "## [") == 1 { on = index($0, wanted) == 1; next }
	on { print }
' .github/CHANGELOG.md)
if ! grep -q '[^[:space:]]' <<<"$notes"; then
	echo "notes.sh: .github/CHANGELOG.md says nothing of $version: give it a section \`## [$version] - DATE\`" >&2
	exit 1
fi
printf '%s\n' "$notes"
