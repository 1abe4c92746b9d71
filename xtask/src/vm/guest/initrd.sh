#!/bin/busybox sh
# The first program of the machine: finds the root disk by its serial number and hands over to systemd, or to what the
# kernel's command line calls `first`, which the kernel makes a variable. Debian's own initrd would do the same, ten
# seconds later.
busybox=/bin/busybox
$busybox mount -t devtmpfs devtmpfs /dev
$busybox mount -t sysfs sysfs /sys
$busybox insmod /virtio_blk.ko
root=
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    for disk in /sys/block/vd*; do
        if [ "$($busybox cat "$disk/serial" 2>/dev/null)" = root ]; then
            root=/dev/${disk##*/}
        fi
    done
    [ -z "$root" ] || break
    $busybox sleep 0.1
done
$busybox mount -t ext4 "$root" /root || exec $busybox poweroff -f
$busybox umount /sys
$busybox mount --move /dev /root/dev
exec $busybox switch_root /root "${first:-/sbin/init}"
