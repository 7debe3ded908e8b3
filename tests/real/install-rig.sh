#!/usr/bin/env bash
# Puts the real servers that tests/real needs into ${OBS_RIG:-~/.cache/obs-rig}:
#
#   bin/prometheus2 promtool2   from the Debian package, unpacked and not installed,
#                               so no service starts and the system stays as it was
#   bin/pushgateway influxdb1   likewise
#   bin/node_exporter           likewise
#   bin/rsyslogd                from Debian packages, unpacked into rsyslog/
#   bin/carbon-cache            Graphite, from Debian packages, unpacked into graphite/
#       graphite-web            with the Python packages that they need
#   bin/statsd                  Etsy's, from npm, seconds
#   bin/grafana-schema          types of Grafana's dashboards, and tsc, from npm, seconds
#   bin/zipkin.jar              from Maven, seconds
#   bin/statsd_exporter         built from Go modules, half a minute on 2 cores
#   bin/alertmanager            built from Go modules, about 1 minute
#   bin/victoriametrics         built from Go modules, about 1 minute
#   bin/prometheus3 promtool3   built from Go modules, about 2 minutes
#   bin/collector               OpenTelemetry Collector, built from Go modules as
#                               collector-builder.yaml says, about 2 minutes
#   bin/influxdb2               built from Go modules and their Rust half, without web
#                               pages, 5 to 15 minutes
#   bin/jaeger                  built from Go modules, 3 to 10 minutes; only by name
#
#   install-rig.sh              all of these but jaeger
#   install-rig.sh NAME ..      these alone: prometheus2 graphite collector ..
#
# It needs Debian's apt-get and Python, Go, Node.js with npm, Maven with Java, and Rust's
# cargo with a C compiler; where one is missing it says so, and installs what does not
# need it.
# What is there is left alone; a version changed below is built again.
set -euo pipefail

SERVERS="prometheus2 pushgateway node_exporter influxdb1 rsyslogd graphite statsd zipkin \
grafana_schema statsd_exporter alertmanager victoriametrics prometheus3 collector influxdb2"
OPTIONAL="jaeger"

PROMETHEUS3=v0.314.0 # how the Go module numbers its 3.x releases
STATSD=0.9.0
GRAFANA_SCHEMA=11.6.0
TYPESCRIPT=5.8.3
STATSD_EXPORTER=v0.30.0
ALERTMANAGER=v0.28.1
VICTORIAMETRICS=v1.150.0
INFLUXDB2=v2.7.12
ZIPKIN=3.5.1
JAEGER=v1.76.0 # the Go module whose cmd/jaeger is Jaeger 2.13.0
MAVEN_DEPENDENCY=3.8.1 # Maven's plugin that downloads

NEEDS_GO="Go 1.25.8 or newer"
NEEDS_RUST="Rust's cargo 1.72 or newer and a C compiler (apt-get install gcc)"
NEEDS_NODE="Node.js 16 to 22 with npm (apt-get install npm)"
NEEDS_PYTHON="Debian's own /usr/bin/python3 (apt-get install python3)"
NEEDS_MAVEN="Maven and a Java runtime 17 or newer (apt-get install maven)"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rig=${OBS_RIG:-$HOME/.cache/obs-rig}
mkdir -p "$rig/bin" "$rig/keys"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "rig: $*"; }
fail() { echo "rig: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }; }

is_kept() { # NAME KEY
  [ -f "$rig/bin/$1" ] && [ "$(cat "$rig/keys/$1" 2>/dev/null)" = "$2" ]
}

keep() { # FILE NAME KEY; the key is written last, so that half a job is done again
  rm -f "$rig/keys/$2"
  mv -f "$1" "$rig/bin/$2"
  echo "$3" >"$rig/keys/$2"
  say "$2 is ready"
}

keep_tree() { # NAME; what is unpacked here, for a wrapper to run
  rm -rf "$rig/$1" ./*.deb
  mkdir "$rig/$1"
  cp -a ./* "$rig/$1"
}

wrapper() { # LINE ..; a shell script of these lines, the last of which is run
  printf '%s\n' '#!/bin/sh' "${@:1:$#-1}" "exec ${*: -1} \"\$@\"" >wrapper
  chmod +x wrapper
}

as_root() {
  if [ "$(id -u)" = 0 ]; then quietly "$@"
  elif has sudo; then quietly sudo "$@"
  else fail "'$*' needs root and there is no sudo: run that as root, then this again"
  fi
}

needs_go() { # NAME
  has go || fail "$1 is built from source; install $NEEDS_GO"
  # From 1.21 on, an older Go fetches the one it needs, or says that it may not.
  printf '%s\n' go1.21 "$(go env GOVERSION)" | sort --version-sort --check=quiet ||
    fail "$1 is built from source; install $NEEDS_GO, this is $(go env GOVERSION)"
  export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false -trimpath"
  # Past `direct`, what the proxy does not have ends in an error of git, not of the proxy.
  GOPROXY=$(go env GOPROXY | sed 's/,direct$//')
  export GOPROXY
}

# `go install MODULE@VERSION` refuses a module that has replace lines. So an empty
# module requires it, repeats its one replace line (or none) and starts from its sums.
go_build() { # MODULE VERSION REPLACE TAGS PACKAGE ..
  local module=$1 version=$2 replace=$3 tags=$4
  shift 4
  quietly go mod init rig
  go mod edit -require="$module@$version" ${replace:+-replace="$replace"}
  quietly go mod download "$module@$version"
  install -m 644 "$(go list -m -f '{{.Dir}}' "$module")/go.sum" .
  quietly go build -tags "$tags" -ldflags "-s -w" -o . "${@/#/$module/}"
}

unpack() { # PACKAGE ..; Debian packages, into this folder
  unpack_by download "$@"
}

unpack_all() { # PACKAGE ..; these and what they need that this system lacks
  unpack_by download_all "$@"
}

unpack_by() { # COMMAND PACKAGE ..
  has apt-get || fail "$2 comes from a Debian package, and apt-get is missing"
  # Root is only needed where the package lists are missing or out of date.
  if ! "$@" >/dev/null 2>&1; then
    as_root apt-get update
    quietly "$@"
  fi
  local package
  for package in *.deb; do dpkg-deb -x "$package" .; done
}

download() { apt-get download "$@"; }

download_all() {
  local plan needed
  plan=$(apt-get --simulate install --no-install-recommends "$@") || return
  mapfile -t needed < <(sed -n 's/^Inst \([^ ]*\) .*/\1/p' <<<"$plan")
  apt-get download "$@" "${needed[@]}"
}

prometheus2() {
  local key="debian 2"
  is_kept prometheus2 "$key" && is_kept promtool2 "$key" && return
  unpack prometheus
  usr/bin/prometheus --version 2>&1 | grep -q 'version 2\.' ||
    fail "this system's package is no Prometheus 2:" prometheus_*.deb
  keep usr/bin/prometheus prometheus2 "$key"
  keep usr/bin/promtool promtool2 "$key"
}

pushgateway() {
  local key="debian 1"
  is_kept pushgateway "$key" && return
  unpack prometheus-pushgateway
  keep usr/bin/prometheus-pushgateway pushgateway "$key"
}

node_exporter() {
  local key="debian 1"
  is_kept node_exporter "$key" && return
  unpack prometheus-node-exporter
  keep usr/bin/prometheus-node-exporter node_exporter "$key"
}

influxdb1() {
  local key="debian 1.6"
  is_kept influxdb1 "$key" && return
  unpack influxdb
  usr/bin/influxd version | grep -q ' v1\.6\.' ||
    fail "this system's package is no InfluxDB 1.6:" influxdb_*.deb
  keep usr/bin/influxd influxdb1 "$key"
}

rsyslogd() {
  local key="debian 1" modules libraries
  is_kept rsyslogd "$key" && return
  unpack rsyslog rsyslog-openssl libestr0 libfastjson4
  modules=$(dirname "$(find usr -name imudp.so)")
  libraries=$(dirname "$(find usr lib -name 'libestr.so.*' | head -n 1)")
  keep_tree rsyslog
  wrapper "export LD_LIBRARY_PATH='$rig/rsyslog/$libraries'" \
    "'$rig/rsyslog/usr/sbin/rsyslogd' -M '$rig/rsyslog/$modules'"
  keep wrapper rsyslogd "$key"
}

graphite() {
  local key="debian 1.1" tree="$rig/graphite" python=/usr/bin/python3 settings
  is_kept carbon-cache "$key" && is_kept graphite-web "$key" && return
  [ -x $python ] || fail "graphite is a Python program; install $NEEDS_PYTHON"
  unpack_all graphite-carbon graphite-web
  keep_tree graphite
  quietly $python -m compileall -q "$tree/usr/lib" # else each start takes 5 s longer
  settings=(
    "export PYTHONPATH='$tree/usr/lib/python3/dist-packages' PYTHONNOUSERSITE=1"
    "export LD_LIBRARY_PATH='$tree/usr/lib/$(uname -m)-linux-gnu'"
  )
  wrapper "${settings[@]}" "$python -m django"
  keep wrapper graphite-web "$key"
  wrapper "${settings[@]}" "$python '$tree/usr/bin/carbon-cache'"
  quietly ./wrapper --help
  keep wrapper carbon-cache "$key"
}

statsd() {
  local key="$STATSD"
  is_kept statsd "$key" && return
  has node && has npm || fail "statsd is a JavaScript program; install $NEEDS_NODE"
  # It calls util.log, which Node.js 23 took away.
  node -e 'process.exit(require("util").log ? 0 : 1)' 2>/dev/null ||
    fail "statsd is a JavaScript program; install $NEEDS_NODE, this is $(node --version)"
  # Its optional packages are compiled, and for other backends.
  quietly npm install --prefix "$PWD" --omit=optional --ignore-scripts --no-audit \
    --no-fund "statsd@$STATSD"
  keep_tree statsd
  wrapper "node '$rig/statsd/node_modules/statsd/stats.js'"
  keep wrapper statsd "$key"
}

grafana_schema() {
  local key="$GRAFANA_SCHEMA, $TYPESCRIPT" options
  is_kept grafana-schema "$key" && return
  has node && has npm || fail "grafana_schema is TypeScript; install $NEEDS_NODE"
  quietly npm install --prefix "$PWD" --omit=optional --ignore-scripts --no-audit \
    --no-fund "@grafana/schema@$GRAFANA_SCHEMA" "typescript@$TYPESCRIPT"
  keep_tree grafana-schema
  options="--noEmit --strict --skipLibCheck --target es2020 --module es2020"
  wrapper "node '$rig/grafana-schema/node_modules/typescript/bin/tsc' $options \
    --moduleResolution bundler --baseUrl '$rig/grafana-schema/node_modules'"
  keep wrapper grafana-schema "$key"
}

statsd_exporter() {
  local key="$STATSD_EXPORTER"
  is_kept statsd_exporter "$key" && return
  needs_go statsd_exporter
  say "building statsd_exporter $STATSD_EXPORTER, half a minute"
  GOBIN=$PWD quietly go install "github.com/prometheus/statsd_exporter@$STATSD_EXPORTER"
  keep statsd_exporter statsd_exporter "$key"
}

# Debian's package opens a file in /usr/share, where nothing is installed.
alertmanager() {
  local key="$ALERTMANAGER"
  is_kept alertmanager "$key" && return
  needs_go alertmanager
  say "building alertmanager $ALERTMANAGER, about 1 minute"
  go_build github.com/prometheus/alertmanager "$ALERTMANAGER" "" "" cmd/alertmanager
  keep alertmanager alertmanager "$key"
}

victoriametrics() {
  local key="$VICTORIAMETRICS"
  is_kept victoriametrics "$key" && return
  needs_go victoriametrics
  say "building victoriametrics $VICTORIAMETRICS, about 1 minute"
  go_build github.com/VictoriaMetrics/VictoriaMetrics "$VICTORIAMETRICS" "" "" \
    app/victoria-metrics
  keep victoria-metrics victoriametrics "$key"
}

prometheus3() {
  local key="$PROMETHEUS3"
  is_kept prometheus3 "$key" && is_kept promtool3 "$key" && return
  needs_go prometheus3
  say "building prometheus3 and promtool3 $PROMETHEUS3, about 2 minutes"
  # remove_all_sd leaves out the clouds' service discovery: two thirds of the code.
  go_build github.com/prometheus/prometheus "$PROMETHEUS3" \
    cloud.google.com/go=cloud.google.com/go@v0.123.0 remove_all_sd \
    cmd/prometheus cmd/promtool
  keep prometheus prometheus3 "$key"
  keep promtool promtool3 "$key"
}

collector() {
  local config="$here/collector-builder.yaml" key version
  key=$(sha256sum <"$config")
  is_kept collector "$key" && return
  needs_go collector
  version=$(sed -n 's/^  version: //p' "$config")
  say "building collector $version, about 2 minutes"
  GOBIN=$PWD quietly go install "go.opentelemetry.io/collector/cmd/builder@v$version"
  quietly ./builder --config="$config"
  keep built/collector collector "$key"
}

zipkin() {
  local key="$ZIPKIN"
  is_kept zipkin.jar "$key" && return
  has mvn && has java || fail "zipkin is a Java program; install $NEEDS_MAVEN"
  say "fetching zipkin $ZIPKIN, 131 MB"
  quietly mvn -B "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY:copy" \
    -Dartifact="io.zipkin:zipkin-server:$ZIPKIN:jar:exec" -DoutputDirectory="$PWD"
  keep "zipkin-server-$ZIPKIN-exec.jar" zipkin.jar "$key"
}

# Flux, its language, is half Go and half Rust. The Rust half is built first, then what
# asks `pkg-config` where it is gets an answer.
influxdb2() {
  local key="$INFLUXDB2" module=github.com/influxdata/influxdb/v2 source flux
  is_kept influxdb2 "$key" && return
  needs_go influxdb2
  has cargo && has gcc || fail "influxdb2 is built from source; install $NEEDS_RUST"
  say "building influxdb2 $INFLUXDB2, 5 to 15 minutes"
  quietly go mod init rig
  go mod edit -require="$module@$INFLUXDB2"
  quietly go mod download "$module@$INFLUXDB2"
  source=$(go list -m -f '{{.Dir}}' "$module")
  flux=$(cd "$source" && go mod download -json github.com/influxdata/flux |
    sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  build_libflux "$flux"
  # No -L in the answer: Go caches it, and another build has another folder.
  printf '%s\n' '#!/bin/sh' 'case " $* " in' \
    "*' --cflags '*) echo '-I$flux/libflux/include' ;;" \
    "*' --libs '*) echo '-lflux -ldl -lm' ;;" esac >pkg-config
  chmod +x pkg-config
  PKG_CONFIG="$PWD/pkg-config" LIBRARY_PATH="$PWD" CGO_ENABLED=1 GOFLAGS="-mod=readonly" \
    quietly go build -C "$source" -buildvcs=false -trimpath \
    -tags sqlite_foreign_keys,sqlite_json -ldflags "-s -w -X main.version=$INFLUXDB2" \
    -o "$PWD/influxd" ./cmd/influxd
  keep influxd influxdb2 "$key"
}

# From here and not from its own folder, where a rust-toolchain.toml asks for Rust 1.72.
# Its default features turn each warning of a newer Rust into an error.
build_libflux() { # FOLDER
  CARGO_PROFILE_RELEASE_LTO=off quietly cargo rustc --locked --release --package flux \
    --lib --crate-type staticlib --no-default-features --features cffi \
    --manifest-path "$1/libflux/Cargo.toml" --target-dir target
  mv target/release/libflux.a .
  rm -rf target
}

jaeger() {
  local key="$JAEGER"
  is_kept jaeger "$key" && return
  needs_go jaeger
  say "building jaeger $JAEGER, 3 to 10 minutes"
  go_build github.com/jaegertracing/jaeger "$JAEGER" \
    github.com/Shopify/sarama=github.com/Shopify/sarama@v1.33.0 "" cmd/jaeger
  keep jaeger jaeger "$key"
}

wanted=("$@")
[ $# -gt 0 ] || read -ra wanted <<<"$SERVERS"
for name in "${wanted[@]}"; do
  [[ " $SERVERS $OPTIONAL " == *" $name "* ]] ||
    fail "there is no '$name'; there are: $SERVERS $OPTIONAL"
done

# Each runs in a shell of its own, so that one still comes where the other cannot.
# (Written as `(prometheus2) || ..`, bash would ignore -e inside.)
failed=0
set +e
for name in "${wanted[@]}"; do
  (set -e; mkdir -p "$work/$name"; cd "$work/$name"; "$name")
  [ $? = 0 ] || failed=1
done
[ $failed = 0 ] || exit 1
say "${wanted[*]}: ready in $rig/bin"
