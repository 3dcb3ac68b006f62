#!/usr/bin/env bash
# Check the syntax of every shell script below a folder: shell_agent.sh [PATH]. Needs bash 5 for its clock.
set -euo pipefail
root="${1:-.}"
agent="shell-agent"

microseconds() { echo "${EPOCHREALTIME//[!0-9]/}"; }

run="$(pyjama-metrics record start "$agent" --spec "syntax of the scripts below $root")"
status=failed # unless the end is reached
trap 'pyjama-metrics record complete "$agent" --run "$run" --status "$status"' EXIT

broken=0
while IFS= read -r -d '' script; do
    began="$(microseconds)"
    if bash -n "$script"; then outcome=ok; else outcome=error broken=$((broken + 1)); fi
    took=$((($(microseconds) - began) / 1000))
    pyjama-metrics record tool "$agent" check-syntax --run "$run" --status "$outcome" --duration-ms "$took"
done < <(find "$root" -name '*.sh' -not -path '*/.*' -type f -print0)

# Any command is an agent, too: its start, its duration and its exit code; with PYJAMA_RUN it is a child of this one.
pyjama-metrics record activity "$agent" --run "$run" --tool count-files
PYJAMA_RUN="$run" PYJAMA_AGENT="$agent" pyjama-metrics run -- find "$root" -name '*.sh' -not -path '*/.*' -type f

echo "$broken broken"
status=completed
