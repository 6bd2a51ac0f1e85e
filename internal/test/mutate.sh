#!/usr/bin/env bash
# mutate.sh GREMLINS [SECONDS]: mutation tests of what keys depend on. Fails where a
# mutant lives. Within a number of seconds it takes one file after the other, and begins
# at another one with each commit.
set -euo pipefail

gremlins=$1 budget=${2:-}
packages=(provision apikey document envelope marketplace pace)

# unleash SECONDS FLAG...: with 0 seconds, as long as it takes. A mutant whose test was
# stopped at the end of the time did not live.
unleash() {
	timeout -s INT "$1" "$gremlins" unleash --timeout-coefficient 10 "${@:2}" | sed '/^Shutting down/,$d' | tee -a "$report"
}

report=$(mktemp)
trap 'rm "$report"' EXIT
if [ -z "$budget" ]; then
	for package in "${packages[@]}"; do
		echo "== internal/$package"
		unleash 0 "./internal/$package"
	done
else
	mapfile -t files < <(for package in "${packages[@]}"; do ls "internal/$package/"*.go; done | grep -v _test.go)
	first=$((16#$(git rev-parse HEAD | cut -c1-6)))
	for i in "${!files[@]}"; do
		if ((SECONDS >= budget)); then break; fi
		file=${files[(first + i) % ${#files[@]}]}
		others=()
		for other in "$(dirname "$file")"/*.go; do
			if [ "$other" != "$file" ]; then others+=(--exclude-files "(^|/)$(basename "$other")\$"); fi
		done
		echo "== $file"
		unleash $((budget - SECONDS)) "${others[@]}" "./$(dirname "$file")" || true
	done
fi
if grep -q '^ *LIVED' "$report"; then
	printf '\nThe tests notice nothing of these:\n'
	grep '^ *LIVED' "$report"
	exit 1
fi
