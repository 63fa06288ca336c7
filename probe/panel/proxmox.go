package panel

import (
	"bytes"

	"github.com/komondor/komondor/probe/text"
)

var proxmox = text.Daemon{
	Name:     "proxmox",
	Aliases:  []string{"pvedaemon"},
	About:    "refused logins to Proxmox VE and its backup server, by syslog",
	Programs: []string{"pvedaemon", "pveproxy", "proxmox"},
	New:      text.Stateless(readProxmox),
}

// readProxmox reads "authentication failure; rhost=IP user=NAME msg=…".
func readProxmox(m *text.Message) bool {
	rest, ok := text.CutPrefix(m.Text, "authentication failure; rhost=")
	addr, rest, ok2 := bytes.Cut(rest, []byte(" "))
	user, _ := text.CutPrefix(rest, "user=")
	user, _, _ = text.CutLast(user, " msg=")
	addr = bytes.TrimSuffix(bytes.TrimPrefix(addr, []byte("[")), []byte("]"))
	return ok && ok2 && refused(m, user, host(addr), 8006)
}
