#!/usr/bin/env bash
# Puts the real servers that tests/real needs into ${OBS_RIG:-~/.cache/obs-rig}:
#
#   bin/prometheus2 promtool2   from the Debian package, unpacked and not installed,
#                               so no service starts and the system stays as it was
#   bin/prometheus3 promtool3   built from Go modules, about 2 minutes on 2 cores
#
# What is there is left alone; a version changed below is built again.
set -euo pipefail

PROMETHEUS3=v0.314.0 # how the Go module numbers its 3.x releases
NEEDS_GO="Go 1.25.8 or newer"

rig=${OBS_RIG:-$HOME/.cache/obs-rig}
mkdir -p "$rig/bin" "$rig/keys"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "rig: $*"; }
fail() { echo "rig: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }; }

is_kept() { # NAME KEY
  [ -x "$rig/bin/$1" ] && [ "$(cat "$rig/keys/$1" 2>/dev/null)" = "$2" ]
}

keep() { # FILE NAME KEY; the key is written last, so that half a job is done again
  rm -f "$rig/keys/$2"
  mv -f "$1" "$rig/bin/$2"
  echo "$3" >"$rig/keys/$2"
  say "$2 is ready"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then quietly "$@"
  elif has sudo; then quietly sudo "$@"
  else fail "'$*' needs root and there is no sudo: run that as root, then this again"
  fi
}

prometheus2() {
  local key="debian 2"
  is_kept prometheus2 "$key" && is_kept promtool2 "$key" && return
  has apt-get || fail "prometheus2 comes from a Debian package, and apt-get is missing"
  cd "$work"
  # Root is only needed where the package lists are missing or out of date.
  if ! apt-get download prometheus >/dev/null 2>&1; then
    as_root apt-get update
    quietly apt-get download prometheus
  fi
  dpkg-deb -x prometheus_*.deb .
  usr/bin/prometheus --version 2>&1 | grep -q 'version 2\.' ||
    fail "this system's package is no Prometheus 2:" prometheus_*.deb
  keep usr/bin/prometheus prometheus2 "$key"
  keep usr/bin/promtool promtool2 "$key"
}

# `go install MODULE@VERSION` refuses a module that has replace lines. So an empty
# module requires it, repeats its one replace line and starts from its sums.
prometheus3() {
  local module=github.com/prometheus/prometheus
  local key="$PROMETHEUS3"
  is_kept prometheus3 "$key" && is_kept promtool3 "$key" && return
  has go || fail "prometheus3 is built from source; install $NEEDS_GO"
  say "building prometheus3 and promtool3 $PROMETHEUS3, about 2 minutes"
  mkdir "$work/go"
  cd "$work/go"
  export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false -trimpath"
  quietly go mod init rig
  go mod edit -require="$module@$PROMETHEUS3" \
    -replace=cloud.google.com/go=cloud.google.com/go@v0.123.0
  quietly go mod download "$module@$PROMETHEUS3"
  install -m 644 "$(go list -m -f '{{.Dir}}' "$module")/go.sum" .
  # remove_all_sd leaves out the clouds' service discovery: two thirds of the code.
  quietly go build -tags remove_all_sd -ldflags "-s -w" -o . \
    "$module/cmd/prometheus" "$module/cmd/promtool"
  keep prometheus prometheus3 "$key"
  keep promtool promtool3 "$key"
}

# Each runs in a shell of its own, so that one still comes where the other cannot.
# (Written as `(prometheus2) || ..`, bash would ignore -e inside.)
set +e
(set -e; prometheus2); first=$?
(set -e; prometheus3); second=$?
[ $first = 0 ] && [ $second = 0 ] || exit 1
say "all servers are in $rig/bin"
