package panel

import "github.com/komondor/komondor/probe/text"

var pfsense = text.Daemon{
	Name:     "pfsense-gui",
	Aliases:  []string{"pfsense-webgui"},
	About:    "refused logins to the web interface of pfSense, by syslog",
	Programs: []string{"php-fpm"},
	New:      text.Stateless(readPfSense),
}

// readPfSense reads "PAGE: webConfigurator authentication error for user 'NAME' from: IP". The
// address is at the very end.
func readPfSense(m *text.Message) bool {
	who, addr, ok := text.CutLast(m.Text, "' from: ")
	page, user, ok2 := text.CutOnce(who, ": webConfigurator authentication")
	user, ok3 := text.CutPrefix(user, " error for user '")
	return ok && ok2 && ok3 && hasPrefix(page, "/") && refused(m, user, host(addr), 443)
}
