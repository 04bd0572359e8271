#!/bin/bash
# Format, lint and unit tests of the programs in other languages, each by its language's usual tools.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache="${TRACEFERRY_CACHE:-$here/../../.cache}"

usage() {
  cat <<HELP
Usage: integration/peers/check.sh [--deep] [go|python|java]...

Checks the named languages (default: all). The first check that fails ends it with code 1.

  go      gofmt, go vet, go test
  python  ruff format, ruff check, mypy --strict, pytest, in an environment of its own in the cache
  java    mvn verify: formatting, compiler warnings, pinned checksums, tests

  --deep  also staticcheck, for Go, and the generated code made again and compared
HELP
}

deep=
wanted=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --deep) deep=yes ;;
    go | python | java) wanted+=("$argument") ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=(go python java)

say() { echo "peers: $*"; }

check_go() {
  local unformatted
  cd "$here/go"
  unformatted=$(gofmt -l .)
  [ -z "$unformatted" ] || { say "not formatted: $unformatted"; return 1; }
  go vet ./...
  go vet -modfile=old.mod ./cmd/headers
  go test ./...
  [ -z "$deep" ] || go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
  check_generated go internal/gen
}

check_python() {
  local name venv
  cd "$here/python"
  name=$(cat requirements.txt requirements-dev.txt | sha256sum | cut -c1-12)
  venv=$(realpath -m "$cache/python-checks-$name")
  if [ ! -f "$venv/complete" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
    touch "$venv/complete"
  fi
  PATH="$venv/bin:$PATH"
  ruff format --check .
  ruff check .
  mypy
  pytest -q
  check_generated python src/jeeves/v1
}

check_java() {
  cd "$here/java"
  mvn --quiet --batch-mode -Dstyle.color=never verify
}

# With --deep: the generated code is made in a copy, from nothing, which is then compared.
check_generated() {
  [ -n "$deep" ] || return 0
  local copy="$scratch/integration/peers/$1"
  say "making the generated code of $1 again"
  mkdir -p "$scratch/integration/peers"
  cp -r "$here/../../proto" "$scratch/"
  cp -r "$here/$1" "$scratch/integration/peers/"
  find "$copy/$2" -type f ! -name __init__.py -delete
  (cd "$copy" && ./generate.sh) >"$scratch/log" 2>&1 || { cat "$scratch/log"; return 1; }
  find "$here/$1/$2" -name __pycache__ -prune -exec rm -r {} +
  diff -r "$copy/$2" "$here/$1/$2" || { say "$1/$2 is not what its generate.sh makes"; return 1; }
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for language in "${wanted[@]}"; do
  say "checking $language"
  "check_$language"
done
say "${wanted[*]}: all is well"
