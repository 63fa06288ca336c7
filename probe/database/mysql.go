package database

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var mysql = text.Daemon{
	Name:     "mysql",
	Aliases:  []string{"mariadb", "mysqld"},
	About:    "error logs of MySQL and MariaDB, also by syslog: refused logins (log_error_verbosity 3, log_warnings 2)",
	Programs: []string{"mysqld", "mariadbd", "mysqld_safe"},
	Own:      ownMySQL,
	New:      func() func(m *text.Message) bool { return (&mysqlReader{}).read },
}

// ownMySQL splits the timestamps of four generations:
//
//	2026-01-02T15:04:05.000000Z N [Note] …   MySQL 5.7 and later
//	2026-01-02  5:04:05 N [Warning] …        MariaDB
//	2026-01-02 15:04:05 N [Warning] …        MySQL 5.6, MariaDB
//	260102  5:04:05 [Warning] …              before
func ownMySQL(m *text.Message, line []byte) (ok bool) {
	if len(line) > 16 && line[6] == ' ' && line[9] == ':' {
		m.ISO, m.Stamp = true, append(append(append(m.Buffer[:0], "20"...), line[:2]...), '-')
		m.Stamp = append(append(append(append(m.Stamp, line[2:4]...), '-'), line[4:6]...), 'T')
		m.Stamp, m.Message = append(m.Stamp, line[7:15]...), text.TrimBlanks(line[15:])
	} else if m.Message, ok = m.OwnStamp(line); !ok || line[4] != '-' {
		return false
	}
	_, rest := text.Digits(text.TrimBlanks(m.Message)) // the connection
	return hasPrefix(text.TrimBlanks(rest), "[")
}

// mysqlReader knows whether the log is MariaDB's.
type mysqlReader struct {
	mariadb bool
}

// read reads "… Access denied for user 'NAME'@'HOST' (using password: YES)". The name is the
// client's choice; nothing of theirs comes after the host in this form, as it does where a
// database is named, so the host is looked for from the end.
//
// Both servers write the name as it came, line breaks too. MySQL's names have 32
// characters, too few for a host and the end of a line; MariaDB's have 128, and a
// client can write whole lines of the log with one. So no address in it is proven.
func (r *mysqlReader) read(m *text.Message) bool {
	stamp := m.Stamp
	if len(m.Process) > 0 {
		stamp = m.Text // syslog's header is before MySQL's own
	}
	if len(stamp) < 20 || stamp[10] != 'T' || stamp[19] != '.' {
		r.mariadb = true // or MySQL before 5.7
	}
	who, ok := text.CutSuffix(m.Text, "' (using password: YES)")
	if !ok {
		if who, ok = text.CutSuffix(m.Text, "' (using password: NO)"); !ok {
			return false
		}
	}
	_, who, ok = bytes.Cut(who, []byte("] Access denied for user '"))
	if !ok {
		// MySQL 8 names the error and the part of the server first.
		if _, who, ok = bytes.Cut(m.Text[:len(m.Text)-len("' (using password: NO)")], []byte("Access denied for user '")); !ok {
			return false
		}
	}
	user, host, ok := text.CutLast(who, "'@'")
	if !ok {
		return false
	}
	host = bytes.TrimSuffix(host, []byte("'"))
	m.Kind, m.User, m.Target.Port = event.SQLLoginFailed, user, 3306
	if r.mariadb || len(host) < len("1.1.1.1") {
		m.Proof = event.Spoofable
	}
	m.Source.Addr, ok = text.Address(host)
	return ok
}
