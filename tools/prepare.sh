# shellcheck shell=bash
# For ./run, ./test and ./bench to source: packages, configuring, compiling. Each function does nothing
# where nothing is to be done, and fast: ./run goes through all of them at every start.
#
: "${top:?is set to the folder of the project before this is sourced}"

say() { printf '%s\n' "$*" >&2; }

# die WHAT [WHAT TO DO]
die() {
    say "$(basename "$0"): $1"
    [ $# -lt 2 ] || say "  $2"
    exit 1
}

# The packages of some groups (build, test, bench) that are not installed, one a line.
missing_packages() {
    local groups=" $* " group name rest wanted=() ID=
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    while read -r group name rest; do
        [[ $groups == *" $group "* ]] || continue
        [[ $rest =~ ^unless\ ([a-z]+) ]] && command -v "${BASH_REMATCH[1]}" >/dev/null && continue
        [[ ! $rest =~ \ on\ ([a-z]+) ]] || [ "${BASH_REMATCH[1]}" = "$ID" ] || continue
        wanted+=("$name")
    done <"$top/tools/packages"
    # An installed one shows as "ii NAME"; dpkg-query fails when it does not know some of them.
    local installed
    installed=$'\n'$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null || true)$'\n'
    for name in "${wanted[@]}"; do
        [[ $installed == *$'\n'"ii $name"$'\n'* ]] || printf '%s\n' "$name"
    done
}

# as_root COMMAND...: by sudo where we are somebody else.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# May we install? As root or with `yes` set nobody is asked.
agreed_to_install() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || die "installing packages needs root, and there is no sudo" \
        "as root: apt-get install $*"
    [ -z "${yes:-}" ] || return 0
    [ -t 0 ] || die "packages are missing and nobody can be asked" \
        "say --yes, or as root: apt-get install $*"
    local answer
    say "These packages are missing: $*"
    read -r -p "Install them with sudo apt-get? [Y/n] " answer
    [[ $answer =~ ^([yY].*|)$ ]] || die "nothing installed" "yourself: sudo apt-get install $*"
}

# Installs "$@", without starting the servers among them: Debian asks policy-rc.d whether it may, and
# nobody who runs tests wants a web server from then on.
# shellcheck disable=SC2016 # for another shell, which may be root's
apt_install='
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap "rm -f $policy" EXIT
        trap "exit 1" INT TERM
        printf "#!/bin/sh\nexit 101\n" >$policy
        chmod 755 $policy
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$@"'

# install_packages GROUP...: what is missing of these groups.
install_packages() {
    [ -z "${no_install:-}" ] || return 0
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        die "this is neither Debian nor Ubuntu: packages cannot be installed from here" \
            "install what tools/packages names under its names here, then add --no-install"
    fi
    local missing log
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    agreed_to_install "${missing[@]}"

    log=$(mktemp)
    say "Installing ${#missing[@]} packages and what they need: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update -q >"$log" 2>&1 ||
        say "  could not refresh the package lists, going on with those that are there"
    # One line per package: installing may take minutes, and silence looks like hanging.
    if ! as_root sh -c "$apt_install" sh "${missing[@]}" 2>&1 </dev/null | tee -a "$log" |
        sed -n -u -e 's/^Setting up \([^ ]*\).*/  \1/p' -e 's/^Need to get \(.*\)\.$/  to download: \1/p' >&2; then
        tail -n 15 "$log" >&2
        die "apt-get could not install everything (its whole output: $log)" \
            "on Ubuntu the section 'universe' must be on: sudo add-apt-repository universe"
    fi
    rm -f "$log"
}

# configure DIR [MESON OPTION...]: once; ninja sees later changes of meson.build by itself.
configure() {
    local dir=$1 log
    shift
    [ ! -f "$dir/build.ninja" ] || return 0
    log=$(mktemp)
    say "Configuring $(basename "$dir")"
    if ! meson setup "$dir" "$top" "$@" >"$log" 2>&1; then
        grep -E 'ERROR|error:' "$log" | tail -n 5 >&2 || tail -n 15 "$log" >&2
        die "meson could not configure (its whole output: $log)" "then: rm -rf '$dir' and try again"
    fi
    rm -f "$log"
}

# Reads ninja's output: every tenth of its steps as a line, or each on one line where people watch; all
# of it into the file LOG. (Not awk: Debian's reads ahead, and the steps would come in bursts.)
ninja_progress() {
    local log=$1 name=$2 line tenth last='' tty=''
    [ ! -t 2 ] || tty=1
    while IFS= read -r line; do
        printf '%s\n' "$line"
        [[ $line =~ ^\<([0-9]+)/([0-9]+)\> ]] || continue
        tenth="$((BASH_REMATCH[1] * 10 / BASH_REMATCH[2])) of ${BASH_REMATCH[2]}" # counted anew after configuring
        if [ -n "$tty" ]; then
            printf '\r  compiling %s: %d of %d ' "$name" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" >&2
        elif [ "$tenth" != "$last" ]; then
            say "  compiling $name: ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
        fi
        last=$tenth
    done >"$log"
    if [ -n "$tty" ] && [ -n "$last" ]; then
        printf '\n' >&2
    fi
}

# compile DIR [TARGET...]
compile() {
    local dir=$1 log
    shift
    log=$(mktemp)
    if ! NINJA_STATUS='<%f/%t> ' TERM=dumb ninja -C "$dir" "$@" 2>&1 </dev/null |
        ninja_progress "$log" "$(basename "$dir")"; then
        grep -v '^<' "$log" | head -n 60 >&2
        die "compiling failed (its whole output: $log)" \
            "if this folder was moved or copied, or packages changed: rm -rf '$dir' and try again"
    fi
    rm -f "$log"
}
