#!/usr/bin/env bash
# Puts together what the fakes of GitHub and GitLab are held against: GitHub's published description and payloads, its own client,
# and a client for GitLab. The packages are those of package-lock.json and go.sum, by their digests.
#
# Prints the directory that holds them on stdout, and nothing else there; progress goes to stderr.
# The directory is named after everything that decides its contents, so a second run builds nothing.
set -euo pipefail
export LC_ALL=C GOWORK=off

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
client=gitlab.com/gitlab-org/api/client-go

fail() { printf 'forges: %s\n' "$*" >&2; exit 1; }

for tool in node npm go; do
  command -v "$tool" >/dev/null || fail "$tool is not on PATH; GitHub's description and client come as packages for node"
done

key=$(cd "$here" && {
  go version
  sha256sum build.sh package-lock.json go.mod go.sum main.go describe.mjs octokit.mjs
} | sha256sum | cut -c1-16)
out=$root/target/forges/$key

mkdir -p "$root/target/forges"
exec {lock}>"$root/target/forges/.$key.lock"
flock "$lock"
if [ ! -e "$out/done" ]; then
  printf 'forges: building\n' >&2
  rm -rf "$out"
  mkdir -p "$out/payloads/github" "$out/payloads/gitlab"
  cp "$here"/package.json "$here"/package-lock.json "$here"/octokit.mjs "$out/"
  # No package's own scripts are run.
  (cd "$out" && npm ci --ignore-scripts --no-audit --no-fund --silent) >&2 || fail "npm could not install the packages"
  node "$here/describe.mjs" "$out/node_modules/@octokit/openapi/generated/api.github.com.json" "$out/github.json" >&2
  # Thirteen megabytes for each edition: what is used is beside them now.
  rm -rf "$out/node_modules/@octokit/openapi"
  cp "$out/node_modules/@octokit/webhooks-examples/api.github.com/index.json" "$out/payloads/github/all.json"
  cd "$here"
  go mod download "$client" >&2
  module=$(go list -m -f '{{.Dir}}' "$client")
  cp "$module"/testdata/webhooks/{push,tag_push,merge_request}.json "$out/payloads/gitlab/"
  chmod -R u+w "$out/payloads"
  go build -p 2 -trimpath -ldflags '-s -w' -o "$out/gitlab" . >&2 || fail "the client for GitLab did not build"
  touch "$out/done"
fi
exec {lock}>&-
printf '%s\n' "$out"
