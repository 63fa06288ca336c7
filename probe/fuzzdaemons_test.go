package probe

import "testing"

func FuzzSyslog(f *testing.F)     { fuzzFormat(f, "syslog") }
func FuzzDropbear(f *testing.F)   { fuzzFormat(f, "dropbear") }
func FuzzProftpd(f *testing.F)    { fuzzFormat(f, "proftpd") }
func FuzzPureFTPd(f *testing.F)   { fuzzFormat(f, "pure-ftpd") }
func FuzzSFTPGo(f *testing.F)     { fuzzFormat(f, "sftpgo") }
func FuzzPostfix(f *testing.F)    { fuzzFormat(f, "postfix") }
func FuzzDovecot(f *testing.F)    { fuzzFormat(f, "dovecot") }
func FuzzExim(f *testing.F)       { fuzzFormat(f, "exim") }
func FuzzCourier(f *testing.F)    { fuzzFormat(f, "courier") }
func FuzzCyrus(f *testing.F)      { fuzzFormat(f, "cyrus") }
func FuzzSolidPOP3(f *testing.F)  { fuzzFormat(f, "solid-pop3d") }
func FuzzMySQL(f *testing.F)      { fuzzFormat(f, "mysql") }
func FuzzMSSQL(f *testing.F)      { fuzzFormat(f, "mssql") }
func FuzzPostgreSQL(f *testing.F) { fuzzFormat(f, "postgresql") }
func FuzzMongoDB(f *testing.F)    { fuzzFormat(f, "mongodb") }
func FuzzNamed(f *testing.F)      { fuzzFormat(f, "named") }
func FuzzAsterisk(f *testing.F)   { fuzzFormat(f, "asterisk") }
func FuzzOpenVPN(f *testing.F)    { fuzzFormat(f, "openvpn") }
func FuzzSamba(f *testing.F)      { fuzzFormat(f, "samba") }
func FuzzPAM(f *testing.F)        { fuzzFormat(f, "pam") }
func FuzzWebmin(f *testing.F)     { fuzzFormat(f, "webmin") }
func FuzzPfSenseGUI(f *testing.F) { fuzzFormat(f, "pfsense-gui") }
func FuzzProxmox(f *testing.F)    { fuzzFormat(f, "proxmox") }
func FuzzPHPMyAdmin(f *testing.F) { fuzzFormat(f, "phpmyadmin") }
func FuzzGitea(f *testing.F)      { fuzzFormat(f, "gitea") }
func FuzzNextcloud(f *testing.F)  { fuzzFormat(f, "nextcloud") }
