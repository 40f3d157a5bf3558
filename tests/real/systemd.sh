#!/bin/sh
# Stands in for systemd-run and systemctl where no systemd runs: units are processes of their own,
# and a minute is four seconds. HOMELAB_UNITS is the folder that remembers them.
units=$HOMELAB_UNITS
program=${0##*/}

run() {
    name=; after=; wait=
    while :; do
        case $1 in
            --unit=*) name=${1#*=} ;;
            --on-active=*) after=${1#*=} ;;
            --wait) wait=1 ;;
            --) shift; break ;;
        esac
        shift
    done
    if [ -n "$after" ]; then
        [ ! -e "$units/$name.timer" ] || exit 1
        echo active > "$units/$name.timer"
        setsid sh -c 'sleep "$1"; [ -e "$2" ] || exit 0; rm -f "$2"; shift 2; exec "$@"' sh \
            "$((after / 15))" "$units/$name.timer" "$@" < /dev/null > "$units/$name.log" 2>&1 &
        exit 0
    fi
    rm -f "$units/$name.rc"
    echo active > "$units/$name.service"
    setsid sh -c 'at=$1; shift; "$@"; rc=$?; rm -f "$at.service"
        [ "$rc" = 0 ] || echo failed > "$at.service"; echo "$rc" > "$at.rc"' sh \
        "$units/$name" "$@" < /dev/null > "$units/$name.log" 2>&1 &
    [ -n "$wait" ] || exit 0
    while [ ! -e "$units/$name.rc" ]; do sleep 0.05; done
    cat "$units/$name.log"
    exit "$(cat "$units/$name.rc")"
}

show() {
    unit=$1
    state=inactive; load=not-found
    [ ! -e "$units/$unit" ] || { state=$(cat "$units/$unit"); load=loaded; }
    case "$*" in
        *--value*) echo "$state" ;;
        *) printf 'LoadState=%s\nActiveState=%s\n' "$load" "$state" ;;
    esac
}

stop() {
    for unit in "$@"; do
        [ -e "$units/$unit" ] || { echo "Unit $unit not loaded." >&2; exit 5; }
        rm -f "$units/$unit"
    done
}

reset() {
    for unit in "$@"; do
        [ ! -e "$units/$unit" ] || [ "$(cat "$units/$unit")" != failed ] || rm -f "$units/$unit"
    done
}

case "$program $1" in
    systemd-run*) run "$@" ;;
    "systemctl show") shift; show "$@" ;;
    "systemctl stop") shift; stop "$@" ;;
    "systemctl reset-failed") shift; reset "$@" ;;
    *) echo "$program $1 is not stood in for" >&2; exit 127 ;;
esac
