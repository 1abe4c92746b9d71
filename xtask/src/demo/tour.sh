# Runs inside the container: sh -c THIS tour FILE
set -eu
heading() { printf '\n== %s\n' "$1"; }

heading 'Inside a container'
. /etc/os-release
echo "The root is this machine's own ($PRETTY_NAME), read-only below; a tmpfs takes what is written."

heading 'A hostname of its own'
cat /proc/sys/kernel/hostname

heading 'PID 1, and nobody else'
echo "This shell is process $$. All processes:"
if command -v ps >/dev/null; then
    ps -e -o pid,ppid,comm
else
    for status in /proc/[0-9]*/status; do
        awk '/^Name:/ { name = $2 } /^Pid:/ { print $2, name }' "$status" 2>/dev/null || true
    done
fi

heading 'Mounts of its own'
echo "$(wc -l </proc/self/mountinfo) of them; those on the root and the kernel's file systems:"
awk '$5 ~ /^\/(|proc|sys|dev|dev\/pts)$/ { split($0, half, " - "); split(half[2], fs, " "); print "  " $5, fs[1] }' \
    /proc/self/mountinfo

heading 'A network of its own: nothing but loopback'
sed -n 's/^ *\([^ :]*\):.*/  \1/p' /proc/net/dev

heading 'User ids (inside, outside, how many)'
cat /proc/self/uid_map

heading 'No more rights than needed'
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
if [ -s /etc/shadow ] || ls -A /root | grep -q .; then
    echo 'secrets of the host can be seen' >&2
    exit 1
fi
echo 'The shadow file and the homes of others are empty here.'

heading 'What is written'
echo 'hello' >"$1"
ls -l "$1"
