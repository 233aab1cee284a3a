#!/bin/sh
# `probe` against itself in a network namespace of its own: every answer it can give, once.
set -u
probe=$1
if [ "${2:-}" != inside ]; then
    unshare --net true 2>/dev/null || { echo "SKIP: cannot make a network namespace"; exit 77; }
    exec unshare --net "$0" "$probe" inside
fi
failures=0
expect() { # expect CODE WORDS command...
    want_code=$1 want=$2
    shift 2
    got=$("$@" 2>&1)
    code=$?
    case "$got" in $want) ok=yes ;; *) ok=no ;; esac
    if [ "$code" -ne "$want_code" ] || [ "$ok" = no ]; then
        echo "FAIL: $*: exit $code, '$got' instead of $want_code, '$want'"
        failures=$((failures + 1))
    fi
}

ip link set lo up
echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range
ip addr add 192.0.2.1/32 dev lo
out=$(mktemp)
server=
trap 'rm -f "$out"; [ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
"$probe" serve --tcp 0 --udp 0 --timeout 60000 --log >"$out" &
server=$!
for _ in $(seq 100); do
    grep -q '^ready' "$out" && break
    sleep 0.05
done
tcp=$(sed -n 's/^tcp \([0-9]*\)$/\1/p' "$out")
udp=$(sed -n 's/^udp \([0-9]*\)$/\1/p' "$out")

for address in 127.0.0.1 ::1; do
    expect 0 ok "$probe" tcp "$address" "$tcp" --count 3
    expect 0 ok "$probe" udp "$address" "$udp" --count 3
    expect 0 ok "$probe" icmp "$address" --count 3
    expect 1 refused "$probe" tcp "$address" 1
    expect 1 refused "$probe" udp "$address" 1
    expect 0 '*udp ok' "$probe" first "$address" "$udp"
    expect 1 'tcp refused udp refused' "$probe" first "$address" 1
    expect 0 '[1-9]*' "$probe" rr "$address" "$tcp" 100
    expect 0 '[1-9]*' "$probe" cr "$address" "$tcp" 20
done
expect 0 ok "$probe" tcp 127.0.0.1 "$tcp" --from 192.0.2.1
grep -q '^tcp from 192.0.2.1 port' "$out" || { echo "FAIL: --from is not used"; failures=$((failures + 1)); }
expect 1 unreachable "$probe" tcp 203.0.113.1 80 --timeout 500
expect 1 unreachable "$probe" icmp 2001:db8::1 --timeout 500
expect 0 'open*closed after*' "$probe" hold 127.0.0.1 "$tcp" --timeout 1500
expect 7 '' "$probe" exit 7
expect 0 'text' "$probe" print text
expect 2 '*usage*' "$probe" tcp 127.0.0.1
expect 2 '*usage*' "$probe" tcp 127.0.0.1 1 --count x
expect 2 '*bad address*' "$probe" tcp localhost 1

# A held connection notices that the server is gone.
"$probe" hold 127.0.0.1 "$tcp" --timeout 20000 >"$out.hold" &
held=$!
for _ in $(seq 100); do
    grep -q '^open' "$out.hold" && break
    sleep 0.05
done
kill "$server"
server=
wait "$held"
code=$?
grep -q '^cut' "$out.hold" && [ "$code" -eq 3 ] || { echo "FAIL: hold: exit $code"; failures=$((failures + 1)); }
rm -f "$out.hold"
[ "$failures" -eq 0 ] && echo "ok"
exit "$((failures > 0))"
