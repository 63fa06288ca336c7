#!/bin/bash
# One host of the recording, in a mount and UTS namespace of its own: host.sh N runs rsyslogd and sshd on 192.0.2.N:22.
set -euo pipefail

n=$1
here=$(cd "$(dirname "$0")" && pwd)
run=/run/host$n

hostname "host$n"
mkdir -p "$run/dev" "$run/etc"
mount --bind /run/passwd /etc/passwd
mount --bind /run/shadow /etc/shadow

# A /dev of its own, so that /dev/log leads to this host's rsyslogd.
mount -t tmpfs tmpfs "$run/dev"
for device in null zero random urandom; do
	touch "$run/dev/$device"
	mount --bind "/dev/$device" "$run/dev/$device"
done
mount --move "$run/dev" /dev

mount --bind "$run" /var/log
rsyslogd -n -f "$here/rsyslog.conf" -i "$run/rsyslogd.pid" &
while [[ ! -S /dev/log ]]; do sleep 0.1; done

ssh-keygen -q -t ed25519 -N '' -f "$run/etc/host_key"
exec /usr/sbin/sshd -D -f "$here/sshd_config" -o "HostKey=$run/etc/host_key" -o "ListenAddress=192.0.2.$n" -o "PidFile=$run/sshd.pid"
