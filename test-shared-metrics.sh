#!/usr/bin/env bash
# See it work: starts the dashboard, lets real agents work on this repository in processes of their own, prints the figures as
# they move, and compares the shared file with what the agents really did.
#
#   ./test-shared-metrics.sh               then keeps the dashboard up, and agents working, until Ctrl-C
#   ./test-shared-metrics.sh --once        ends after the comparison
#   ./test-shared-metrics.sh --port 9000   the dashboard's port (8080; if it is taken, the next free one)
#
# Exit code: 0 when the figures are right, 1 when they are not, 2 for wrong usage. Your own ~/.pyjama is not touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh

usage() {
    sed -n 's/^# \{0,1\}//; 2,9p' "$0"
}

once=false
port=8080
while (($#)); do
    case "$1" in
    --once) once=true ;;
    --port)
        if [[ ! "${2:-}" =~ ^[0-9]{1,5}$ ]] || ((10#$2 > 65535)); then
            echo "$0: --port needs a number up to 65535." >&2
            exit 2
        fi
        port="$2"
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) echo "$0: unknown argument '$1'; see --help." >&2 && exit 2 ;;
    esac
    shift
done

prepare_environment ""
bin="$(cd "$venv/bin" && pwd)"
PYJAMA_HOME="$(mktemp -d "${TMPDIR:-/tmp}/pyjama-metrics.XXXXXX")"
export PYJAMA_HOME
unset PYJAMA_RUN PYJAMA_AGENT PYJAMA_STRICT
file="$PYJAMA_HOME/metrics.json"
reports="$PYJAMA_HOME/reports"
mkdir "$reports"
dashboard=""

# shellcheck disable=SC2317 # reached by the trap
end() {
    trap - EXIT INT TERM
    if [[ -n "$dashboard" ]]; then
        kill "$dashboard" 2>/dev/null || true
        wait "$dashboard" 2>/dev/null || true
    fi
    rm -rf "$PYJAMA_HOME"
}
trap end EXIT
trap 'echo; exit 0' INT TERM

# figure KEY...: one figure of the shared file, by jq where it is installed. A key that is missing gives "null".
figure() {
    if command -v jq >/dev/null; then
        jq -r 'getpath($ARGS.positional)' "$file" --args "$@"
    else
        "$bin/python" - "$file" "$@" <<'PYTHON'
import json, sys
value = json.load(open(sys.argv[1], encoding="utf-8"))
for key in sys.argv[2:]:
    value = (value or {}).get(key)
print("null" if value is None else value if isinstance(value, str) else json.dumps(value))
PYTHON
    fi
}

start_dashboard() {
    "$bin/pyjama-metrics" dashboard --port "$port" >"$PYJAMA_HOME/dashboard.log" 2>&1 &
    dashboard=$!
    local tries
    for ((tries = 0; tries < 150; tries++)); do
        address="$(grep -o 'http://[^ /]*' "$PYJAMA_HOME/dashboard.log" | tail -n 1 || true)"
        if [[ -n "$address" ]] && fetch "$address/health" >/dev/null 2>&1; then
            cat "$PYJAMA_HOME/dashboard.log"
            return
        fi
        kill -0 "$dashboard" 2>/dev/null || break
        sleep 0.1
    done
    echo "The dashboard did not start:" >&2
    cat "$PYJAMA_HOME/dashboard.log" >&2
    return 1
}

fetch() {
    "$bin/python" -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' "$1"
}

show_figures() {
    # A copy, because the file may be replaced between two looks at it.
    cp "$file" "$PYJAMA_HOME/shown.json" 2>/dev/null || return 0
    local file="$PYJAMA_HOME/shown.json"
    printf '  %6s executions  %6s ok  %4s failed   %3s runs started, %3s completed\n' "$(figure global count)" \
        "$(figure global success)" "$(figure global error)" "$(figure runs started)" "$(figure runs completed)"
}

run_agents() {
    echo "Two agents start in processes of their own; one of them starts more:"
    "$bin/python" examples/codebase_analyser.py . --json >"$reports/analyser.json" &
    local analyser=$!
    "$bin/python" examples/orchestrator.py . --json >"$reports/orchestrator.json" &
    local orchestrator=$!
    while kill -0 "$analyser" 2>/dev/null || kill -0 "$orchestrator" 2>/dev/null; do
        show_figures
        sleep 0.1
    done
    wait "$analyser" && wait "$orchestrator"
    "$bin/pyjama-metrics" show --json >/dev/null # folds what is left
    show_figures
}

# What the agents say that they did, as lines "expected<tab>key<tab>key…".
expectations() {
    "$bin/python" - "$reports/analyser.json" "$reports/orchestrator.json" <<'PYTHON'
import json, sys
analyser, agents = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
rows, total = [], {"success": 2 * len(agents), "error": 0}
for report in [analyser, *agents]:
    rows.append(("completed", "agents", report["agent"], "status"))
    for tool, done in report["tools"].items():
        for outcome, count in done.items():
            total[outcome] += count
            if sum(done.values()):
                rows.append((count, "agents", report["agent"], "tools", tool, outcome))
for report in agents:
    rows.append(("orchestrator", "agents", report["agent"], "parent-agent"))
rows += [(count, "global", outcome) for outcome, count in total.items()]
rows += [(sum(total.values()), "global", "count"), (len(agents) + 2, "runs", "started"), (len(agents) + 2, "runs", "completed")]
rows += [("completed", "agents", "orchestrator", "status"), (len(agents), "tools", "start-agent", "success")]
rows += [(0, "problems", kind) for kind in ("malformed-lines", "unknown-events", "invalid-values", "lost-events")]
print("\n".join("\t".join(map(str, row)) for row in rows))
PYTHON
}

compare() {
    local expected found keys right=0 wrong=0
    while IFS=$'\t' read -r expected keys; do
        IFS=$'\t' read -ra keys <<<"$keys"
        found="$(figure "${keys[@]}")"
        if [[ "$found" == "$expected" ]]; then
            right=$((right + 1))
        else
            wrong=$((wrong + 1))
            echo "  WRONG: ${keys[*]} is $found in the shared file, but the agents did $expected"
        fi
    done < <(expectations)
    if [[ "$(fetch "$address/api/data" | "$bin/python" -c 'import json, sys; print(json.load(sys.stdin)["metrics"]["global"]["count"])')" == "$(figure global count)" ]]; then
        right=$((right + 1))
    else
        wrong=$((wrong + 1))
        echo "  WRONG: the dashboard does not show what the shared file holds"
    fi
    echo "Compared the shared file with what the agents really did: $right figures right, $wrong wrong."
    ((wrong == 0 && right > 10))
}

start_dashboard
run_agents
code=0
compare || code=1
if ! $once; then
    echo
    echo "Agents go on working, failing, waiting and starting others. Watch them on $address   (Ctrl-C ends it)"
    while true; do
        "$bin/pyjama-metrics" demo --here --no-dashboard --seconds 60 >/dev/null
    done
fi
exit "$code"
