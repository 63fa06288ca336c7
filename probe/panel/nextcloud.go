package panel

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func nextcloudFormat() text.Format {
	return text.Format{
		Name:    "nextcloud",
		Aliases: []string{"owncloud"},
		About:   "nextcloud.log (JSON): refused logins",
		New:     func(c text.Clock) text.Parser { return &nextcloudParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte(`{"reqId":"`)) && text.Contains(line, `"remoteAddr":"`)
		}),
	}
}

type nextcloudParser struct {
	clock  text.Clock
	values [3]text.Value
	buffer []byte
	users  text.Recent
}

var nextcloudFields = []string{"time", "remoteAddr", "message"}

// Parse reads records whose message is "Login failed: NAME (Remote IP: IP)". The address is
// taken from its own field, which Nextcloud believes a proxy's header for only if that is one
// of its trusted_proxies.
func (p *nextcloudParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if !text.Contains(line.Bytes, `"message":"Login failed: `) {
		return ev, false, text.WantObject("nextcloud", line.Bytes)
	}
	p.buffer = p.buffer[:0]
	if err := text.Value(line.Bytes).Fields(nextcloudFields, p.values[:]); err != nil {
		return ev, false, text.Malformed("nextcloud", line.Bytes, err)
	}
	remote, _ := p.values[1].Text(&p.buffer)
	message, _ := p.values[2].Text(&p.buffer)
	user, ok := text.CutPrefix(message, "Login failed: ")
	source, ok2 := text.Address(remote)
	if !ok || !ok2 {
		return ev, false, nil
	}
	user, _, _ = text.CutLast(user, " (Remote IP: ")
	stamp, _ := p.values[0].Text(&p.buffer)
	at, err := p.clock.ISO(stamp)
	if err != nil {
		return ev, false, text.Malformed("nextcloud", line.Bytes, err)
	}
	return event.Event{
		Time: at, Kind: event.HTTPLoginFailed, Severity: event.HTTPLoginFailed.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: source}, Target: event.Endpoint{Port: 443}, User: p.users.String(bytes.Trim(user, "'")),
		Sensor: "nextcloud", File: line.File, Line: line.Number,
	}, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *nextcloudParser) Flush() (ev event.Event, ok bool, err error) { return }
