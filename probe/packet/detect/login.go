package detect

import (
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
)

const sshPort = 22

// login is the short sessions of one client with one encrypted service.
type login struct {
	bucket
	count int32
	size  float64 // of what clients sent: their mean, the newest weighing most
	milestone
}

type loginKey struct {
	client, server host
	port           uint16
}

func (k loginKey) hash(seed uint64) uint64 {
	return mix(k.server.hash(k.client.hash(seed)), uint64(k.port))
}

// Of a session in which passwords are tried: how long it lasts (sshd allows 120 s), what the
// client sends (key exchange and a few passwords) and what the server sends at most.
const (
	loginLasts    = 2 * time.Minute
	loginLeast    = 400 // bytes; less has not got as far as a password
	loginMost     = 16 << 10
	loginAnswered = 64 << 10
)

// session looks at a connection that has ended. What is said in an encrypted one cannot be
// read, but guesses resemble one another: a client that goes through many short sessions in which
// it sends about as much each time is going through a list.
func (d *Detector) session(place int32) {
	f := d.flows.value(place)
	client, server, clientPort, port := d.flows.key(place).ends(f.clientLow)
	limit := d.config.Sessions
	switch port {
	case 3389:
	case 465, 636, 989, 990, 992, 993, 995, 5986:
		limit.Rate, limit.Burst = 4*limit.Rate, 4*limit.Burst
	default:
		if !f.ssh {
			return
		}
	}
	if d.now-f.begun > int64(loginLasts) || f.clientBytes < loginLeast || f.clientBytes > loginMost ||
		f.serverBytes == 0 || f.serverBytes > loginAnswered {
		return
	}
	k := loginKey{client, server, port}
	i := d.logins.find(k)
	if i == 0 {
		i = d.logins.add(k, passing)
		d.logins.value(i).size = float64(f.clientBytes)
	} else {
		d.logins.renew(i, passing)
	}
	l := d.logins.value(i)
	size := float64(f.clientBytes)
	alike := size > 0.7*l.size && size < 1.3*l.size
	l.size += (size - l.size) / 4
	if !alike {
		return
	}
	if l.pour(1, d.now, limit) < limit.Burst {
		if l.level <= 1 {
			l.count, l.milestone = 0, milestone{}
		}
		l.count++
		return
	}
	l.count++
	if news := l.reached(l.count, int32(limit.Burst)); news > 0 {
		d.tell(event.Event{
			Time: d.at(d.now), Kind: event.BruteForce, Source: addrPort(client, clientPort), Target: addrPort(server, port),
			Count: int(news), Proof: f.proof(), Protocol: "tcp",
			Detail: fmt.Sprintf("%d short sessions of like size", l.count),
		}, f.number)
	}
}

// lost reports an SSH session that was reset in the middle.
func (d *Detector) lost(place int32, byClient bool) {
	by := "the server"
	if byClient {
		by = "the client"
	}
	d.tellLost(place, "reset by "+by)
}

// lostByTimeout reports an SSH session in which one side went on sending and got no
// answer any more.
func (d *Detector) lostByTimeout(place int32) {
	const repeated = 3
	if f := d.flows.value(place); f.state == established && f.unanswered >= repeated {
		d.tellLost(place, fmt.Sprintf("no answer to the last %d packets", f.unanswered))
	}
}

func (d *Detector) tellLost(place int32, why string) {
	f, k := d.flows.value(place), d.flows.key(place)
	client, server, clientPort, port := k.ends(f.clientLow)
	if !f.ssh || f.serverBytes == 0 {
		return
	}
	if news := d.notify(noticeKey{source: client, target: server, kind: lostSession}, 1); news > 0 {
		d.tell(event.Event{
			Time: d.at(d.now), Kind: event.ConnectionLost, Source: addrPort(client, clientPort), Target: addrPort(server, port),
			Count: news, Proof: f.proof(), Protocol: "tcp", Detail: why,
		}, f.number)
	}
}
