package simulate

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/komondor/komondor/broadcast/tree"
	"github.com/komondor/komondor/overlay/kademlia"
)

// The nearest that a table knows, found by sorting all of it.
func TestNearest(t *testing.T) {
	for _, n := range []int{2, 15, 22, 100, 3000} {
		net := New(n, 0, uint64(n))
		for i := range 200 {
			self, target := int32(i%n), place(7, streamKeys, uint64(i))
			var all []int32
			net.buckets(self, make([]int32, 0, 64), func(bucket int, contacts []int32) {
				for _, c := range contacts {
					if got := net.places[self].PrefixLen(net.places[c]); got != bucket {
						t.Fatalf("%d nodes: a contact that shares %d bits is in bucket %d", n, got, bucket)
					}
				}
				if len(contacts) > kademlia.K {
					t.Fatalf("%d contacts in a bucket", len(contacts))
				}
				all = append(all, contacts...)
			})
			net.byDistance(all, target)
			got := net.nearest(nil, self, target, kademlia.K)
			net.byDistance(got, target)
			if want := all[:min(kademlia.K, len(all))]; !slices.Equal(got, want) {
				t.Fatalf("%d nodes: got %v, want %v", n, got, want)
			}
		}
	}
}

// Buckets are as full as there are nodes for them.
func TestTablesAreFull(t *testing.T) {
	net := New(500, 0, 3)
	for self := range int32(500) {
		var want, got [257]int
		for other := range int32(500) {
			if other != self {
				want[net.places[self].PrefixLen(net.places[other])]++
			}
		}
		net.buckets(self, make([]int32, 0, 64), func(b int, contacts []int32) {
			slices.Sort(contacts)
			got[b] = len(slices.Compact(contacts))
		})
		for b := range want {
			if got[b] != min(want[b], kademlia.K) {
				t.Fatalf("node %d has %d different contacts in bucket %d, of %d nodes there", self, got[b], b, want[b])
			}
		}
	}
}

func TestCollectors(t *testing.T) {
	net := New(700, 0.3, 5)
	for i := range uint64(100) {
		target := place(9, streamKeys, i)
		var all []int32
		for n := range int32(700) {
			if !net.dead[n] {
				all = append(all, n)
			}
		}
		net.byDistance(all, target)
		if got := net.Collectors(nil, target, 5); !slices.Equal(got, all[:5]) {
			t.Fatalf("got %v, want %v", got, all[:5])
		}
	}
}

func TestLookupsFindTheNearest(t *testing.T) {
	for _, n := range []int{2, 30, 3000} {
		l := New(n, 0, 1).Look(2000, 5, 1)
		if l.Right != 1 || l.Mean > math.Log2(float64(n)) {
			t.Errorf("%d nodes: %+v", n, l)
		}
	}
	if l := New(3000, 0.2, 1).Look(2000, 5, 1); l.Right < 0.95 {
		t.Errorf("a fifth of the contacts dead: %+v", l)
	}
}

// Without losses a broadcast reaches all, with one replica each exactly once.
func TestBroadcast(t *testing.T) {
	for _, n := range []int{2, 30, 3000} {
		net, chance := New(n, 0, 1), rand.New(rand.NewPCG(1, 1))
		once, twice := net.Broadcast(0, 1, chance), net.Broadcast(0, tree.Replicas, chance)
		if once.Coverage != 1 || twice.Coverage != 1 {
			t.Errorf("%d nodes: coverage %v and %v", n, once.Coverage, twice.Coverage)
		}
		if got := int(math.Round(once.Messages * float64(n))); got != n-1 {
			t.Errorf("%d messages for %d nodes", got, n)
		}
	}
	net, chance := New(3000, 0, 1), rand.New(rand.NewPCG(1, 1))
	if one, two := net.Broadcast(0.3, 1, chance), net.Broadcast(0.3, 2, chance); two.Coverage < 0.98 || one.Coverage >= two.Coverage {
		t.Errorf("coverage %v and %v at 30 %% loss", one.Coverage, two.Coverage)
	}
}

func TestReports(t *testing.T) {
	r, err := Reports(10_000)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(r) || r[0] != 0 || r[1] != 1 || r[10_000] > 30 {
		t.Errorf("%v ... %d", r[:20], r[10_000])
	}
}

func TestLoad(t *testing.T) {
	net := New(1000, 0, 1)
	reports := slices.Repeat([]int{1}, maxEvents+1)
	loads := net.Loads(5000, 3, 1, reports)
	if l := loads[0]; l.Messages != 15_000 || l.Mean != 15 || l.CV < 0.1 || l.CV > 1 || l.Gini < 0.05 || l.Gini > 0.5 {
		t.Errorf("%+v", l)
	}
	if loads[0].Max != loads[2].Max || loads[1].Max <= loads[0].Max {
		t.Errorf("%+v", loads)
	}
}

// The same seed gives the same bytes, however many cores there are.
func TestDeterminism(t *testing.T) {
	o := Defaults()
	o.Nodes, o.Lookups, o.Dead = []int{50, 3000}, 3000, 0.1
	var texts [3]bytes.Buffer
	for i, cores := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(cores)
		results, err := Run(t.Context(), o)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := Print(&texts[i], o, results); err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() || texts[0].String() != texts[2].String() {
		t.Errorf("%s\n%s\n%s", &texts[0], &texts[1], &texts[2])
	}
	o.Seed++
	if results, err := Run(t.Context(), o); err != nil {
		t.Error(err)
	} else if _ = Print(&texts[1], o, results); texts[0].String() == texts[1].String() {
		t.Error("another seed gives the same")
	}
}

func TestCheck(t *testing.T) {
	for _, spoil := range []func(*Options){
		func(o *Options) { o.Nodes = nil },
		func(o *Options) { o.Nodes = []int{1} },
		func(o *Options) { o.Loss = []float64{1} },
		func(o *Options) { o.Loss = []float64{math.NaN()} },
		func(o *Options) { o.Dead = -1 },
		func(o *Options) { o.Replicas = 17 },
		func(o *Options) { o.Lookups = 0 },
	} {
		o := Defaults()
		spoil(&o)
		if o.Check() == nil {
			t.Errorf("%+v passes", o)
		}
	}
}
