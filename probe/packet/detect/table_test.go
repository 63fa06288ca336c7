package detect

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// TestTable compares a table with lists that are searched from end to end.
func TestTable(t *testing.T) {
	const size, keys = 20, 60
	random := rand.New(rand.NewPCG(15, 16))
	table := newTable[number, int](size, 17)
	var want [2][]number // from the oldest to the newest
	forgotten := int64(0)
	for step := range 100_000 {
		k := number(random.IntN(keys))
		list := slices.IndexFunc(want[:], func(l []number) bool { return slices.Contains(l, k) })
		place, in := table.find(k), uint8(random.IntN(2))
		if (place != 0) != (list >= 0) {
			t.Fatalf("step %d: %d is at %d, and in list %d", step, k, place, list)
		}
		switch {
		case place == 0:
			if len(want[0])+len(want[1]) == size {
				from := passing
				if len(want[passing]) < len(want[lasting]) {
					from = lasting
				}
				want[from] = want[from][1:]
				forgotten++
			}
			*table.value(table.add(k, in)) = step
			want[in] = append(want[in], k)
		case random.IntN(3) == 0:
			table.remove(place)
			want[list] = slices.DeleteFunc(want[list], func(n number) bool { return n == k })
		default:
			table.renew(place, in)
			want[list] = slices.DeleteFunc(want[list], func(n number) bool { return n == k })
			want[in] = append(want[in], k)
		}
		if table.size != len(want[0])+len(want[1]) || table.evicted != forgotten {
			t.Fatalf("step %d: %d entries and %d forgotten, want %d and %d", step, table.size, table.evicted, len(want[0])+len(want[1]), forgotten)
		}
		for in, l := range want {
			var got []number
			for i := table.oldest(uint8(in)); i != 0; i = table.slots[i].newer {
				got = append(got, table.key(i))
			}
			if !slices.Equal(got, l) || table.lists[in].size != len(l) {
				t.Fatalf("step %d: list %d is %v, want %v", step, in, got, l)
			}
		}
	}
}

func bytesOf[K hashed, V any](t *table[K, V]) int {
	return len(t.slots)*int(unsafe.Sizeof(slot[K, V]{})) + 4*len(t.heads)
}

// TestMemory: all tables together keep to the bound, and use most of it.
func TestMemory(t *testing.T) {
	for _, mebibytes := range []int{1, 4, 64, 100} {
		d := New(Config{MemoryMiB: mebibytes})
		sum := bytesOf(d.flows) + bytesOf(d.tries) + bytesOf(d.tallies) + bytesOf(d.floods) + bytesOf(d.asked) + bytesOf(d.logins) +
			bytesOf(d.stones) + bytesOf(d.notices) + bytesOf(d.stations) + len(d.ranks.slots)*int(unsafe.Sizeof(rank{}))
		if bound := mebibytes << 20; sum > bound || sum < bound*8/10 {
			t.Errorf("%d bytes, the bound is %d", sum, bound)
		}
	}
}
