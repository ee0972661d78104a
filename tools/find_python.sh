#!/bin/sh
# Prints a Python that can make an environment for this project.
#
#   tools/find_python.sh OLDEST NEWEST [PYTHON]      e.g.  tools/find_python.sh 3.10 3.14
#   tools/find_python.sh --each OLDEST NEWEST        one of each version, oldest first: "3.11 /usr/bin/python3.11"
#
# Looked at are the names on the PATH, then what pyenv has installed; with PYTHON given (a name or a path) only
# that one. Each candidate is tested by running it: a name on the PATH proves little (version managers leave shims
# behind that exit with 127, and some distributions ship Python without venv or ensurepip). Without --each, what was
# tried, and why it did not do, goes to standard error when none fits; the exit code is then 1.

each=
if [ "$1" = --each ]; then each=yes; shift; fi
oldest=$1 newest=$2
if [ -n "${3:-}" ]; then
    # One candidate, whose path may contain blanks.
    set -- "$3"
else
    set -- python3 python3.12 python3.13 python3.11 python3.10 python3.14 \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/*/bin/python3
fi

# 10: the version does not fit. 11: it does, but environments cannot be made with it.
probe='
import os, sys
oldest, newest = (tuple(int(part) for part in bound.split(".")) for bound in sys.argv[1:3])
if not oldest <= sys.version_info[:2] <= newest:
    print("%d.%d.%d" % sys.version_info[:3])
    sys.exit(10)
try:
    import ensurepip, venv
except ImportError as missing:
    print(missing)
    sys.exit(11)
# Inside an environment: the Python it was made with, which is still there when the environment is not.
base = getattr(sys, "_base_executable", None) or sys.executable
if base == sys.executable and sys.prefix != sys.base_prefix:  # as Python 3.10 has it
    base = os.path.realpath(base)
print("%d.%d" % sys.version_info[:2], base)
'

found=
report=
for candidate in "$@"; do
    answer=$("$candidate" -c "$probe" "$oldest" "$newest" 2>/dev/null)
    case $? in
        0)
            if [ -z "$each" ]; then
                printf '%s\n' "${answer#* }"
                exit 0
            fi
            found="$found$answer
"
            continue
            ;;
        10) reason="is Python $answer, not $oldest to $newest" ;;
        11) reason="cannot make environments ($answer). On Debian and Ubuntu: apt-get install python3-venv" ;;
        126 | 127) reason="is not there, or does not run" ;;
        *) reason="does not run" ;;
    esac
    report="$report
    $candidate $reason"
done
if [ -n "$each" ]; then
    printf '%s' "$found" | awk '!seen[$1]++' | sort -t . -k 1,1n -k 2,2n
    exit 0
fi
printf 'No Python %s to %s with venv and ensurepip found. Tried:%s\n' "$oldest" "$newest" "$report" >&2
printf 'Install one, or name one with PYTHON=/path/to/python.\n' >&2
exit 1
