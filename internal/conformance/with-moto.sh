#!/usr/bin/env bash
# Runs a command with CREATEKEY_MOTO_ENDPOINT set to a moto server that is started
# for it on a free loopback port, and ended after it.
#
#	internal/conformance/with-moto.sh VENV COMMAND [ARGUMENT …]
set -euo pipefail
venv=$1
shift
log=$(mktemp)
port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$log" 2>&1 &
moto=$!
trap 'kill "$moto" 2>/dev/null || true; wait "$moto" 2>/dev/null || true; rm -f "$log"' EXIT
export CREATEKEY_MOTO_ENDPOINT=http://127.0.0.1:$port
for _ in $(seq 60); do
	if ! kill -0 "$moto" 2>/dev/null; then
		cat "$log"
		exit 1
	fi
	if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
		"$@"
		exit
	fi
	sleep 1
done
echo "moto did not start in a minute:"
cat "$log"
exit 1
