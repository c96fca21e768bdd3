#!/usr/bin/env bash
# Feeds the engine what a fuzzer invents: run.sh SECONDS [TARGET…], each target that long, one after the other.
#
# Begins with the cases of tests/cases/render and of policies/; what was found on the way stays in target/fuzz. A crash, more than ten
# seconds or more than 256 MiB (a policy: 30 and 1024) end the run, and the input is printed. Needs `cargo install cargo-fuzz` and a C++ compiler.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
work=${CARGO_TARGET_DIR:-$root/target}/fuzz
seconds=${1:?run.sh SECONDS [TARGET…]}
shift
[ $# -gt 0 ] || set -- yaml kustomization tree rego data input
command -v cargo-fuzz >/dev/null || { echo 'fuzz: cargo install cargo-fuzz' >&2; exit 1; }

# One seed for each file, each kustomization file, each case; each policy with its tests, each case of a policy.
seed() {
  local case file
  mkdir -p "$work"/corpus/{yaml,kustomization,tree,rego,data,input}
  for case in "$root"/tests/cases/render/*/in; do
    while IFS= read -r -d '' file; do
      printf '=== %s\n' "${file#"$case"/}"
      cat "$file"
    done < <(find "$case" -type f -print0 | sort -z) >"$work/case"
    keep tree "$work/case"
    while IFS= read -r -d '' file; do
      case $file in */kustomization.yaml) keep kustomization "$file" ;; esac
      keep yaml "$file"
    done < <(find "$case" -type f -print0)
  done
  for file in "$root"/policies/*/*.rego; do keep rego "$file"; done
  for file in "$root"/policies/*/case/*.yaml; do
    keep data "$file"
    keep input "$file"
  done
}
keep() { cp "$2" "$work/corpus/$1/$(sha1sum <"$2" | cut -c1-40)"; }

seed
# The sanitizers look for what safe Rust rules out. Without a nightly compiler, the stable one is asked to be one.
export RUSTC_BOOTSTRAP=1
cd "$here"
for target; do
  # A policy is compiled and asked several times, two seconds each, and a question may take 300 MiB.
  case $target in
    rego | data | input) timeout=30 rss=1024 ;;
    *) timeout=10 rss=256 ;;
  esac
  cargo fuzz run --sanitizer none --target-dir "$work/build" --fuzz-dir "$here" "$target" "$work/corpus/$target" -- \
    -max_total_time="$seconds" -rss_limit_mb="$rss" -timeout="$timeout" -max_len=16384 -artifact_prefix="$work/$target-" \
    -print_final_stats=1
done
