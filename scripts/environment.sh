# shellcheck shell=bash
# The virtual environment of the checkout, for the scripts that need it. Source this in the checkout, then call
# prepare_environment; $venv and $python name what it made. PYJAMA_VENV names another folder than .venv.

venv="${PYJAMA_VENV:-.venv}"
python="$venv/bin/python"

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "$0: no Python 3.11 or later was found on PATH; install one and run this again." >&2
    return 1
}

# What the installation depends on: the two files that declare it, and this folder, to which an editable install points.
declared() {
    pwd -P
    cksum setup.cfg pyproject.toml
}

# prepare_environment [EXTRA]: install the checkout, with an extra such as "test", unless that was done and nothing changed.
prepare_environment() {
    local extra="${1:-}" stamp
    stamp="$venv/installed${extra:+-for-$extra}"
    if ! is_new_enough "$python"; then
        local found clear=()
        found="$(find_python)"
        # An environment whose Python is gone or too old is made anew; a folder that is something else is not emptied.
        [[ -f "$venv/pyvenv.cfg" ]] && clear=(--clear)
        echo "$0: making $venv with $found"
        "$found" -m venv "${clear[@]+"${clear[@]}"}" "$venv"
    fi
    if [[ "$(cat "$stamp" 2>/dev/null)" != "$(declared)" ]]; then
        echo "$0: installing into $venv"
        # "compat" is one path in a .pth file; the default installs an import hook, which every interpreter that the tests
        # start would load, and which would hide what the write road must not load.
        "$python" -m pip install --quiet --disable-pip-version-check \
            --config-settings editable_mode=compat --editable ".${extra:+[$extra]}"
        declared >"$stamp"
    fi
}
