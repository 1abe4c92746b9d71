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
awk '$5 ~ /^\/(proc|sys|dev|dev\/pts)?$/ { split($0, half, " - "); split(half[2], fs, " "); printf "  %-8s %s\n", $5, fs[1] }' \
    /proc/self/mountinfo

heading 'A network of its own: nothing but loopback'
sed -n 's/^ *\([^ :]*\):.*/  \1/p' /proc/net/dev

heading 'User ids'
awk '{ printf "  %s inside is %s outside; %s in all\n", $1, $2, $3 }' /proc/self/uid_map

heading 'No more rights than needed'
effective=$((0x$(awk '/^CapEff:/ { print $2 }' /proc/self/status)))
held=
for capability in 5:CAP_KILL 10:CAP_NET_BIND_SERVICE 29:CAP_AUDIT_WRITE; do
    bit=$((1 << ${capability%%:*}))
    if [ $((effective & bit)) -ne 0 ]; then
        held="$held ${capability#*:}"
        effective=$((effective & ~bit))
    fi
done
if [ "$effective" -ne 0 ]; then
    printf 'more capabilities than were asked for: %x\n' "$effective" >&2
    exit 1
fi
echo "Of root's capabilities only:$held."
grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status
echo 'A set-user-ID program gains nothing: no_new_privs is set.'
if [ -s /etc/shadow ] || ls -A /root | grep -q .; then
    echo 'secrets of the host can be seen' >&2
    exit 1
fi
echo 'The shadow file and the homes of others are empty here.'

heading 'What is written'
echo 'hello' >"$1"
echo "$1 says: $(cat "$1")"
