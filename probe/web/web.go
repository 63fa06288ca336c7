// Package web reads the logs of web servers, and of the proxies before them.
package web

import "github.com/komondor/komondor/probe/text"

// Formats lists the formats of this package.
func Formats() []text.Format {
	return []text.Format{accessFormat(), errorFormat(), traefikFormat(), haproxyFormat(), proxyManagerFormat(), iisFormat()}
}
