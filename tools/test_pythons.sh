#!/bin/sh
# Runs pytest on every Python 3.10 to 3.14 that is found and that neither .venv nor .venv-floor is made with.
#
#   tools/test_pythons.sh WORK [PYTHON] -- ARGUMENTS OF PYTEST
#
# With PYTHON given only that one is taken, whatever the others are made with. A version that was not found is said
# loudly and is no failure. All are run before the first failure ends it.

work=$1 asked_for=$2
shift 3
home=$(dirname "$0")

version_in() {
    "$1/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

found=$("$home/find_python.sh" --each 3.10 3.14 "$asked_for")
if [ -n "$asked_for" ]; then
    [ -n "$found" ] || { "$home/find_python.sh" 3.10 3.14 "$asked_for"; exit 1; }
    versions=${found%% *} elsewhere=
else
    versions='3.10 3.11 3.12 3.13 3.14'
    elsewhere="$(version_in .venv) for make test
$(version_in .venv-floor) for make test-floor"
fi

code=0
results=
for version in $versions; do
    python=$(printf '%s\n' "$found" | sed -n "s/^$version //p")
    left=$(printf '%s\n' "$elsewhere" | sed -n "s/^$version //p" | head -n 1)
    if [ -n "$left" ]; then
        result="Python $version is left $left"
    elif [ -z "$python" ]; then
        result="NOT TESTED on Python $version: none found"
    elif echo "==> testing with Python $version" \
        && "$home/environment.sh" ".venv-$version" "$version" "$version" constraints.txt "$python" \
        && AIRFLOW_HOME="$work/test-$version" ".venv-$version/bin/python" -m pytest "$@"; then
        result="Python $version passed"
    else
        result="Python $version FAILED" code=1
    fi
    results="$results
==> $result"
done
printf '%s\n' "$results"
exit $code
