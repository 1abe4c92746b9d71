#!/bin/bash
# Builds kubelet, the API server and kubectl into bin/ of the current directory, from Debian's source and by its Go.
#
#     kubernetes.sh ORIG.TAR.GZ
set -eu
# kubernetes_1.20.5+really1.20.2.orig.tar.gz
version=$(basename "$1" .orig.tar.gz)
version=${version##*[_y]}
tree=$PWD/gopath/src/k8s.io/kubernetes
programs=$PWD/bin
mkdir -p "$tree" "$programs"
tar --extract --file "$1" --strip-components 1 --directory "$tree"
# It brings what it needs in vendor/, as it was done before there were modules.
export GO111MODULE=off GOPROXY=off GOFLAGS=-buildvcs=false GOPATH=$PWD/gopath GOCACHE=$PWD/gocache
export PATH=/usr/lib/go-1.19/bin:$PATH
cd "$tree"

# The one generated file that the archive lacks: the documentation of the types that the API server serves.
CGO_ENABLED=0 go build -o "$programs/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
types=$(cd staging/src && grep --recursive --files-with-matches '^// +k8s:openapi-gen=' --include '*.go' \
    k8s.io/api k8s.io/apimachinery k8s.io/apiextensions-apiserver/pkg/apis k8s.io/kube-aggregator/pkg/apis |
    xargs -n 1 dirname | sort --unique | sed s,^,k8s.io/kubernetes/vendor/, | paste --serial --delimiters ,)
"$programs/openapi-gen" --go-header-file hack/boilerplate/boilerplate.generatego.txt --input-dirs "$types" \
    --output-package k8s.io/kubernetes/pkg/generated/openapi --output-file-base zz_generated.openapi \
    --report-filename /dev/null --output-base "$GOPATH/src"

flags="-s -w"
for package in component-base/version client-go/pkg/version; do
    flags="$flags -X k8s.io/kubernetes/vendor/k8s.io/$package.gitVersion=v$version"
done
for program in kubelet kube-apiserver kubectl; do
    # kubelet's cAdvisor is the one part with C in it.
    cgo=0
    [ $program != kubelet ] || cgo=1
    CGO_ENABLED=$cgo go build -ldflags "$flags" -o "$programs/$program" ./cmd/$program
done
