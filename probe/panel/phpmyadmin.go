package panel

import "github.com/komondor/komondor/probe/text"

var phpMyAdmin = text.Daemon{
	Name:     "phpmyadmin",
	About:    "refused logins to phpMyAdmin, by syslog (AuthLog = syslog)",
	Programs: []string{"phpMyAdmin"},
	New:      text.Stateless(readPHPMyAdmin),
}

// readPHPMyAdmin reads "user denied: NAME (WHY) from IP". The address is at the very end.
func readPHPMyAdmin(m *text.Message) bool {
	rest, ok := text.CutPrefix(m.Text, "user denied: ")
	who, addr, ok2 := text.CutLast(rest, " from ")
	user, _, _ := text.CutLast(who, " (")
	return ok && ok2 && refused(m, user, host(addr), 443)
}
