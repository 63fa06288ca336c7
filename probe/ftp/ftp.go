// Package ftp reads the logs of file servers.
package ftp

import "github.com/komondor/komondor/probe/text"

// Formats lists the formats of this package.
func Formats() []text.Format {
	return []text.Format{vsftpdFormat(), proftpd.Format(), pureFTPd.Format(), sftpgoFormat()}
}
