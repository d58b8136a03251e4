#!/bin/bash
# Starts TensorFlow Serving with the configuration beside this file; arguments are further flags for it.
#
#   CONFIG_DIR  where models.config, batching.config and monitoring.config lie; default /etc/tf-serving
#   BATCHING    "off" computes each request by itself; docs/kubernetes.md, Batches, says when
#   TLS_DIR     where tls.crt, tls.key and ca.crt lie; without tls.key there, the ports speak plain text
set -euo pipefail

CONFIG_DIR="${CONFIG_DIR:-/etc/tf-serving}"
TLS_DIR="${TLS_DIR:-/etc/tf-serving-tls}"
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# A PEM file as a field of the text form of a protobuf.
field() {
  printf '%s: "' "$1"
  awk '{ printf "%s\\n", $0 }' "$2"
  printf '"\n'
}

flags=(
  --model_config_file="$CONFIG_DIR/models.config"
  --monitoring_config_file="$CONFIG_DIR/monitoring.config"
)
if [[ "${BATCHING:-on}" != off ]]; then
  flags+=(--enable_batching=true --batching_parameters_file="$CONFIG_DIR/batching.config")
fi
if [[ -f "$TLS_DIR/tls.key" ]]; then
  for name in tls.crt ca.crt; do
    if [[ ! -f "$TLS_DIR/$name" ]]; then
      echo "TLS needs tls.crt, tls.key and ca.crt: $TLS_DIR has no $name." >&2
      exit 2
    fi
  done
  umask 077
  ssl="$(mktemp)"
  {
    cat "$HERE/ssl.config"
    field server_key "$TLS_DIR/tls.key"
    field server_cert "$TLS_DIR/tls.crt"
    field custom_ca "$TLS_DIR/ca.crt"
  } > "$ssl"
  flags+=(--ssl_config_file="$ssl")
fi

# TensorFlow Serving has no handler for SIGTERM, and the kernel keeps signals without one from process 1: a
# container of it alone would live until it is killed. So this shell is process 1, and passes the signal on.
tensorflow_model_server "${flags[@]}" "$@" &
server=$!
stopped=
trap 'stopped=yes; kill -TERM "$server" 2>/dev/null || true' TERM INT
code=0
wait "$server" || code=$?
if [[ -n "$stopped" ]]; then
  wait "$server" || true
  exit 0
fi
exit "$code"
