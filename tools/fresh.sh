#!/usr/bin/env bash
# Proves that a machine with nothing but git, make and python3 can do what README.md says: a new Debian or Ubuntu in a directory, this
# commit cloned into it, `make demo` and `make test` there.
#
#   tools/fresh.sh SUITE        bookworm, trixie, noble ...: what debootstrap knows; as root
#
# Outside variables: MIRROR (of the distribution), FRESH_DIR (where the directory is made; 12 GB), KEEP=1 (leave it there), and for the
# tests JOBS, FUZZ_SECONDS, DQNN_ISAS. How this machine reaches the registries is taken over: proxies, apt's Acquire settings, pip's index,
# certificates in /usr/local/share/ca-certificates. Logs: build/fresh/.
set -euo pipefail
cd "$(dirname "$0")/.."

SUITE=${1:-}
SCRIPTS=/usr/share/debootstrap/scripts
CERTIFICATES=/usr/local/share/ca-certificates
LOGS=$PWD/build/fresh
ROOT=     # the new root
RUNNING=  # what runs in it
RESULTS=()

die() {
  printf 'fresh: %s\n' "$*" >&2
  exit 1
}

clean_up() {
  trap '' INT TERM
  if [ -n "$RUNNING" ]; then
    kill -KILL "$RUNNING" 2>/dev/null || true
    wait "$RUNNING" 2>/dev/null || true
  fi
  if [ -n "$ROOT" ] && [ -z "${KEEP:-}" ]; then
    rm -rf --one-file-system "$ROOT"
  fi
}

has_certificates() { compgen -G "$CERTIFICATES/*.crt" >/dev/null; }

# The mirror that apt uses here for the same distribution; nothing: debootstrap's own choice.
mirror() { # mirror Debian|Ubuntu
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v origin="$1" '$1 == origin && $2 !~ /-/ { print $3; exit }'
}

bootstrap() {
  local packages=git,make,python3 origin=Debian script=sid components=main
  ! has_certificates || packages+=,ca-certificates
  case $SUITE in
    jammy | noble | plucky | questing | resolute) origin=Ubuntu script=gutsy components=main,universe ;;
  esac
  # A suite that is newer than debootstrap is made as those before it.
  [ ! -e "$SCRIPTS/$SUITE" ] || script=$SUITE
  debootstrap --variant=minbase "--components=$components" "--include=$packages" "$SUITE" "$ROOT" "${MIRROR:-$(mirror $origin)}" "$script"
}

# How this machine reaches the registries: names, proxies, certificates, pip's index.
take_over_registries() {
  cp -L /etc/resolv.conf /etc/hosts "$ROOT/etc/"
  apt-config dump Acquire | grep -E '^Acquire::(https?|Check|Retries|Allow)' >"$ROOT/etc/apt/apt.conf.d/50this-machine" || true
  {
    echo '[global]'
    "${PYTHON:-python3}" -m pip config list 2>/dev/null | sed -nE "s/^[^=]*\.(index-url|trusted-host|proxy)='(.*)'$/\1 = \2/p"
    ! has_certificates || echo 'cert = /etc/ssl/certs/ca-certificates.crt'
  } >"$ROOT/etc/pip.conf"
  if has_certificates; then
    cp "$CERTIFICATES"/*.crt "$ROOT$CERTIFICATES/"
    chroot "$ROOT" update-ca-certificates >/dev/null
  fi
}

# in_root COMMAND: with mounts and processes in name spaces of their own, which end when this script ends, however it does.
in_root() {
  local name environment=(HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY JOBS FUZZ_SECONDS DQNN_ISAS; do
    [ -z "${!name:-}" ] || environment+=("$name=${!name}")
  done
  # shellcheck disable=SC2016
  exec setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child bash -euc '
    mount -t proc proc "$0/proc"
    mount --rbind /sys "$0/sys"
    mount --rbind /dev "$0/dev"
    exec env -i "${@:2}" chroot "$0" bash -c "$1"' "$ROOT" "$1" "${environment[@]}"
}

# step NAME COMMAND: its output goes to the terminal and to a log.
step() {
  local start=$SECONDS status=0
  in_root "$2" > >(tee "$LOGS/$SUITE-$1.log") 2>&1 </dev/null &
  RUNNING=$!
  wait "$RUNNING" || status=$?
  RUNNING=
  RESULTS+=("$(printf '%s: make %s %s in %d s' "$SUITE" "$1" "$([ $status = 0 ] && echo passed || echo FAILED)" $((SECONDS - start)))")
  return $status
}

main() {
  local status=0
  [ -n "$SUITE" ] || die "which suite? make fresh SUITE=bookworm"
  [ "$(id -u)" = 0 ] || die "debootstrap, mount and chroot need root"
  command -v debootstrap >/dev/null || die "please install debootstrap (apt-get install debootstrap)"
  [ -z "$(git status --porcelain)" ] || echo "fresh: what is not committed is not tested" >&2
  mkdir -p "$LOGS"
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  ROOT=$(mktemp -d "${FRESH_DIR:-/var/tmp}/dqnn-$SUITE.XXXXXX")
  chmod 755 "$ROOT"
  echo "$SUITE in $ROOT"
  bootstrap >"$LOGS/$SUITE-bootstrap.log" 2>&1 || die "debootstrap failed, $LOGS/$SUITE-bootstrap.log ends so:"$'\n'"$(tail -n 3 "$LOGS/$SUITE-bootstrap.log")"
  take_over_registries
  git clone --quiet --no-hardlinks . "$ROOT/root/dqnn"
  step demo 'cd ~/dqnn && make demo' || status=1
  step test 'cd ~/dqnn && make test' || status=1
  printf '\n'
  printf '%s\n' "${RESULTS[@]}"
  exit $status
}

main
