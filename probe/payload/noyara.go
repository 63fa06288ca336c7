//go:build !yara

package payload

import (
	"errors"
	"time"
)

var errNoLibrary = errors.New("rules: this komondor was built without libyara: run make build where libyara-dev is installed")

// Library names the engine that rules are looked for with; empty in a build without one.
func Library() string { return "" }

func compile([]source, time.Duration) (rules ruleset, warnings []string, err error) {
	return nil, nil, errNoLibrary
}
