package web

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// webFinding is what is wrong with a request.
type webFinding struct {
	kind          event.Kind
	vulnerability string
}

// judge says whether a request is evidence, and of what. Known weaknesses are
// evidence whatever the server answered; the search for programs that are not here
// only where it failed, because where they are people use them.
func (r *webRecord) judge() (webFinding, bool) {
	failed := r.status >= 400 && r.status < 500
	if !failed && !suspicious(r.request) && !r.posts() {
		return r.scanner()
	}
	method, target, version := r.parts()
	if version == nil {
		// No request line at all: TLS or another protocol on this port, or a
		// scanner's greeting. An empty one is a browser that changed its mind.
		if r.status == 400 && len(method) > 0 && string(r.request) != "-" {
			return webFinding{kind: event.HTTPMalformed}, true
		}
		return webFinding{}, false
	}
	var lower [maxTarget]byte
	clean := unescape(lower[:0], target)
	if name := exploitIn(clean); name != "" {
		return webFinding{event.HTTPExploit, name}, true
	}
	// A program of somebody else's; the question mark is to swallow what is added to the name.
	if bytes.HasSuffix(clean, []byte("?")) && (bytes.Contains(clean, []byte("=http://")) || bytes.Contains(clean, []byte("=ftp://"))) {
		return webFinding{event.HTTPExploit, "file-inclusion"}, true
	}
	path, _, _ := bytes.Cut(clean, []byte("?"))
	switch {
	case r.status == 401 && string(r.user) != "-" && len(r.user) > 0:
		return webFinding{kind: event.HTTPLoginFailed}, true
	case r.status == 401 && string(method) == "POST" && bytes.Contains(clean, []byte("login")): // a form's refusal
		return webFinding{kind: event.HTTPLoginFailed}, true
	case r.status == 200 && string(method) == "POST" && loginForm(path):
		return webFinding{kind: event.HTTPLoginFailed}, true
	case string(method) == "CONNECT" && failed:
		return webFinding{event.HTTPScan, "open-proxy"}, true
	case failed:
		if name := soughtIn(path); name != "" {
			return webFinding{event.HTTPScan, name}, true
		}
		if bytes.HasPrefix(clean, []byte("/?author=")) { // the numbers of users, one after another
			return webFinding{event.HTTPScan, "wordpress"}, true
		}
	}
	if r.status == 400 && !knownVersion(version) {
		return webFinding{kind: event.HTTPMalformed}, true
	}
	return r.scanner()
}

// maxTarget is how much of a request's target is looked at, in bytes.
const maxTarget = 1024

func knownVersion(version []byte) bool {
	switch string(version) {
	case "HTTP/0.9", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/2.0", "HTTP/3", "HTTP/3.0":
		return true
	}
	return false
}

func (r *webRecord) posts() bool {
	return r.status == 200 && len(r.request) > 5 && string(r.request[:5]) == "POST "
}

// parts splits "METHOD TARGET HTTP/1.1"; version is nil where it is none.
func (r *webRecord) parts() (method, target, version []byte) {
	method, rest, ok := bytes.Cut(r.request, []byte(" "))
	if !ok {
		return method, nil, nil
	}
	at := bytes.LastIndexByte(rest, ' ')
	if at < 0 || !bytes.HasPrefix(rest[at+1:], []byte("HTTP/")) {
		return method, rest, nil
	}
	return method, rest[:at], rest[at+1:]
}

// suspicious tells by single bytes whether a request can hold an exploit at all.
func suspicious(request []byte) bool {
	dots, query := false, false
	for i, c := range request {
		switch c {
		case '?':
			if query || i+1 < len(request) && request[i+1] == '-' {
				return true
			}
			query = true
		case '%', '$', '<', '(', '{', '\'', '`', ';', '|', '\\':
			return true
		case '.':
			if dots {
				return true
			}
			dots = true
			continue
		}
		dots = false
	}
	return bytes.Contains(request, []byte("union+")) || bytes.Contains(request, []byte("information_schema"))
}

// unescape appends a target in lower case with its percent escapes resolved, twice
// because that is what those hide who write "%252e", and with the query's + as blanks.
func unescape(to, target []byte) []byte {
	to = append(to, target[:min(len(target), maxTarget)]...)
	for range 2 {
		out := to[:0]
		for i := 0; i < len(to); i++ {
			c := to[i]
			if c == '%' && i+2 < len(to) {
				high, ok1 := hexDigit(to[i+1])
				low, ok2 := hexDigit(to[i+2])
				if ok1 && ok2 {
					c = high<<4 | low
					i += 2
				}
			}
			out = append(out, c)
		}
		to = out
	}
	query := false
	for i, c := range to {
		switch {
		case c >= 'A' && c <= 'Z':
			to[i] = c + 'a' - 'A'
		case c == '?':
			query = true
		case c == '+' && query:
			to[i] = ' '
		case c == '\\':
			to[i] = '/'
		}
	}
	return to
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// exploits are what no honest client asks for, in an unescaped target. The list is
// short on purpose: a signature engine (Suricata, a WAF) sees the rest of the
// request, too.
var exploits = []struct {
	text []byte
	name string
}{
	{[]byte("${jndi:"), "CVE-2021-44228"},
	{[]byte("/cgi-bin/../"), "CVE-2021-41773"},
	{[]byte("() {"), "CVE-2014-6271"},
	{[]byte("../.."), "path-traversal"},
	{[]byte("/../"), "path-traversal"},
	{[]byte("/etc/passwd"), "path-traversal"},
	{[]byte("/bin/sh"), "command-injection"},
	{[]byte("/proc/self/environ"), "path-traversal"},
	{[]byte("php://"), "file-inclusion"},
	{[]byte("auto_prepend_file"), "CVE-2024-4577"},
	{[]byte("allow_url_include"), "CVE-2012-1823"},
	{[]byte(".php?-s"), "CVE-2012-1823"},
	{[]byte("vendor/phpunit/phpunit/src/util/php/eval-stdin.php"), "CVE-2017-9841"},
	{[]byte("invokefunction&function=call_user_func_array"), "CVE-2018-20062"},
	{[]byte("/cgi-bin/luci/;stok="), "CVE-2023-1389"},
	{[]byte("/hnap1"), "hnap"},
	{[]byte("/boaform/admin/formlogin"), "CVE-2020-8958"},
	{[]byte("/remote/fgt_lang"), "CVE-2018-13379"},
	{[]byte("union select"), "sql-injection"},
	{[]byte("union all select"), "sql-injection"},
	{[]byte("information_schema"), "sql-injection"},
	{[]byte("' or '1'='1"), "sql-injection"},
	{[]byte("sleep("), "sql-injection"},
	{[]byte("<script"), "cross-site-scripting"},
	{[]byte("wget http"), "command-injection"},
	{[]byte("curl http"), "command-injection"},
}

// exploitsBy has the indices of the exploits that begin with a byte.
var exploitsBy = func() (by [256][]int) {
	for i, e := range exploits {
		by[e.text[0]] = append(by[e.text[0]], i)
	}
	return by
}()

func exploitIn(target []byte) string {
	first := len(exploits)
	for at, c := range target {
		for _, i := range exploitsBy[c] {
			if i < first && bytes.HasPrefix(target[at:], exploits[i].text) {
				first = i
			}
		}
	}
	if first == len(exploits) {
		return ""
	}
	return exploits[first].name
}

// soughtSegments are the names, between slashes, under which programs with a past
// and files that should not be there are looked for.
var soughtSegments = map[string]string{
	"phpmyadmin": "phpmyadmin", "php-my-admin": "phpmyadmin", "pma": "phpmyadmin", "myadmin": "phpmyadmin", "mysqladmin": "phpmyadmin",
	"sqladmin": "phpmyadmin", "dbadmin": "phpmyadmin", "sqlmanager": "phpmyadmin", "mysqlmanager": "phpmyadmin", "phpmanager": "phpmyadmin",
	"websql": "phpmyadmin", "sqlweb": "phpmyadmin", "webdb": "phpmyadmin", "webmail": "webmail", "v-webmail": "webmail", "vwebmail": "webmail", "extmail": "webmail", "roundcube": "webmail", "mysql-admin": "phpmyadmin", "php-myadmin": "phpmyadmin", "adminer.php": "adminer",
	"wp-login.php": "wordpress", "wp-admin": "wordpress", "wp-content": "wordpress", "wp-includes": "wordpress", "xmlrpc.php": "wordpress",
	"wlwmanifest.xml": "wordpress", "wp-config.php": "wordpress",
	".env": "secrets", ".git": "secrets", ".svn": "secrets", ".aws": "secrets", ".ssh": "secrets", ".htpasswd": "secrets", ".htaccess": "secrets",
	".passwd": "secrets", ".bash_history": "secrets", ".mysql_history": "secrets", "id_rsa": "secrets", "web.config": "secrets", ".ds_store": "secrets",
	"cgi-bin": "cgi", "shell.php": "backdoor", "c99.php": "backdoor", "r57.php": "backdoor", "alfa.php": "backdoor",
	"jmx-console": "jboss", "web-console": "jboss", "invoker": "jboss", "struts": "struts", "solr": "solr",
	"actuator": "spring", "jenkins": "jenkins", "owa": "exchange", "autodiscover": "exchange", "ecp": "exchange",
	"crx": "adobe-experience-manager", "+cscoe+": "cisco", "global-protect": "paloalto", "dana-na": "ivanti", "vpnsvc": "softether",
	"server-status": "server-status", "phpinfo.php": "phpinfo", "info.php": "phpinfo", "administrator": "joomla", "setup.php": "setup",
	"telescope": "laravel", "boaform": "router", "setup.cgi": "router", "gponform": "router", "goform": "router",
}

func soughtIn(path []byte) string {
	if bytes.Contains(path, []byte("w00tw00t")) {
		return "w00tw00t"
	}
	for len(path) > 0 {
		var segment []byte
		segment, path, _ = bytes.Cut(path, []byte("/"))
		if name := soughtSegments[string(segment)]; name != "" {
			return name
		}
		if _, ok := text.CutPrefix(segment, "phpmyadmin"); ok { // phpmyadmin2, phpMyAdmin-2.11.4
			return "phpmyadmin"
		}
	}
	return ""
}

// loginForm tells the paths that answer 200 when a login failed and redirect when
// it did not.
func loginForm(path []byte) bool {
	return bytes.HasSuffix(path, []byte("/wp-login.php")) || bytes.HasSuffix(path, []byte("/administrator/index.php"))
}
