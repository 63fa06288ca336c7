// Package ids reads the alerts of Snort and Suricata.
package ids

import "github.com/komondor/komondor/probe/text"

// Formats lists the formats of this package.
func Formats() []text.Format {
	return []text.Format{suricataFormat(), snortJSONFormat(), snortFastFormat(), snortFullFormat()}
}
