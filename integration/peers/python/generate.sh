#!/bin/sh
# Makes src/jeeves/v1 again from the protos of the repository. Needs requirements-dev.txt; PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")"
proto=../../../proto
"${PYTHON:-python3}" -m grpc_tools.protoc -I "$proto" \
  --python_out=src --pyi_out=src --grpc_python_out=src \
  "$proto/jeeves/v1/llm.proto" "$proto/jeeves/v1/orchestrator.proto"
