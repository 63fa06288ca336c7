package virtual

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// What must not leave a host, and what must, so that others know whom to block.
const (
	victim4 = "198.51.100.77"
	victim6 = "2001:db8:feed:1::4d"
	inside  = "10.11.12.13" // attacks from inside the site
	outside = "203.0.113.99"
	payload = "GET /payroll.xls"
)

var secrets = []string{"zaphod", "trillian", "bastion.example", "intranet.example", "TOP-SECRET signature", payload,
	base64.StdEncoding.EncodeToString([]byte(payload)), victim4, victim6, inside}

// TestPrivacy reads every byte that the nodes of a busy federation tell one
// another.
func TestPrivacy(t *testing.T) {
	bubble(t, 2*time.Hour, func(t *testing.T) {
		net := newNet(t, &founders{name: "virtual", organisations: 6})
		net.tap = new(tap)
		net.fill(12)
		net.Play("everything at once", Timetable{
			At(1*time.Second, Everyone, betrays),
			At(2*time.Second, Everyone, betrays),
			At(3*time.Second, Farthest(outside, 3), AttackedBy(outside, 4)),
			At(4*time.Second, Nodes(0, 1), AttackedBy(inside, 4)),
			By(5*time.Second, Everyone, Block(outside)),
			NotBefore(90*time.Second, But(Nodes(0, 1)), Warn(inside)),
		})
		for _, n := range Everyone(net) {
			for _, s := range n.Status().Sources {
				if s.Events == 0 || s.Malformed > 0 {
					t.Errorf("%s: %+v", n, s)
				}
			}
		}

		told := 0
		for _, secret := range secrets {
			for _, form := range forms(secret) {
				if net.tap.holds(form) {
					told++
					t.Errorf("%q left a host, as %x", secret, form)
				}
			}
		}
		for _, form := range forms(outside) {
			if !net.tap.holds(form) {
				t.Errorf("%s did not travel as %x: nobody would find anything else", outside, form)
			}
		}
		Figure(t, fmt.Sprintf("secrets in %d KiB of traffic", net.tap.size()>>10), "0", told, told == 0)
	})
}

// forms are how something may be written: as text, and an address in binary too.
func forms(secret string) [][]byte {
	all := [][]byte{[]byte(secret)}
	if addr, err := netip.ParseAddr(secret); err == nil {
		all = append(all, addr.AsSlice())
	}
	return all
}

// betrays has sensors write all that a host knows.
func betrays(n *Node) {
	now := time.Now()
	for i, source := range []string{outside, inside} {
		stamp := now.Format(time.RFC3339Nano)
		n.log.write(fmt.Sprintf("%s bastion.example sshd[%d]: Invalid user zaphod from %s port 4000", stamp, 10+i, source))
		n.log.write(fmt.Sprintf("%s bastion.example sshd[%d]: Failed password for trillian from %s port 4001 ssh2", stamp, 20+i, source))
		for k := range 4 {
			for _, victim := range []string{victim4, victim6} {
				from := source
				if victim == victim6 {
					from = map[string]string{outside: "2001:db8:bad::1", inside: "fd00::1"}[source]
				}
				n.snort.write(fmt.Sprintf("%s  [**] [1:2034125:4] TOP-SECRET signature (CVE-2021-41773) [**] [Classification: Attempted Administrator Privilege Gain] [Priority: 1] {TCP} %s:%d -> %s:%d",
					now.Format("01/02/2006-15:04:05.000000"), from, 5000+k, victim, 80+k))
				n.suricata.write(fmt.Sprintf(`{"timestamp":%q,"event_type":"alert","src_ip":%q,"src_port":5000,"dest_ip":%q,"dest_port":%d,"proto":"TCP",`+
					`"alert":{"action":"allowed","gid":1,"signature_id":2024468,"rev":3,"signature":"TOP-SECRET signature","severity":1},`+
					`"http":{"hostname":"intranet.example","url":"/payroll.xls","http_user_agent":"zaphod"},"payload":%q,"payload_printable":%q,`+
					`"flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":900,"bytes_toclient":700}}`,
					now.Format("2006-01-02T15:04:05.000000-0700"), from, victim, 80+k, base64.StdEncoding.EncodeToString([]byte(payload)), payload))
			}
		}
	}
}
