package paper

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// Shape is what a generated log is made to.
type Shape struct {
	Attacks int
	Most    int // events of the greatest attack
	Busiest int // attacks of the busiest address
}

// What paper 002 tells of its three years (section IV), and of the part that its
// figures 6 and 9 show: there the events of attacks differ by "a magnitude of about
// four". How many of these came from one address it does not say; here as large a
// share as of all.
var (
	wholePaper = Shape{Attacks: 17_088, Most: 80_000, Busiest: 811}
	sshPaper   = Shape{Attacks: 1_100, Most: 10_000, Busiest: 52}
)

const (
	paperProbes   = 10
	paperInterval = 3 * 365 * 24 * time.Hour
)

// Generate writes and reads sshd logs.
//
// How many events an attack has falls with its rank as a power law. The number of
// attacks and the greatest one fix the exponent; for the paper's, the law then says
// that 45 % have a single event, and the paper's figure 6 has 450 of 1,100 in the
// point of one event. How many attacks an address makes is Zipf's law, with one as the
// least. Addresses lie in the address space as in a multiplicative cascade, which is
// how those of real traffic cluster (Kohler, Li, Paxson, Shenker: Observed Structure
// of Addresses in IP Traffic, 2002).
func Generate(ctx context.Context, shape Shape, chance *rand.Rand) ([]Log, error) {
	type line struct {
		at   time.Time
		from netip.Addr
	}
	lines := make([][]line, paperProbes)
	begin := read.Now().Add(-paperInterval)
	attackers := shape.attackers(chance)
	sizes := shape.sizes()
	chance.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	for i, size := range sizes {
		// An attack tries from one to all probes by turns, each 1 to 10 s after the last.
		at := begin.Add(time.Duration(chance.Int64N(int64(paperInterval))))
		pause := time.Duration(math.Pow(10, chance.Float64()) * float64(time.Second))
		first, width := chance.IntN(paperProbes), 1+chance.IntN(paperProbes)
		for n := range size {
			p := (first + n%width) % paperProbes
			lines[p] = append(lines[p], line{at, attackers[i]})
			at = at.Add(pause)
		}
	}
	var logs []Log
	for p, own := range lines {
		slices.SortStableFunc(own, func(a, b line) int {
			return cmp.Or(a.at.Compare(b.at), a.from.Compare(b.from))
		})
		var text bytes.Buffer
		for i, l := range own {
			fmt.Fprintf(&text, "%s probe%d sshd[%d]: Failed password for root from %s port %d ssh2\n",
				l.at.Format("2006-01-02T15:04:05.000000Z07:00"), p, 1000+i%4_000_000, l.from, 1024+i%60_000)
		}
		log, err := Parse(ctx, fmt.Sprintf("generated probe %d", p), &text)
		if err != nil {
			return nil, fmt.Errorf("generated log of probe %d: %w", p, err)
		}
		logs = append(logs, log)
	}
	return logs, nil
}

// sizes are the attacks' numbers of events, the greatest first.
func (s Shape) sizes() []int {
	exponent := math.Log(float64(s.Most)) / math.Log(float64(s.Attacks))
	sizes := make([]int, s.Attacks)
	for i := range sizes {
		sizes[i] = int(math.Pow(float64(s.Attacks)/float64(i+1), exponent) + 1e-6) // it is a whole number for the first
	}
	return sizes
}

// attackers names the address of each attack.
func (s Shape) attackers(chance *rand.Rand) []netip.Addr {
	seed := chance.Uint64()
	seen := make(map[netip.Addr]bool)
	all := make([]netip.Addr, 0, s.Attacks)
	for rank := 1; len(all) < s.Attacks; rank++ {
		addr := cascade(chance, seed)
		for seen[addr] {
			addr = cascade(chance, seed)
		}
		seen[addr] = true
		for range min(max(s.Busiest/rank, 1), s.Attacks-len(all)) {
			all = append(all, addr)
		}
	}
	return all
}

// cascade is a public IPv4 address. At each bit one half of the addresses that are
// left is the more populous one, for all draws with the same seed.
func cascade(chance *rand.Rand, seed uint64) netip.Addr {
	for {
		node, bits := uint64(1), uint32(0)
		for range 32 {
			// Which half, and how much more it has, is a hash of where we are.
			weight := 0.2 + 0.6*rand.New(rand.NewPCG(seed, node)).Float64()
			bit := uint32(0)
			if chance.Float64() > weight {
				bit = 1
			}
			node, bits = node<<1|uint64(bit), bits<<1|bit
		}
		addr := netip.AddrFrom4([4]byte{byte(bits >> 24), byte(bits >> 16), byte(bits >> 8), byte(bits)})
		if first := bits >> 24; addr.IsGlobalUnicast() && !addr.IsPrivate() && first != 0 && first < 224 {
			return addr
		}
	}
}
