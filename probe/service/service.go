// Package service reads the logs of services that are neither mail, files, databases nor the
// web: name servers, telephone exchanges, VPNs, file shares, and PAM for those that
// have no log of their own here.
package service

import (
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	var formats []text.Format
	for _, d := range []text.Daemon{named, asterisk, openvpn, samba, pam} {
		formats = append(formats, d.Format())
	}
	return formats
}

func hasPrefix(b []byte, prefix string) bool {
	_, ok := text.CutPrefix(b, prefix)
	return ok
}
