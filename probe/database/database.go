// Package database reads the logs of database servers: refused logins.
package database

import (
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	var formats []text.Format
	for _, d := range []text.Daemon{mysql, mssql, postgresql} {
		formats = append(formats, d.Format())
	}
	return append(formats, mongodbFormat())
}

func hasPrefix(b []byte, prefix string) bool {
	_, ok := text.CutPrefix(b, prefix)
	return ok
}
