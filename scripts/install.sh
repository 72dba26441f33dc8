#!/bin/sh
# Makes .venv with all that the project needs, and brings R and the headers where apt-get can.
#
# With the argument "browser" it also brings what the tests of the pages need.
#
# Progress goes to stderr in a few lines, the tools' own words to build/install.log. Every way to
# fail ends in one sentence that says what to type.
set -eu
cd "$(dirname "$0")/.."

log=build/install.log
mkdir -p build
: >"$log"

say() { printf 'keras-bridge: %s\n' "$*" >&2; }
stop() {
    say "$*"
    exit 2
}
has() { command -v "$1" >/dev/null 2>&1; }
offline() {
    grep -qE 'Temporary failure|[Cc]ould not (connect|resolve)|Failed to establish|Network is unreachable|ConnectTimeout' "$log"
}

# A Python that can make a .venv and compile rpy2 in it.
can_build='
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
sys.exit(sys.version_info < (3, 11) or not os.path.isfile(header))
'
# The .venv there is goes first: a second call mends it and does not start again.
pythons=${PYTHON:-.venv/bin/python python3 python3.13 python3.12 python3.11 /usr/bin/python3}
first_python() {
    for python in $pythons; do
        if "$python" -I -c "$can_build" 2>/dev/null && "$@"; then
            return
        fi
    done
    return 1
}
choose_versions() { "$python" -I bridge/r/version_constraints.py >build/constraints 2>build/refusal; }

# An R that someone built keeps its own packages: Debian's would bring a second R.
r_is_debians() { dpkg -S "$(readlink -f "$(command -v R)")" >/dev/null 2>&1; }

# What rpy2's C interface is compiled with is what R itself was linked with.
wanted() {
    if ! has R || r_is_debians; then
        echo r-base-core r-cran-reticulate r-cran-r6
    fi
    first_python true || echo python3 python3-venv libpython3-dev
    echo gcc libc6-dev libblas-dev libbz2-dev libdeflate-dev libicu-dev liblzma-dev \
        libpcre2-dev libtirpc-dev libzstd-dev zlib1g-dev
}
missing() {
    for package in $(wanted); do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) echo "$package" ;;
        esac
    done
}
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" \
        </dev/null >>"$log" 2>&1
}

if has apt-get; then
    packages=$(missing | paste -sd ' ')
    if [ -n "$packages" ]; then
        [ "$(id -u)" = 0 ] || has sudo ||
            stop "Only root can install what is missing; type: su -c" \
                "'apt-get update; apt-get install --no-install-recommends $packages'"
        say "installing with apt-get ($log): $packages"
        # A source that does not answer may be one that is not needed.
        apt update || true
        # shellcheck disable=SC2086  # a list of names
        apt install -y --no-install-recommends $packages ||
            if offline; then
                stop "apt-get cannot reach its packages; connect to the network and type: make"
            else
                stop "apt-get could not install what is missing; type: tail $log"
            fi
    fi
fi

# Without a browser the tests of the pages are skipped, and nothing else.
if [ "${1:-}" = browser ] && ! has chromium && has apt-get; then
    say "installing with apt-get ($log): chromium"
    apt update || true
    apt install -y --no-install-recommends chromium fonts-dejavu-core ||
        say "chromium could not be installed: the tests of the pages will be skipped"
fi

has R || stop "R is missing and there is no apt-get to bring it; install R 4.2 or newer and type: make"
R -s --no-save --no-restore --no-init-file \
    -e 'quit(status = !requireNamespace("reticulate", quietly = TRUE))' >>"$log" 2>&1 </dev/null ||
    stop "R has no reticulate; type: R -e 'install.packages(\"reticulate\")' && make"
first_python choose_versions ||
    if [ -s build/refusal ]; then
        stop "$(cat build/refusal)"
    else
        stop "no Python from 3.11 on that has venv and its headers is on the PATH;" \
            "install one and type: make PYTHON=/its/path"
    fi

if [ "$python" != .venv/bin/python ]; then
    say "making .venv with $("$python" --version) ($python)"
    "$python" -m venv --clear .venv >>"$log" 2>&1 || stop "venv failed; type: tail $log"
fi

# As a variable it also holds for the environments in which packages are built.
PIP_CONSTRAINT=$(paste -sd ' ' build/constraints)
export PIP_CONSTRAINT
say "installing Python packages as pinned by $PIP_CONSTRAINT ($log)"
.venv/bin/python -m pip install --no-input --disable-pip-version-check -e ".[compiled,dev,docs${1:+,$1}]" \
    </dev/null >>"$log" 2>&1 ||
    if offline; then
        stop "pip cannot reach its package index; connect to the network and type: make"
    else
        stop "pip could not install what is missing; type: tail $log"
    fi
# rpy2 is content with its slower ABI mode when it cannot compile: we are not.
.venv/bin/python -c 'import importlib.util as u; u.find_spec("_rinterface_cffi_api") or exit(1)' ||
    stop "rpy2 was built without its C interface;" \
        "type: .venv/bin/pip cache remove 'rpy2*'; make distclean; make"
say "installed"
