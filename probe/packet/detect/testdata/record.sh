#!/bin/sh
# Records the captures of this folder: nmap, hping3 and ssh in one network namespace against another
# (as root; needs iproute2, tcpdump, nmap, hping3, openssh, curl and python3). 198.51.100.9 is the attacker;
# 203.0.113.1 to .20 are hosts: on .1 there are an HTTP server on port 80 and sshd on port 22.
set -e
cd "$(dirname "$0")"
a=c2-attacker b=c2-target
trap 'kill $(ip netns pids $a) $(ip netns pids $b) 2>/dev/null; ip netns del $a; ip netns del $b' EXIT
ip netns add $a
ip netns add $b
ip -n $a link add c2a type veth peer name c2b netns $b
ip -n $a addr add 198.51.100.9/24 dev c2a
ip -n $a link set c2a up
ip -n $a route add default via 198.51.100.1
ip -n $b addr add 198.51.100.1/24 dev c2b
ip -n $b link set c2b up
ip -n $b link set lo up
for n in $(seq 20); do ip -n $b addr add 203.0.113.$n/32 dev lo; done
ip netns exec $b sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.ip_forward=0
ip netns exec $b python3 -m http.server 80 --bind 203.0.113.1 --directory /usr/share/common-licenses >/dev/null 2>&1 &
mkdir -p /run/sshd
ip netns exec $b /usr/sbin/sshd -o ListenAddress=203.0.113.1 -o PidFile=none -o MaxStartups=100 -o UseDNS=no
sleep 1

record() { # FILE COMMAND...
	file=$1.pcap
	shift
	ip netns exec $b tcpdump -qni c2b -U -s 120 -w "$file" 'ip and not port 5353' 2>/dev/null &
	sleep 1
	ip netns exec $a "$@" >/dev/null 2>&1 || true
	sleep 2
	kill $(ip netns pids $b | xargs -I{} sh -c 'grep -qs tcpdump /proc/{}/comm && echo {}')
	wait $! || true
}

scan='nmap -n -Pn --max-retries 1 -T4'
record syn $scan -sS -p 1-60,80 203.0.113.1
record connect $scan -sT -p 22,80 203.0.113.1-20
record fin $scan -sF -p 20-40 203.0.113.1
record null $scan -sN -p 20-40 203.0.113.1
record xmas $scan -sX -p 20-40 203.0.113.1
record udp $scan -sU -p 160-180 203.0.113.1
record sweep nmap -n -sn -PE 203.0.113.1-20
record synflood hping3 -q -S -p 80 -c 300 -i u1000 203.0.113.1
record synflood-random hping3 -q -S -p 80 -c 500 -i u1000 --rand-source 203.0.113.2
record icmpflood hping3 -q -1 -c 700 -i u500 203.0.113.1
record udpflood hping3 -q -2 -p 9 -s 5000 -k -c 4000 -i u20 203.0.113.99
record ssh sh -c 'for n in $(seq 10); do ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null nobody@203.0.113.1; done'
record browse sh -c 'for n in $(seq 8); do curl -s http://203.0.113.1/GPL-3 http://203.0.113.1/ http://203.0.113.1/none; done; ping -c 3 203.0.113.1; ping -c 2 203.0.113.2'
gzip -9nf synflood.pcap synflood-random.pcap icmpflood.pcap udpflood.pcap ssh.pcap browse.pcap # what is opened may be compressed
