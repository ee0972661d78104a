#!/bin/sh
# Prints the first Python that can make an environment for this project.
#
#   tools/find_python.sh OLDEST NEWEST [PYTHON]      e.g.  tools/find_python.sh 3.10 3.14
#
# With PYTHON given (a name or a path) only that one is tried. Each candidate is tested by running it:
# a name on the PATH proves little (version managers leave shims behind that exit with 127, and some
# distributions ship Python without venv or ensurepip). What was tried, and why it did not do, goes to
# standard error when none fits; the exit code is then 1.

oldest=$1
newest=$2
candidates=${3:-"python3 python3.12 python3.13 python3.11 python3.10 python3.14"}

# 10: the version does not fit. 11: it does, but environments cannot be made with it.
probe='
import sys
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
print(getattr(sys, "_base_executable", None) or sys.executable)
'

report=
if [ -n "${3:-}" ]; then
    # One candidate, whose path may contain blanks.
    set -- "$3"
else
    # shellcheck disable=SC2086  # the list is meant to be split
    set -- $candidates
fi
for candidate in "$@"; do
    answer=$("$candidate" -c "$probe" "$oldest" "$newest" 2>/dev/null)
    case $? in
        0)
            printf '%s\n' "$answer"
            exit 0
            ;;
        10) reason="is Python $answer, not $oldest to $newest" ;;
        11) reason="cannot make environments ($answer). On Debian and Ubuntu: apt-get install python3-venv" ;;
        126 | 127) reason="is not there, or does not run" ;;
        *) reason="does not run" ;;
    esac
    report="$report
    $candidate $reason"
done
printf 'No Python %s to %s with venv and ensurepip found. Tried:%s\n' "$oldest" "$newest" "$report" >&2
printf 'Install one, or name one with PYTHON=/path/to/python.\n' >&2
exit 1
