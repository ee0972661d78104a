#!/bin/sh
# Makes the environment in FOLDER, or leaves it alone when it is already what is asked for.
#
#   tools/environment.sh FOLDER OLDEST NEWEST CONSTRAINTS [PYTHON [PROJECT ...]]
#   tools/environment.sh .venv 3.10 3.14 constraints.txt
#
# PROJECT is what pip is to install: ".[test]" copies the checkout, "-e" before it lets the environment follow it, as
# it does without PROJECT.
#
# Exit codes: 0 it is there, 1 it could not be made, 3 no fitting Python (tools/find_python.sh said why).
#
# The last thing written into a new environment is a note of what it was made from. An environment without
# that note is half built; one whose note differs is out of date. Both are made anew. Contents are compared,
# not times, because git gives every file it checks out a new time.

set -u
folder=$1 oldest=$2 newest=$3 constraints=$4 asked_for=${5:-}
if [ $# -gt 5 ]; then shift 5; else set -- -e '.[test,check]'; fi
note=$folder/made-from
home=$(dirname "$0")

made_from() {
    pwd
    cat setup.cfg "$constraints" "$0" | cksum
}

usable() {
    [ -f "$note" ] && [ "$(sed '$d' "$note")" = "$(made_from)" ] && "$folder/bin/python" -c '' 2>/dev/null
}

give_up() {
    printf '\nThe environment %s could not be made: %s\n' "$folder" "$1" >&2
    exit 1
}

if [ -z "$asked_for" ] && usable; then
    exit 0
fi
python=$("$home/find_python.sh" "$oldest" "$newest" "$asked_for") || exit 3
if usable && [ "$(tail -n 1 "$note")" = "$python" ]; then
    exit 0
fi

echo "==> making the environment $folder with $python (about a minute the first time)"
rm -rf "$folder" || give_up "the old one cannot be removed."
"$python" -m venv "$folder" || give_up "$python -m venv failed, see above. On Debian and Ubuntu: apt-get install python3-venv"

registry_hint='pip could not install the packages; its message is above.
When it speaks of connections or of "no matching distribution": is a package registry reachable from here?
A mirror or a proxy can be set with PIP_INDEX_URL and HTTPS_PROXY, or in pip'\''s configuration file.'

# A current pip first: with the pip that comes with Python 3.10 or 3.11 the next step takes twice as long.
grep '^pip==' "$constraints" >"$folder/pip.txt" || give_up "$constraints pins no pip."
"$folder/bin/python" -m pip install -qq -r "$folder/pip.txt" || give_up "$registry_hint"
echo "==> installing Airflow, the provider and its tools as pinned in $constraints"
# Bytecode is written when a module is first imported; doing it for all 800 MB now would double the time.
"$folder/bin/python" -m pip install -qq --no-compile -c "$constraints" "$@" || give_up "$registry_hint"

{
    made_from
    echo "$python"
} >"$note" || give_up "$note cannot be written."
