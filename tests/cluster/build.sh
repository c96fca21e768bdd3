#!/usr/bin/env bash
# Builds the Kubernetes control plane, the oracle CLIs and a forge from the Go modules beside this script.
#
#   build.sh                 the control plane and the CLIs
#   build.sh etcd kubectl    those tools
#   build.sh gitea           the forge, which only the forge's own scenarios need
#   build.sh kustomize-controller
#                            Flux's, with Flux's definitions, for the soak and the oracle
#
# Prints the directory that holds them on stdout, and nothing else there; progress goes to stderr.
# The directory is named after everything that decides its contents, so a second run builds nothing.
set -euo pipefail
export LC_ALL=C GOWORK=off

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
# The control plane first: whoever waits for a cluster can start before the CLIs are there.
all=(etcd kube-apiserver kube-controller-manager kube-scheduler kwok kubectl flux kustomize opa helm crane)

fail() { printf 'cluster: %s\n' "$*" >&2; exit 1; }

wanted() { awk -v tool="$1" '$1 == tool { print $2 }' "$here/versions"; }
# Where a tool comes from: the folder with its go.mod, its main package, the module whose version is the tool's.
source_of() {
  case $1 in
    etcd)      echo etcd go.etcd.io/etcd/server/v3 go.etcd.io/etcd/server/v3 ;;
    kube-apiserver | kube-controller-manager | kube-scheduler | kubectl)
               echo kubernetes "k8s.io/kubernetes/cmd/$1" k8s.io/kubernetes ;;
    kwok)      echo kwok sigs.k8s.io/kwok/cmd/kwok sigs.k8s.io/kwok ;;
    flux)      echo flux github.com/fluxcd/flux2/v2/cmd/flux github.com/fluxcd/flux2/v2 ;;
    kustomize) echo kustomize sigs.k8s.io/kustomize/kustomize/v5 sigs.k8s.io/kustomize/kustomize/v5 ;;
    opa)       echo opa github.com/open-policy-agent/opa github.com/open-policy-agent/opa ;;
    helm)      echo helm helm.sh/helm/v4/cmd/helm helm.sh/helm/v4 ;;
    crane)     echo crane github.com/google/go-containerregistry/cmd/crane github.com/google/go-containerregistry ;;
    gitea)     echo gitea . code.gitea.io/gitea ;;
    kustomize-controller)
               echo kustomize-controller github.com/fluxcd/kustomize-controller github.com/fluxcd/kustomize-controller ;;
    *)         fail "no tool named '$1' (there are: ${all[*]} gitea kustomize-controller)" ;;
  esac
}

# What a release build of the tool stamps into itself. Without it kube-apiserver reports v0.0.0 and clients misbehave.
stamps() {
  local version=$1 tool=$2 major minor package
  IFS=. read -r major minor _ <<<"${version#v}"
  case $tool in
    kube*)
      for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- '-X %s.%s ' \
          "$package" "gitVersion=$version" "$package" "gitMajor=$major" "$package" "gitMinor=$minor" \
          "$package" gitTreeState=clean
      done ;;
    kwok)      printf -- '-X sigs.k8s.io/kwok/pkg/consts.Version=%s' "$version" ;;
    flux)      printf -- '-X main.VERSION=%s' "${version#v}" ;;
    kustomize) printf -- '-X sigs.k8s.io/kustomize/api/provenance.version=%s' "$version" ;;
    crane)     printf -- '-X github.com/google/go-containerregistry/cmd/crane/cmd.Version=%s' "${version#v}" ;;
    helm)      printf -- '-X helm.sh/helm/v4/internal/version.version=%s' "$version" ;;
    gitea)     printf -- '-X main.Version=%s' "${version#v}" ;;
  esac
}

module_dir() { (cd "$here/$1" && go mod download "$2" && go list -m -f '{{.Dir}}' "$2"); }

# What `flux install` makes of the kinds of the two controllers that reeve stands beside, as both are released.
flux_definitions() {
  local into=$1 controller
  mkdir "$into"
  for controller in source kustomize; do
    cp "$(module_dir "$controller-controller" "github.com/fluxcd/$controller-controller")"/config/crd/bases/*.yaml "$into/"
  done
  chmod -R u+w "$into"
}

# flux embeds manifests that its release process generates and its module does not carry (`go build
# -overlay` refuses to touch the module cache). Nothing that the tests ask of the CLI reads them, so it
# is built from a copy of its module with a placeholder where the compiler looks.
flux_modfile() {
  local scratch=$1 module=$2
  cp -r "$(module_dir flux "$module")" "$scratch/module"
  chmod -R u+w "$scratch/module"
  mkdir "$scratch/module/cmd/flux/manifests"
  cp "$here/flux/placeholder.yaml" "$scratch/module/cmd/flux/manifests/"
  cp "$here"/flux/go.{mod,sum} "$scratch/"
  go mod edit -replace="$module=$scratch/module" "$scratch/go.mod"
}

build() {
  local tool=$1 version dir package module at cgo=0 scratch="$out/.building/$1" flags=() began=$SECONDS
  read -r dir package module < <(source_of "$tool")
  version=$(wanted "$tool")
  [ "$(cd "$here/$dir" && go list -m -f '{{.Version}}' "$module")" = "$version" ] ||
    fail "versions names $tool $version, $dir/go.mod another"
  printf 'cluster: building %s %s\n' "$tool" "$version" >&2
  rm -rf "$scratch"
  mkdir -p "$scratch" "$out/bin"
  at=$here/$dir
  case $tool in
    flux)
      flux_modfile "$scratch" "$module"
      flags=(-modfile "$scratch/go.mod") ;;
    kwok)
      # The Stages make KWOK play a kubelet. They land before the binary: a kwok that is there has its Stages.
      mkdir "$scratch/stages"
      cp -r "$(module_dir kwok "$module")"/kustomize/stage/{pod,node} "$scratch/stages/"
      chmod -R u+w "$scratch/stages"
      rm -rf "$out/stages"
      mv "$scratch/stages" "$out/stages" ;;
    kustomize-controller)
      # They land before the binary: where it is, they are.
      flux_definitions "$scratch/definitions"
      rm -rf "$out/definitions"
      mv "$scratch/definitions" "$out/definitions" ;;
    gitea)
      # Its replace lines count only where it is the main module. What it reads at run time lands before the binary.
      at=$(module_dir gitea "$module")
      cgo=1
      flags=(-buildvcs=false -tags 'sqlite sqlite_unlock_notify')
      mkdir "$scratch/static"
      cp -r "$at"/{templates,options,public} "$scratch/static/"
      chmod -R u+w "$scratch/static"
      rm -rf "$out/gitea"
      mv "$scratch/static" "$out/gitea" ;;
  esac
  (cd "$at" && CGO_ENABLED=$cgo go build -p 2 -trimpath "${flags[@]}" \
    -ldflags "-s -w $(stamps "$version" "$tool")" -o "$scratch/$tool" "$package") >&2 ||
    fail "$tool $version did not build"
  mv "$scratch/$tool" "$out/bin/$tool"
  rm -rf "$scratch"
  printf 'cluster: built %s %s in %d s\n' "$tool" "$version" $((SECONDS - began)) >&2
}

[ $# -gt 0 ] || set -- "${all[@]}"
for tool; do source_of "$tool" >/dev/null; done
command -v go >/dev/null || fail "go is not on PATH"

key=$(cd "$here" && {
  go version
  sha256sum build.sh versions */go.mod */go.sum flux/placeholder.yaml
} | sha256sum | cut -c1-16)
out=$root/target/cluster/$key

for tool; do
  [ -x "$out/bin/$tool" ] && continue
  mkdir -p "$out/.building"
  exec {lock}>"$out/.building/$tool.lock"
  flock "$lock"
  [ -x "$out/bin/$tool" ] || build "$tool"
  exec {lock}>&-
done
printf '%s/bin\n' "$out"
