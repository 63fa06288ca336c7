// Package mail reads the logs of mail servers: SMTP, IMAP and POP3.
package mail

import (
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	var formats []text.Format
	for _, d := range []text.Daemon{postfix, dovecot, exim, courier, cyrus, solidPOP3} {
		formats = append(formats, d.Format())
	}
	return formats
}

// Ports of the services. Whether a session was secured from its beginning on is not told, so
// these stand for 993 and 995 as well.
const (
	portSMTP       = 25
	portPOP3       = 110
	portIMAP       = 143
	portSMTPS      = 465
	portSubmission = 587
	portSieve      = 4190
)

func hasPrefix(b []byte, prefix string) bool {
	_, ok := text.CutPrefix(b, prefix)
	return ok
}
