#!/bin/bash
# Makes the images of the integration suite on this machine, for where they cannot be pulled from a registry.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="${TRACEFERRY_CACHE:-$root/.cache}"
# The classic builder needs no plug-in and no image of its own.
export DOCKER_BUILDKIT=0

debian=traceferry/debian:local
base=traceferry/base:local
# The names that integration/src/engines/docker.ts asks for.
kafka=confluentinc/cp-kafka:8.0.0
redis=redis:7
# The names that the recipes in integration/images/roles stand on.
slim=debian:bookworm-slim
node=node:24-bookworm-slim
python=python:3.11-slim-bookworm
java=eclipse-temurin:17-jre-jammy
label=org.traceferry.made-from
# What the engines need; the JRE is 17 or newer on every Debian since bookworm.
base_packages=(ca-certificates default-jre-headless python3 redis-server)
python_packages=(ca-certificates python3 python3-venv)
java_packages=(ca-certificates openjdk-17-jre-headless)
all=(debian base kafka redis slim node python java)

usage() {
  cat <<HELP
Usage: integration/images/build.sh [--force] [base|kafka|redis|slim|node|python|java]...

Makes the named images (default: all) where this machine's Docker engine does not have them:

  base    $base: Debian with ${base_packages[*]}
  kafka   $kafka: Apache Kafka from Maven Central on the base (takes mvn)
  redis   $redis: Debian's Redis on the base
  slim    $slim: Debian and nothing else
  node    $node: the Node.js of this repository's node_modules on Debian (takes npm ci)
  python  $python: Debian's Python
  java    $java: Debian's JRE

All stand on $debian, which is made by debootstrap (takes root). The last four are for roles in
containers and are made of Debian 12 (bookworm) only. Nothing is pulled here. An image that was made here is made
again when its recipe changed; one that was pulled stays as it is.

  --force   make them again in any case
HELP
}

force=
wanted=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --force) force=yes ;;
    base | kafka | redis | slim | node | python | java) wanted+=("$argument") ;;
    *) usage >&2; exit 2 ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${all[@]}")

node_binary="$root/node_modules/node/bin/node"
# Nobody reads these in a container.
unread=(usr/share/doc usr/share/man usr/share/info usr/share/locale)

say() { echo "images: $*"; }
fail() { echo "images: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is not installed: $2"; }
exists() { docker image inspect "$1" >/dev/null 2>&1; }

# What each image is made on.
below() {
  case "${1:-debian}" in
    debian) ;;
    kafka | redis) echo base ;;
    *) echo debian ;;
  esac
}

# What an image made here was made from, so that a changed recipe is noticed.
recipe() {
  {
    case "$1" in
      debian) echo "$(suite) ${unread[*]}" ;;
      base | python | java) local -n packages=$1_packages; echo "${packages[*]}" ;;
      node) "$node_binary" --version || true; cat "$here"/node/* ;;
      kafka | redis) cat "$here/$1"/* ;;
    esac
    [ "$1" = debian ] || recipe "$(below "$1")"
  } | sha256sum | cut -c1-12
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
  umount -l "$scratch/debian/proc" "$scratch/debian/sys" 2>/dev/null || true
  rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# shellcheck source=/dev/null
suite() { . /etc/os-release && echo "${VERSION_CODENAME:-}"; }

# The machine's own source of packages, as it is configured now: "<address> <suite>".
debian_source() {
  apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk -v suite="$(suite)" '$1 ~ /^https?:/ && $2 == suite && $3 == "main" { print $1, $2; exit }'
}

make_debian() {
  local began=$SECONDS source proxy
  [ "$(id -u)" = 0 ] || fail "$debian is made by debootstrap, which takes root"
  need debootstrap "run .ci/docker-engine.sh, or apt-get install debootstrap"
  source=$(debian_source)
  [ -n "$source" ] || fail "apt has no source for this release of Debian that debootstrap could read"
  proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
  [ -z "$proxy" ] || export http_proxy="$proxy"

  say "$debian: debootstrap (log: $cache/debootstrap.log)"
  # shellcheck disable=SC2086 # two words: address and suite
  set -- $source
  debootstrap --variant=minbase "$2" "$scratch/debian" "$1" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 15 "$cache/debootstrap.log" >&2; fail "debootstrap failed"; }
  # Neither what was downloaded nor where it came from belongs into the image.
  (cd "$scratch/debian" && rm -rf etc/apt/sources.list* var/log/* var/cache/apt/* var/lib/apt/lists/* "${unread[@]}")
  # What is installed later does not bring them either.
  printf 'path-exclude /%s/*\n' "${unread[@]}" >"$scratch/debian/etc/dpkg/dpkg.cfg.d/slim"
  tar --one-file-system -C "$scratch/debian" -c . |
    docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' \
      --change "LABEL $label=$(recipe debian)" - "$debian" >/dev/null
  rm -rf "$scratch/debian"
  say "$debian made in $((SECONDS - began)) s"
}

# Debian and these packages. This machine's apt chooses and fetches what that image lacks; nothing in a container
# needs a network.
make_with_packages() {
  local name=$1 began=$SECONDS debs="$scratch/$1-debs" container log="$scratch/$1.log"
  local -n wanted_packages=$1_packages
  mkdir -p "$debs/partial"
  docker run --rm "$debian" cat /var/lib/dpkg/status >"$scratch/status"
  apt-get --option "Dir::State::status=$scratch/status" --option "Dir::Cache::archives=$debs" \
    --option Debug::NoLocking=true --option APT::Sandbox::User=root \
    --yes --quiet --no-install-recommends --download-only install "${wanted_packages[@]}" >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2; fail "apt-get could not fetch ${wanted_packages[*]} (is apt-get update needed?)"; }
  rm -rf "$debs/partial"
  container=$(docker create --network none --env DEBIAN_FRONTEND=noninteractive "$debian" sh -ec '
    # Scripts of the JRE want the folder of manual pages, though there are none.
    mkdir -p /usr/share/man/man1
    apt-get install --yes --no-install-recommends /debs/*.deb
    rm -rf /debs /var/cache/apt/* /var/lib/apt/lists/* /var/log/*')
  { docker cp "$debs" "$container:/debs" && docker start --attach "$container"; } >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2; docker rm -f "$container" >/dev/null; fail "the packages of ${!name} could not be installed"; }
  docker commit --change "LABEL $label=$(recipe "$name")" --change 'ENV DEBIAN_FRONTEND=' --change 'CMD ["bash"]' \
    "$container" "${!name}" >/dev/null
  docker rm "$container" >/dev/null
  rm -rf "$debs"
  say "${!name} made in $((SECONDS - began)) s"
}

make_base() { make_with_packages base; }

# Under these names nobody expects another Debian, nor another Python or Java.
need_bookworm() {
  [ "$(suite)" = bookworm ] || fail "${!1} is made of Debian 12 (bookworm) only, and this is $(suite): pull it"
}

make_slim() {
  need_bookworm slim
  mkdir "$scratch/slim"
  echo "FROM $debian" >"$scratch/slim/Dockerfile"
  build slim "$scratch/slim"
  say "$slim made"
}

make_python() { need_bookworm python; make_with_packages python; }
make_java() { need_bookworm java; make_with_packages java; }

make_node() {
  local context="$scratch/node"
  need_bookworm node
  [ -x "$node_binary" ] || fail "$node takes this repository's own Node.js: npm ci"
  cp -r "$here/node" "$context"
  cp "$node_binary" "$context/node"
  build node "$context"
  say "$node made"
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

# What an image stands on comes first, asked for or not.
seen=
made=
for name in "${all[@]}"; do
  [[ " ${wanted[*]} " == *" $name "* ]] || continue
  for one in $(below "$(below "$name")") $(below "$name") "$name"; do
    case " $seen " in *" $one "*) continue ;; esac
    seen="$seen $one"
    is_current "$one" && continue
    "make_$one"
    made=yes
  done
done
# What was made again leaves its former layers without a name. They are the builder's cache as well, so not always.
[ -z "$made" ] || docker image prune --force --filter "label=$label" >/dev/null
