# shellcheck shell=bash
# For the stages to source: build folders, counting, skipping.
set -euo pipefail
: "${top:?run this by ./test}"
cd "$top"
# shellcheck source=tools/prepare.sh
. "$top/tools/prepare.sh"

skip() {
    printf '%s\n' "$*"
    exit 77
}

# count PASSED FAILED SKIPPED: adds to what ./test shows at the end.
count() { printf '%s\n' "$*" >>"${STAGE_COUNTS:-/dev/null}"; }

# build_for KIND: the folder build-KIND, configured and compiled. ./run's build/ is another one: it is
# made without -Werror, since a compiler unknown to us must not keep anybody from running this.
build_for() {
    case $1 in
    gcc) CC=gcc configure build-gcc -Dpage=enabled -Dwerror=true -Dtests=enabled ;;
    clang) CC=clang-14 configure build-clang -Dpage=disabled -Dwerror=true -Dtests=enabled ;;
    asan) CC=gcc configure build-asan -Dpage=disabled -Dwerror=true -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false ;;
    tsan) CC=gcc configure build-tsan -Dpage=disabled -Dwerror=true -Dtests=enabled -Db_sanitize=thread -Db_lundef=false ;;
    fuzz) CC=clang-14 configure build-fuzz -Dpage=disabled -Dfuzz=true -Dtests=disabled -Db_sanitize=address,undefined -Db_lundef=false ;;
    *) die "there is no kind of build '$1'" ;;
    esac
    compile "build-$1"
}

# All sanitizers' finds end the program with an exit code of its own, which no test expects.
sanitizer_options() {
    export ASAN_OPTIONS=exitcode=99:detect_leaks=1:check_initialization_order=1
    export UBSAN_OPTIONS=halt_on_error=1:exitcode=99:print_stacktrace=1
    export TSAN_OPTIONS=exitcode=99:halt_on_error=1:second_deadlock_stack=1
}

# unit_tests DIR [COMMAND...]: meson runs the programs (behind COMMAND), and libcheck's lines say how
# many tests they held; a program that said nothing, because it crashed, is one failed test.
unit_tests() {
    local dir=$1 rc=0
    shift
    echo "unit tests of $dir"
    meson test -C "$dir" --suite unit --no-rebuild --print-errorlogs ${1:+--wrapper "$*"} || rc=$?
    local log=$dir/meson-logs/testlog${1:+-$(basename "$1")}.txt
    awk '
        /^[0-9]+%: Checks: / {
            gsub(",", "")
            checks += $3; bad += $5 + $7; said = 1
        }
        /^result: / { if (!said && $0 !~ /exit status 0/) bad++; said = 0 }
        END { print checks - bad, bad + 0, 0 }' "$log" >>"${STAGE_COUNTS:-/dev/null}"
    return $rc
}

# The virtual environment with what tests/requirements.txt names, in .venv; made anew when that changes.
python_venv() {
    local python=/usr/bin/python3 want
    [ -x $python ] || python=python3
    want=$(sha256sum tests/requirements.txt)
    if [ "$(cat .venv/made-from 2>/dev/null)" != "$want" ]; then
        echo "making .venv"
        rm -rf .venv
        # Said by hand, since the shell does not end by itself in what stands before || somewhere.
        if ! $python -m venv .venv ||
            ! .venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt; then
            die "could not install the Python packages of tests/requirements.txt" "is the package index reachable?"
        fi
        printf '%s\n' "$want" >.venv/made-from
    fi
}

# system_tests DIR [PYTEST OPTION...]: against the programs in DIR, which the tests find in REEVE_BUILD.
# Returns what pytest does; 5 when the options choose no test.
system_tests() { run_pytest tests/system "$@"; }

# run_pytest TESTS DIR [PYTEST OPTION...]
run_pytest() {
    local tests=$1 dir=$2 rc=0 xml
    shift 2
    python_venv
    xml=build-test/$dir-$(basename "$tests").xml
    rm -f "$xml"
    echo "$tests with the programs of $dir"
    REEVE_BUILD=$top/$dir PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m pytest -c "$tests/pytest.ini" \
        --rootdir "$tests" --junit-xml "$xml" "$tests" "$@" || rc=$?
    [ $rc != 5 ] || echo "no test is chosen by: $*"
    [ ! -f "$xml" ] || .venv/bin/python - "$xml" >>"${STAGE_COUNTS:-/dev/null}" <<'PY'
import sys
import xml.etree.ElementTree as tree

suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
all_, skipped = int(suite.get("tests")), int(suite.get("skipped"))
bad = int(suite.get("failures")) + int(suite.get("errors"))
print(all_ - skipped - bad, bad, skipped)
PY
    return $rc
}

# our_files PATTERN...: those that git knows or would add; without git, those outside of folders that
# are made while building. `*` stands for slashes too.
our_files() {
    local file pattern match=()
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
            [ ! -f "$file" ] || printf '%s\n' "$file"
        done
    else
        for pattern in "${@/#./*}"; do match+=(-o -path "./$pattern"); done
        find . \( -path './build*' -o -path './.*' \) -prune -o -type f \( "${match[@]:1}" \) -print | sed 's,^\./,,'
    fi
}

# our_scripts ENDING FIRST_LINE: files with that ending, or with none and that first line.
our_scripts() {
    local file
    our_files . | while read -r file; do
        case $(basename "$file") in
        *."$1") printf '%s\n' "$file" ;;
        *.*) ;;
        *) if head -c 64 "$file" | head -n 1 | tr -d '\0' | grep -Eq "$2"; then printf '%s\n' "$file"; fi ;;
        esac
    done
}
