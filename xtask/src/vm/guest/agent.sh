#!/bin/bash
# Runs the host's command. The consoles: hvc0 is its output and hvc1 tells the host how far it is. The disks, by their
# serial numbers: what the host sends, and what it gets back.
set -u
input=/dev/disk/by-id/virtio-input
output=/dev/disk/by-id/virtio-output

wait_for_system() {
    systemctl is-system-running --wait >/dev/null
}

# Sets `place`: what runs the command where it belongs. In a leaf of the delegated cgroup: one that has controllers for
# others may not have processes.
place_command() {
    place=(systemd-run --quiet --wait --collect --property=Delegate=yes --property=DelegateSubgroup=command)
    place+=(--working-directory=/share --setenv="PATH=$PATH")
    if [ "$user" != root ]; then
        uid=$(id -u "$user")
        chown -R "$user" /share
        chown "$user" /dev/hvc0
        place=(runuser --user "$user" -- env "XDG_RUNTIME_DIR=/run/user/$uid" "${place[@]}")
        place+=(--user --setenv="XDG_RUNTIME_DIR=/run/user/$uid")
    else
        place+=(--setenv=HOME=/root)
    fi
    if [ -n "$terminal" ]; then
        stty -F /dev/hvc0 $terminal
        place+=(--pty --setenv="TERM=$TERM")
    else
        place+=(--pipe)
    fi
}

# In the bare machine the agent is the first program itself, and these two are others.
[ $$ != 1 ] || . /usr/local/sbin/masu-bare
wait_for_system
stty -F /dev/hvc0 raw -echo
stty -F /dev/hvc1 raw -echo
mkdir -p /out /share
chmod 1777 /out
# The machine is saved at this point and continued any number of times, each with another disk beneath.
echo READY > /dev/hvc1
until dd if=$input bs=4096 count=1 iflag=direct status=none | grep -q ustar; do sleep 0.1; done
dd if=$input bs=1M iflag=direct status=none | tar --extract --directory / --warning=no-timestamp

# user, now, terminal (the words of stty that set its size; empty without one)
. /vm/settings
date --set "@$now" >/dev/null
place_command
"${place[@]}" /vm/command < /dev/hvc0 > /dev/hvc0 2>&1
status=$?

if [ -n "$(ls -A /out)" ]; then
    tar --create --file $output --directory /out .
fi
sync
echo "STATUS $status" > /dev/hvc1
echo o > /proc/sysrq-trigger
sleep infinity
