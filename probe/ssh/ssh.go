// Package ssh reads what SSH servers log by syslog: OpenSSH and Dropbear.
package ssh

import "github.com/komondor/komondor/probe/text"

// Formats lists the formats of this package.
func Formats() []text.Format { return []text.Format{sshdFormat(), dropbear.Format()} }
