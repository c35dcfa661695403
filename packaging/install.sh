#!/usr/bin/env bash
# Installs DPMP as a systemd service, from a program file that you built or downloaded. Run it as root:
#
#   install.sh [--dry-run] PROGRAM       install, or upgrade (keeps the old program as dpmp.old)
#   install.sh [--dry-run] --uninstall   remove program and service; configuration, totals and logs stay
#
# --dry-run only shows the steps. Configuration, state and logs are in /var/lib/dpmp; this script never changes them.
# DPMP creates them at its first start.
set -euo pipefail

program=/usr/local/bin/dpmp
unit=/etc/systemd/system/dpmp.service
source_unit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/dpmp.service

fail() { echo "install.sh: $*" >&2; exit 1; }
run() { echo "  $*"; if [ "$dry" = no ]; then "$@"; fi; }

dry=no
if [ "${1-}" = --dry-run ]; then dry=yes; shift; fi
case ${1-} in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit ;; esac
[ $# -eq 1 ] || fail "put --dry-run first, then a program file to install, or --uninstall (see install.sh --help)"
[ "$dry" = yes ] || [ "$(id -u)" = 0 ] || fail "this needs root: sudo $0 $*"
[ "$dry" = yes ] || [ -d /run/systemd/system ] || fail "systemd is not running on this computer"
[ ! -e /usr/bin/dpmp ] || fail "DPMP is installed as a Debian package; use apt, or remove it first: apt remove dpmp"

if [ "$1" = --uninstall ]; then
    [ ! -e "$unit" ] || run systemctl disable --now dpmp.service
    run rm -f "$unit" "$program" "$program.old"
    run systemctl daemon-reload
    [ "$dry" = yes ] || echo "DPMP is removed. Its data stays in /var/lib/dpmp; to delete it: rm -r /var/lib/dpmp /var/lib/private/dpmp"
    exit
fi

[ -f "$1" ] || fail "there is no file $1"
[ -f "$source_unit" ] || fail "dpmp.service must be next to this script"
run install -m 755 "$1" "$program.new"
run "$program.new" --version || { rm -f "$program.new"; fail "$1 does not run on this computer"; }
[ "$dry" = yes ] || case $("$program.new" --version) in
    "dpmp "*) ;;
    *) rm -f "$program.new"; fail "$1 is not DPMP" ;;
esac
[ -e "$unit" ] && known=yes || known=no
[ ! -e "$program" ] || cmp -s "$1" "$program" || run cp -p "$program" "$program.old"
run mv "$program.new" "$program"
run install -m 644 "$source_unit" "$unit"
run sed -i "s#^ExecStart=/usr/bin/dpmp#ExecStart=$program#" "$unit"
run systemctl daemon-reload
if [ "$known" = no ]; then run systemctl enable --quiet dpmp.service; fi
# Leave a disabled service off.
if [ "$known" = no ] || systemctl is-enabled --quiet dpmp.service; then run systemctl restart dpmp.service; fi
[ "$dry" = yes ] && exit
sleep 3
if [ "$(systemctl show --property NRestarts --value dpmp.service)" != 0 ]; then
    journalctl --unit dpmp --no-pager --lines 5 >&2
    fail "DPMP is installed but does not start: see above"
fi
echo "Open http://$(uname -n):8855/ in a browser. Status: systemctl status dpmp. Log: journalctl -u dpmp"
