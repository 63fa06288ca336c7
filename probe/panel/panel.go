// Package panel reads what administration panels and applications on the web say about
// refused logins.
package panel

import (
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	var formats []text.Format
	for _, d := range []text.Daemon{webmin, pfsense, proxmox, phpMyAdmin, gitea} {
		formats = append(formats, d.Format())
	}
	return append(formats, nextcloudFormat())
}

// refused fills in a refused login at a panel.
func refused(m *text.Message, user []byte, from event.Endpoint, port uint16) bool {
	m.Kind, m.User, m.Source, m.Target.Port = event.HTTPLoginFailed, user, from, port
	return from.Addr.IsValid()
}

// host is an endpoint without a port; invalid if b is no address.
func host(b []byte) (e event.Endpoint) {
	e.Addr, _ = text.Address(b)
	return e
}

func hasPrefix(b []byte, prefix string) bool {
	_, ok := text.CutPrefix(b, prefix)
	return ok
}
