package text

import "github.com/komondor/komondor/event"

// Daemon is a service whose evidence is single messages, whether they come by syslog or
// stand in a log of its own.
type Daemon struct {
	Name     string
	Aliases  []string
	About    string
	Programs []string // by the names in syslog's tags; see IsProgram
	// Own splits a line of the daemon's own log: it sets Stamp, ISO and Message. Nil
	// where there is none.
	Own func(m *Message, line []byte) bool
	// New makes a reader for one source. It gets a message with the header and the text,
	// and fills in what the message is evidence of: at least Kind and Source. ok is
	// false if it is evidence of nothing.
	New func() func(m *Message) (ok bool)
}

// Message is what a daemon says, and what its reader finds in it.
type Message struct {
	Header
	Text []byte // the message without what syslog daemons wrap around it

	Kind           event.Kind
	Source, Target event.Endpoint
	// Proof is Handshake unless the reader says otherwise, and Protocol "tcp".
	Proof    event.Proof
	Protocol string
	Count    int
	// User, Attempt and Detail are not yet valid text; Remark is a detail in our own words.
	User, Attempt, Detail []byte
	Remark                string

	// Buffer is for what a daemon's own header has to be turned into. OwnStamp uses stamp.
	Buffer []byte
	stamp  [40]byte
}

// Format makes a format of a daemon.
func (d Daemon) Format() Format {
	return Format{
		Name: d.Name, Aliases: d.Aliases, About: d.About, Programs: d.Programs,
		New: func(c Clock) Parser { return &daemonParser{Daemon: d, clock: HeaderClock{Clock: c}, read: d.New()} },
		Recognise: func(sample []byte) int {
			p := &daemonParser{Daemon: d}
			return EachLine(func(line []byte) bool {
				if !p.split(line) {
					return false
				}
				_, err := p.clock.Read(&p.message.Header)
				return err == nil
			})(sample)
		},
	}
}

type daemonParser struct {
	Daemon
	clock   HeaderClock
	read    func(m *Message) bool
	message Message // kept here, so that lines without evidence cost no allocation
	users   Recent
	details Recent
	pids    Recent
}

func (p *daemonParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	if !p.split(line.Bytes) {
		return ev, false, nil
	}
	m := &p.message
	m.Kind, m.Source, m.Target = "", event.Endpoint{}, event.Endpoint{}
	m.Proof, m.Protocol, m.Count = event.Handshake, "tcp", 1
	m.User, m.Attempt, m.Detail, m.Remark = nil, nil, nil, ""
	repeated, text := Repetitions(m.Message)
	if m.Text = text; !p.read(m) {
		return ev, false, nil
	}
	if ev.Time, err = p.clock.Read(&m.Header); err != nil {
		return event.Event{}, false, Malformed(p.Name, line.Bytes, err)
	}
	ev.Kind, ev.Severity, ev.Count = m.Kind, m.Kind.Severity(), m.Count*repeated
	ev.Source, ev.Target, ev.Proof, ev.Protocol = m.Source, m.Target, m.Proof, m.Protocol
	ev.User, ev.Attempt, ev.Detail = p.users.String(m.User), p.pids.String(m.Attempt), m.Remark
	if m.Detail != nil {
		ev.Detail = p.details.String(m.Detail)
	}
	ev.Sensor, ev.File, ev.Line = p.Name, line.File, line.Number
	return ev, true, nil
}

// Flush has nothing to return: every message is one line.
func (p *daemonParser) Flush() (ev event.Event, ok bool, err error) { return }

// split finds the message in a line of syslog's, or else of the daemon's own log.
func (p *daemonParser) split(line []byte) bool {
	m := &p.message
	m.Header = Header{}
	if len(p.Programs) > 0 && m.Split(line) && IsProgram(m.Process, p.Programs) {
		return true
	}
	if p.Own == nil {
		return false
	}
	m.Header = Header{}
	return p.Own(m, line) && len(m.Stamp) > 0
}

// IsProgram tells whether a syslog tag is that of one of the programs. Behind the name
// can stand a part of the program ("postfix/smtpd", "vsftpd(pam_unix)"); a name that ends
// in a hyphen goes on with that of an instance ("ovpn-office").
func IsProgram(tag []byte, programs []string) bool {
	for _, name := range programs {
		if rest, ok := CutPrefix(tag, name); ok && (len(rest) == 0 || rest[0] == '/' || rest[0] == '(' || name[len(name)-1] == '-') {
			return true
		}
	}
	return false
}

// Stateless is the New of daemons whose reader keeps nothing.
func Stateless(read func(m *Message) bool) func() func(m *Message) bool {
	return func() func(m *Message) bool { return read }
}
