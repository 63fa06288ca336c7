package web

import (
	"bytes"

	"github.com/komondor/komondor/event"
)

// scanner looks at the agent's name, in which scanners say what they are that do not hide.
func (r *webRecord) scanner() (webFinding, bool) {
	_, referer, ok := bytes.Cut(r.rest, []byte(`"`))
	if !ok {
		return webFinding{}, false // a log without agents
	}
	end := closingQuote(referer)
	if end < 0 || end+2 >= len(referer) || referer[end+2] != '"' {
		return webFinding{}, false
	}
	agent := referer[end+3:]
	if end = closingQuote(agent); end < 0 {
		return webFinding{}, false
	}
	if agent = agent[:end]; browser(agent) {
		return webFinding{}, false
	}
	var room [maxAgent]byte
	lower := room[:copy(room[:], agent)]
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	for _, name := range scanners {
		if bytes.Contains(lower, name) {
			return webFinding{event.HTTPScan, string(name)}, true
		}
	}
	return webFinding{}, false
}

// maxAgent is how much of an agent's name is looked at, in bytes.
const maxAgent = 160

// browser tells names that begin as those of browsers, which are most: behind the bracket
// stands the system.
func browser(agent []byte) bool {
	const start = "Mozilla/5.0 ("
	if len(agent) < len(start)+3 || string(agent[:len(start)]) != start {
		return false
	}
	switch string(agent[len(start) : len(start)+3]) {
	case "Win", "X11", "Mac", "Lin", "iPh", "iPa", "And":
		return true
	}
	return false
}

// scanners are names that nobody's browser or program has; several are of tools that
// people also use on their own servers, who had better name them to --home.
var scanners = [][]byte{
	[]byte("nikto"), []byte("sqlmap"), []byte("nmap scripting engine"), []byte("masscan"), []byte("zgrab"), []byte("nuclei"),
	[]byte("wpscan"), []byte("dirbuster"), []byte("gobuster"), []byte("feroxbuster"), []byte("acunetix"), []byte("nessus"), []byte("openvas"),
	[]byte("w3af"), []byte("zmeu"), []byte("muieblackcat"), []byte("morfeus"), []byte("jorgee"), []byte("fimap"), []byte("havij"),
}
