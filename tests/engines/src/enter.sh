# Makes this process's namespaces the world of the engines, and goes on as their tests. The process is alone in new
# mount, network, pid and cgroup namespaces; whatever is mounted, bridged or started here goes with them.
#
#     enter.sh DIR RUNTIME unified|v1|hybrid COMMAND…
set -eu
dir=$1 runtime=$2 layout=$3
shift 3

mount -t proc proc /proc
ip link set lo up

# The hierarchies anew, so that their roots are this cgroup namespace's.
mkdir "$dir/cgroup"
if [ "$layout" = unified ]; then
    mount -t cgroup2 cgroup2 "$dir/cgroup"
else
    mount -t tmpfs -o size=1m,mode=755 cgroup_root "$dir/cgroup"
    for hierarchy in /sys/fs/cgroup/*/; do
        name=$(basename "$hierarchy")
        if [ -L "${hierarchy%/}" ]; then # cpu -> cpu,cpuacct
            cp -P "${hierarchy%/}" "$dir/cgroup/"
            continue
        fi
        case $name in
        unified) type=cgroup2 options=rw ;;
        systemd) type=cgroup options=none,name=systemd ;;
        *) type=cgroup options=$name ;;
        esac
        # crun refuses to work where there is a unified hierarchy beside the others.
        if [ "$name" != unified ] || [ "$layout" = hybrid ]; then
            mkdir "$dir/cgroup/$name"
            mount -t "$type" -o "$options" cgroup "$dir/cgroup/$name"
        fi
    done
fi
mount --rbind "$dir/cgroup" /sys/fs/cgroup
umount --recursive --lazy "$dir/cgroup"

# Where engines have their files by default. What they write, and what is configured, stays in here.
mkdir -p "$dir/etc.upper" "$dir/etc.work" "$dir/lib" "$dir/opt" "$dir/home"
mount -t overlay -o "lowerdir=/etc,upperdir=$dir/etc.upper,workdir=$dir/etc.work" overlay /etc
mount --bind "$dir/lib" /var/lib
mount --bind "$dir/opt" /opt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
# podman's locks are there, under one name for the whole machine.
mount -t tmpfs -o mode=1777 tmpfs /dev/shm

# The runtime under test, where an administrator would put it. Other programs there are none of Debian's.
mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
mount -t tmpfs -o mode=755 tmpfs /usr/local/sbin
cp "$runtime" /usr/local/bin/
chmod 755 /usr/local/bin/*
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$dir/home"

# An ordinary user's engine needs two devices that are root's here.
mknod -m 666 "$dir/fuse" c 10 229
mount --bind "$dir/fuse" /dev/fuse
if [ -e /dev/net/tun ]; then
    mknod -m 666 "$dir/tun" c 10 200
    mount --bind "$dir/tun" /dev/net/tun
fi

# Conmon and the shims leave their children to the first process of the pid namespace: tini reaps them.
exec tini -s -- "$@"
