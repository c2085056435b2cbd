#!/bin/bash
# as-tester COMMAND...: runs a command as the ordinary user `tester`, in a scope of that user's own systemd with all the
# cgroup controllers delegated to it.
export XDG_RUNTIME_DIR=/run/user/1000
until [ -S "$XDG_RUNTIME_DIR/bus" ]; do read -rt 0.2 _ <> <(:); done
exec setpriv --reuid=1000 --regid=1000 --init-groups --reset-env \
    env XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" DBUS_SESSION_BUS_ADDRESS="unix:path=$XDG_RUNTIME_DIR/bus" \
    systemd-run --user --scope --quiet --property=Delegate=yes -- "$@"
