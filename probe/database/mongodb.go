package database

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func mongodbFormat() text.Format {
	return text.Format{
		Name:    "mongodb",
		Aliases: []string{"mongod"},
		About:   "MongoDB's log (JSON, from 4.4): refused logins",
		New:     func(c text.Clock) text.Parser { return &mongodbParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte(`{"t":{"$date":`))
		}),
	}
}

// mongodbParser reads records of the component ACCESS (Log Messages, MongoDB's manual).
type mongodbParser struct {
	clock  text.Clock
	record [3]text.Value
	attr   [6]text.Value
	date   [1]text.Value
	buffer []byte
	users  text.Recent
}

var (
	mongodbFields = []string{"t", "msg", "attr"}
	mongodbAttr   = []string{"remote", "client", "principalName", "user", "mechanism", "error"}
	mongodbDate   = []string{"$date"}
)

func (p *mongodbParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if !text.Contains(line.Bytes, `"c":"ACCESS"`) {
		return ev, false, text.WantObject("mongodb", line.Bytes)
	}
	if !text.Contains(line.Bytes, `"msg":"Authentication failed"`) && !text.Contains(line.Bytes, `"msg":"Failed to authenticate"`) {
		return ev, false, nil
	}
	p.buffer = p.buffer[:0]
	if err := text.Value(line.Bytes).Fields(mongodbFields, p.record[:]); err != nil {
		return ev, false, text.Malformed("mongodb", line.Bytes, err)
	}
	if err := p.record[2].Fields(mongodbAttr, p.attr[:]); err != nil {
		return ev, false, text.Malformed("mongodb", line.Bytes, err)
	}
	peer := p.attr[0]
	if peer == nil {
		peer = p.attr[1]
	}
	remote, _ := peer.Text(&p.buffer)
	from, ok := text.HostPort(remote)
	if !ok {
		return ev, false, nil
	}
	name := p.attr[2]
	if name == nil {
		name = p.attr[3]
	}
	user, _ := name.Text(&p.buffer)
	var stamp []byte
	if p.record[0].Fields(mongodbDate, p.date[:]) == nil {
		stamp, _ = p.date[0].Text(&p.buffer)
	}
	at, err := p.clock.ISO(stamp)
	if err != nil {
		return ev, false, text.Malformed("mongodb", line.Bytes, err)
	}
	return event.Event{
		Time: at, Kind: event.SQLLoginFailed, Severity: event.SQLLoginFailed.Severity(), Count: 1,
		Source: from, Target: event.Endpoint{Port: 27017}, Proof: event.Handshake, Protocol: "tcp",
		User: p.users.String(user), Sensor: "mongodb", File: line.File, Line: line.Number,
	}, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *mongodbParser) Flush() (ev event.Event, ok bool, err error) { return }
