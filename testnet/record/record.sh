#!/bin/bash
# Records testdata/worm again: a worm walks over three hosts, each of which sees too little of it to block it.
# The hosts, the worm and a user live in namespaces that end with this script; the machine outside is not touched.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$here/../testdata/worm
pause=${PAUSE:-5} # seconds between two attempts

if [[ ${1-} != inside ]]; then
	for tool in sshd rsyslogd ssh ssh-keygen openssl ip unshare; do
		command -v "$tool" >/dev/null || { echo "record: $tool is missing: apt-get install openssh-server rsyslog openssl iproute2 util-linux" >&2; exit 1; }
	done
	exec unshare --net --mount --uts --pid --fork --kill-child --mount-proc "$0" inside
fi

worm=203.0.113.66
user=198.51.100.20
export TZ=UTC SSH_ASKPASS=$here/askpass.sh SSH_ASKPASS_REQUIRE=force PASSWORDS=/run/passwords

ip link set lo up
for address in 192.0.2.{1,2,3} "$worm" "$user"; do
	ip address add "$address/32" dev lo
done

mount -t tmpfs tmpfs /run
mkdir /run/sshd # where sshd confines its unprivileged half
cp -p /etc/passwd /etc/shadow /run
echo 'alice:x:2000:2000::/tmp:/bin/sh' >>/run/passwd
echo "alice:$(openssl passwd -6 'correct horse'):19000::::::" >>/run/shadow

for n in 1 2 3; do
	unshare --uts --mount "$here/host.sh" "$n" &
done
for n in 1 2 3; do
	for ((i = 0; ; i++)); do
		grep -qs 'Server listening' "/run/host$n/auth.log" && break
		((i < 100)) || { echo "record: host$n does not listen after 10 s" >&2; exit 1; }
		sleep 0.1
	done
done

# login SOURCE USER HOST PASSWORD... opens one connection and tries the passwords on it.
login() {
	printf '%s\n' "${@:4}" >"$PASSWORDS"
	ssh -F none -b "$1" -o PreferredAuthentications=password -o NumberOfPasswordPrompts=$(($# - 3)) \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=QUIET \
		"$2@192.0.2.$3" true
}

attack() {
	sleep "$pause"
	if login "$worm" "$@"; then echo "record: the worm got in as $1 on host$2" >&2; exit 1; fi
}

attack root   1 root 123456
attack admin  2 admin password
attack oracle 3 oracle
attack test   1 test test123
attack root   2 toor
sleep "$pause"
login "$user" alice 2 'correct hrose' 'correct horse'
attack ubuntu 3 ubuntu
attack pi     1 raspberry
attack user   2 user
attack root   3 password 12345

sleep 1 # rsyslogd has written the last line by then
for n in 1 2 3; do
	install -m 644 "/run/host$n/auth.log" "$out/host$n.log"
done
echo "recorded $(date --iso-8601) with $(ssh -V 2>&1 | cut -d, -f1), $(rsyslogd -v | head -1 | cut -d' ' -f1,3)"
