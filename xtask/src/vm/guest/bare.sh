# The agent's other half in the machine without systemd, whose kernel has what the other machines' cannot have at the same
# time: SELinux in force, and hierarchies of version 1 beside the unified one.

# Not the kernel's, which has no /usr/local.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin

wait_for_system() {
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t selinuxfs selinuxfs /sys/fs/selinux
    # In one piece, as the kernel takes it. From here on every process and every file has a label.
    dd if=/etc/masu.policy of=/sys/fs/selinux/load bs=1M status=none
    mount_cgroups
    mkdir /dev/pts /dev/shm /dev/mqueue
    mount -t devpts devpts /dev/pts
    mount -t mqueue mqueue /dev/mqueue
    for directory in /dev/shm /run /tmp; do
        mount -t tmpfs -o mode=1777 tmpfs $directory
    done
    ln -s /proc/self/fd /dev/fd
    mkdir -p /dev/disk/by-id
    for disk in /sys/block/vd*; do
        ln -s "/dev/${disk##*/}" "/dev/disk/by-id/virtio-$(cat "$disk/serial")"
    done
    modprobe virtio_console
    ip link set lo up
}

# The hybrid layout of cgroups(7): what version 2 has no controllers for, and what no runtime does without on version 1.
mount_cgroups() {
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    for controllers in devices net_cls,net_prio; do
        mkdir /sys/fs/cgroup/$controllers
        mount -t cgroup -o $controllers cgroup /sys/fs/cgroup/$controllers
    done
    mount -o remount,ro /sys/fs/cgroup
}

place_command() {
    place=(env --chdir=/share HOME=/root)
}
