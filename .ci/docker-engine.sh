#!/bin/bash
# Puts a Docker engine in place on a bare Debian machine or sandbox: installs what is missing, starts
# containerd and dockerd in the background, waits until the engine answers. Safe to run again.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: .ci/docker-engine.sh [--help]

Leaves an engine that already answers alone. Otherwise, as root: installs docker.io, debootstrap and iptables
from Debian's packages where they are missing, starts containerd and dockerd, and waits until the engine answers.
Logs and process ids are kept in .cache/docker-engine.

  DOCKER_ENGINE_WAIT   seconds to wait for an answer (default 60)
HELP
}

case "${1:-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
home="$root/.cache/docker-engine"
wait_seconds=${DOCKER_ENGINE_WAIT:-60}
socket=/var/run/docker.sock
began=$SECONDS

# A plain user's PATH, which su keeps, has no daemons on it.
PATH="$PATH:/usr/sbin:/sbin"

say() { echo "docker-engine: $*"; }
fail() { echo "docker-engine: $*" >&2; exit 1; }

# The same question as any client would ask, so a remote engine in DOCKER_HOST counts too.
answers() { command -v docker >/dev/null && timeout 5 docker version --format '{{.Server.Version}}' 2>/dev/null; }

if version=$(answers); then
  say "an engine answers already (version $version), left as it is"
  # Images are made from a root file system: the tool for it is wanted beside any engine.
  if ! command -v debootstrap >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap; } >&2
    else
      say "debootstrap is not installed; integration/images/build.sh needs it to make a base image"
    fi
  fi
  exit 0
fi

[ "$(id -u)" = 0 ] || fail "no engine answers, and installing and starting one takes root"
[ -z "${DOCKER_HOST:-}" ] || fail "DOCKER_HOST points to an engine that does not answer; unset it to have one started here"

mkdir -p "$home"
# Two callers at once shall not start two engines. The daemons must not inherit the lock.
exec 9>"$home/lock"
flock 9
if version=$(answers); then
  say "an engine answers now (version $version)"
  exit 0
fi

install_missing() {
  local missing=()
  command -v dockerd >/dev/null && command -v containerd >/dev/null || missing+=(docker.io)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  command -v iptables >/dev/null || missing+=(iptables)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing: ${missing[*]}; this is not Debian, so install a Docker engine by hand"

  say "installing ${missing[*]} (log: $home/apt.log)"
  export DEBIAN_FRONTEND=noninteractive
  {
    apt-get update
    apt-get install -y --no-install-recommends "${missing[@]}"
    # From trixie on the client is a package of its own.
    command -v docker || apt-get install -y --no-install-recommends docker-cli
  } >"$home/apt.log" 2>&1 9>&- </dev/null || { tail -n 15 "$home/apt.log" >&2; fail "apt-get failed"; }
  say "installed after $((SECONDS - began)) s"
}

# Runs a daemon apart from this shell, so that it outlives it and hears none of its signals.
background() {
  local name=$1
  shift
  setsid "$@" >"$home/$name.log" 2>&1 </dev/null 9>&- &
  echo $! >"$home/$name.pid"
}

complaints() { grep -E 'level=(error|fatal)|^failed' "$home/$1.log" | tail -n 5 | sed 's/^/  /' || true; }

alive() { kill -0 "$(cat "$home/$1.pid")" 2>/dev/null; }

await_answer() {
  local until=$((SECONDS + wait_seconds))
  while [ $SECONDS -lt $until ]; do
    if answers >/dev/null; then return 0; fi
    alive dockerd || return 1
    sleep 0.2
  done
  return 1
}

start_containerd() {
  if timeout 5 ctr --address /run/containerd/containerd.sock version >/dev/null 2>&1; then
    say "containerd is running already"
    return
  fi
  background containerd containerd
  say "started containerd (log: $home/containerd.log)"
}

is_dockerd() {
  grep -q dockerd "/proc/$1/comm" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}

start_dockerd() {
  # A pid file that a killed engine left keeps the next one from starting when the number is in use again, or
  # when nobody has collected the dead process yet.
  if [ -f /var/run/docker.pid ] && ! is_dockerd "$(cat /var/run/docker.pid)"; then
    rm -f /var/run/docker.pid
  fi
  background dockerd dockerd --containerd /run/containerd/containerd.sock --host "unix://$socket"
  say "started dockerd${DOCKER_DRIVER:+ with storage driver $DOCKER_DRIVER} (log: $home/dockerd.log)"
}

stop_dockerd() {
  kill "$(cat "$home/dockerd.pid")" 2>/dev/null || return 0
  for _ in $(seq 50); do alive dockerd || return 0; sleep 0.1; done
  kill -9 "$(cat "$home/dockerd.pid")" 2>/dev/null || true
}

install_missing

# The package's own service may have come up with the installation.
if [ -d /run/systemd/system ]; then
  systemctl start docker >/dev/null 2>&1 9>&- || true
fi
if version=$(answers); then
  say "an engine answers after $((SECONDS - began)) s (version $version)"
  exit 0
fi

# Where the kernel has no nf_tables, the older back end of the same package still works. A shim on the
# daemon's PATH keeps the machine's own choice as it is.
if ! iptables -t nat -L -n >/dev/null 2>&1 && iptables-legacy -t nat -L -n >/dev/null 2>&1; then
  mkdir -p "$home/bin"
  for tool in iptables ip6tables; do ln -sf "$(command -v $tool-legacy)" "$home/bin/$tool"; done
  export PATH="$home/bin:$PATH"
  say "nf_tables is not usable here, dockerd gets iptables-legacy"
fi

start_containerd
start_dockerd
if ! await_answer; then
  # overlay2 is what dockerd likes best, but not every kernel and file system carries it; vfs needs nothing.
  # Told by its variable, which dockerd obeys before its flag.
  stop_dockerd
  say "no answer; it said:"
  complaints dockerd
  export DOCKER_DRIVER=vfs
  start_dockerd
  await_answer || { complaints dockerd >&2; fail "the engine does not answer (log: $home/dockerd.log)"; }
fi

say "an engine answers after $((SECONDS - began)) s (version $(answers), storage driver $(docker info --format '{{.Driver}}'))"
