package probe

import (
	"bytes"

	"github.com/komondor/komondor/event"
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
		return webFinding{}, false
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
	path, _, _ := bytes.Cut(clean, []byte("?"))
	switch {
	case r.status == 401 && string(r.user) != "-" && len(r.user) > 0:
		return webFinding{kind: event.HTTPLoginFailed}, true
	case r.status == 200 && string(method) == "POST" && loginForm(path):
		return webFinding{kind: event.HTTPLoginFailed}, true
	case string(method) == "CONNECT" && failed:
		return webFinding{event.HTTPScan, "open-proxy"}, true
	case failed:
		if name := soughtIn(path); name != "" {
			return webFinding{event.HTTPScan, name}, true
		}
	}
	return webFinding{}, false
}

// maxTarget is how much of a request's target is looked at, in bytes.
const maxTarget = 1024

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
	dots := false
	for _, c := range request {
		switch c {
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

func exploitIn(target []byte) string {
	for _, e := range exploits {
		if bytes.Contains(target, e.text) {
			return e.name
		}
	}
	return ""
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
	"+cscoe+": "cisco", "global-protect": "paloalto", "dana-na": "ivanti", "vpnsvc": "softether",
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
		if _, ok := cutPrefix(segment, "phpmyadmin"); ok { // phpmyadmin2, phpMyAdmin-2.11.4
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
