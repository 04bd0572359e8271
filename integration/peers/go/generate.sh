#!/bin/sh
# Makes internal/gen again from proto/jeeves/v1. protoc comes from PyPI, the plugins from the Go proxy, all of
# pinned versions and in a scratch folder, so that the result does not depend on what the machine has.
# Needs python3 with venv, and Go. ./generate.sh FOLDER writes there instead.
set -eu
cd "$(dirname "$0")"
out=${1:-internal/gen}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "generate: fetching protoc and its plugins ..." >&2
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check grpcio-tools==1.85.1
GOBIN=$scratch/bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$scratch/bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2

# The protos name no Go package, so that they stay free of any one language; the mapping is here.
package=$(go list -m)/internal/gen/jeeves/v1
mapping=Mjeeves/v1/orchestrator.proto="$package;jeevesv1"
mkdir -p "$out"
PATH=$scratch/bin:$PATH "$scratch/venv/bin/python" -m grpc_tools.protoc \
  --proto_path=../../../proto \
  --go_out="$out" --go_opt=paths=source_relative --go_opt="$mapping" \
  --go-grpc_out="$out" --go-grpc_opt=paths=source_relative --go-grpc_opt="$mapping" \
  jeeves/v1/orchestrator.proto
echo "generate: wrote $out" >&2
