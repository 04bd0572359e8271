#!/bin/bash
# Makes the images of the integration suite on this machine, for where they cannot be pulled from a registry.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="${TRACEFERRY_CACHE:-$root/.cache}"
# The classic builder needs no plug-in and no image of its own.
export DOCKER_BUILDKIT=0

base=traceferry/base:local
# The names that integration/src/engines/docker.ts asks for.
kafka=confluentinc/cp-kafka:8.0.0
redis=redis:7
label=org.traceferry.made-from
# What roles in containers and the engines need; the JRE is 17 or newer on every Debian since bookworm.
packages=ca-certificates,default-jre-headless,python3,redis-server

usage() {
  cat <<HELP
Usage: integration/images/build.sh [--force] [base|kafka|redis]...

Makes the named images (default: all) where this machine's Docker engine does not have them:

  base   $base: Debian with $packages,
         by debootstrap (takes root and about a minute)
  kafka  $kafka: Apache Kafka from Maven Central on the base (takes mvn)
  redis  $redis: Debian's Redis on the base

One that was made here is made again when its recipe changed; one that was pulled stays as it is.

  --force   make them again in any case
HELP
}

force=
wanted=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --force) force=yes ;;
    base | kafka | redis) wanted+=("$argument") ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=(base kafka redis)

say() { echo "images: $*"; }
fail() { echo "images: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is not installed: $2"; }
exists() { docker image inspect "$1" >/dev/null 2>&1; }

# What an image made here was made from, so that a changed recipe is noticed.
recipe() {
  if [ "$1" = base ]; then
    echo "$packages" | sha256sum | cut -c1-12
  else
    { recipe base; cat "$here/$1"/*; } | sha256sum | cut -c1-12
  fi
}

is_current() {
  local image=${!1} made
  [ -z "$force" ] && exists "$image" || return 1
  made=$(docker image inspect --format "{{with .Config.Labels}}{{index . \"$label\"}}{{end}}" "$image")
  [ -z "$made" ] && say "$image is there, and was not made here" && return
  [ "$made" = "$(recipe "$1")" ] && say "$image is there"
}

need docker "run .ci/docker-engine.sh, or install a Docker engine"
timeout 5 docker version >/dev/null 2>&1 || fail "no Docker engine answers: run .ci/docker-engine.sh, or start yours"

mkdir -p "$cache"
scratch=$(mktemp -d "$cache/images.XXXXXX")
clean_up() {
  # debootstrap mounts these, and leaves them when it is interrupted.
  umount -l "$scratch/base/proc" "$scratch/base/sys" 2>/dev/null || true
  rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# The machine's own source of packages, as it is configured now: "<address> <suite>".
debian_source() {
  # shellcheck source=/dev/null
  local suite; suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk -v suite="$suite" '$1 ~ /^https?:/ && $2 == suite && $3 == "main" { print $1, $2; exit }'
}

make_base() {
  local began=$SECONDS source proxy
  [ "$(id -u)" = 0 ] || fail "$base is made by debootstrap, which takes root"
  need debootstrap "run .ci/docker-engine.sh, or apt-get install debootstrap"
  source=$(debian_source)
  [ -n "$source" ] || fail "apt has no source for this release of Debian that debootstrap could read"
  proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
  [ -z "$proxy" ] || export http_proxy="$proxy"

  say "$base: debootstrap (log: $cache/debootstrap.log)"
  # shellcheck disable=SC2086 # two words: address and suite
  set -- $source
  debootstrap --variant=minbase --include="$packages" \
    "$2" "$scratch/base" "$1" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 15 "$cache/debootstrap.log" >&2; fail "debootstrap failed"; }
  # Neither what was downloaded nor where it came from belongs into the image.
  rm -rf "$scratch"/base/var/cache/apt/* "$scratch"/base/var/lib/apt/lists/* "$scratch"/base/etc/apt/sources.list*
  rm -rf "$scratch"/base/usr/share/doc "$scratch"/base/usr/share/man "$scratch"/base/var/log/*
  tar --one-file-system -C "$scratch/base" -c . |
    docker import --change 'ENV LANG=C.UTF-8' --change "LABEL $label=$(recipe base)" - "$base" >/dev/null
  rm -rf "$scratch/base"
  say "$base made in $((SECONDS - began)) s"
}

# The jars that the local engine keeps (integration/src/engines/local/kafka.ts) serve as well as fresh ones.
kafka_jars() {
  local kept; kept="$cache/kafka-$(sha256sum "$here/kafka/pom.xml" | cut -c1-12)/libs"
  if [ -d "$kept" ]; then
    cp -r "$kept" "$1"
    return
  fi
  need mvn "it fetches Kafka from Maven Central"
  say "$kafka: fetching from Maven Central"
  mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1" >"$scratch/mvn.log" 2>&1 ||
    { head -n 15 "$scratch/mvn.log" >&2; fail "Maven could not fetch Kafka"; }
}

make_kafka() {
  local began=$SECONDS context="$scratch/kafka"
  cp -r "$here/kafka" "$context"
  kafka_jars "$context/libs"
  build kafka "$context"
  say "$kafka made in $((SECONDS - began)) s"
}

make_redis() {
  build redis "$here/redis"
  say "$redis made"
}

build() {
  docker build --pull=false --label "$label=$(recipe "$1")" --tag "${!1}" "$2" >"$scratch/build.log" 2>&1 ||
    { tail -n 20 "$scratch/build.log" >&2; fail "docker build of ${!1} failed"; }
}

# Every other image stands on the base, so it comes first, asked for or not.
for name in base kafka redis; do
  case " ${wanted[*]} " in *" $name "*) ;; *) [ "$name" = base ] || continue ;; esac
  is_current "$name" || "make_$name"
done
# What was made again leaves its former layers without a name.
docker image prune --force --filter "label=$label" >/dev/null
