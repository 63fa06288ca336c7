package detect

// hashed is a key that knows its own hash; the seed keeps strangers from choosing
// keys that collide.
type hashed interface {
	comparable
	hash(seed uint64) uint64
}

// table is a map of fixed size that forgets what is oldest: all memory is taken at the
// start, and neither adding nor forgetting allocates. Its entries stand in two lists, for
// what is passing and for what has proved itself, so that a flood of the first kind
// cannot push the second out. An entry is named by its place, which is never 0.
type table[K hashed, V any] struct {
	seed     uint64
	heads    []int32 // chains of entries with the same hash
	slots    []slot[K, V]
	used     int32 // slots that were ever used, beside slot 0
	free     int32 // chain of slots that are free again
	size     int
	evicted  int64             // forgotten for want of room
	lists    [2]list           // each from the oldest to the newest
	onForget func(place int32) // called before an entry is forgotten for want of room; may be nil
}

// The lists of a table.
const (
	passing = iota
	lasting
)

type slot[K hashed, V any] struct {
	key          K
	chain        int32 // beside the key: where a search goes on
	older, newer int32
	in           uint8
	value        V
}

type list struct {
	oldest, newest int32
	size           int
}

// newTable makes a table of so many entries, at least 16.
func newTable[K hashed, V any](entries int, seed uint64) *table[K, V] {
	entries = max(entries, 16)
	heads := 16
	for heads < 2*entries { // so that most keys which are not there are missed without a look at a slot
		heads *= 2
	}
	return &table[K, V]{seed: seed, heads: make([]int32, heads), slots: make([]slot[K, V], entries+1)}
}

func (t *table[K, V]) head(k K) *int32 { return &t.heads[k.hash(t.seed)&uint64(len(t.heads)-1)] }

// find returns the place of a key, 0 if it is not there.
func (t *table[K, V]) find(k K) int32 {
	for i := *t.head(k); i != 0; i = t.slots[i].chain {
		if t.slots[i].key == k {
			return i
		}
	}
	return 0
}

func (t *table[K, V]) key(place int32) K    { return t.slots[place].key }
func (t *table[K, V]) value(place int32) *V { return &t.slots[place].value }

// oldest is the place of a list's oldest entry, 0 if it has none.
func (t *table[K, V]) oldest(in uint8) int32 { return t.lists[in].oldest }

// add makes room for a key that is not there and returns its place; the value is zero.
func (t *table[K, V]) add(k K, in uint8) int32 {
	if t.free == 0 && int(t.used) == len(t.slots)-1 {
		victim := t.lists[passing].oldest
		if lasting := t.lists[lasting]; victim == 0 || t.lists[passing].size < lasting.size {
			victim = lasting.oldest
		}
		if t.onForget != nil {
			t.onForget(victim)
		}
		t.remove(victim)
		t.evicted++
	}
	place := t.free
	if place != 0 {
		t.free = t.slots[place].chain
	} else {
		t.used++
		place = t.used
	}
	s := &t.slots[place]
	var zero V
	s.key, s.value = k, zero
	head := t.head(k)
	s.chain, *head = *head, place
	t.append(place, in)
	t.size++
	return place
}

func (t *table[K, V]) remove(place int32) {
	s := &t.slots[place]
	for link := t.head(s.key); *link != 0; link = &t.slots[*link].chain {
		if *link == place {
			*link = s.chain
			break
		}
	}
	t.unlink(place)
	s.chain, t.free = t.free, place
	t.size--
}

// renew makes an entry the newest of a list.
func (t *table[K, V]) renew(place int32, in uint8) {
	t.unlink(place)
	t.append(place, in)
}

func (t *table[K, V]) append(place int32, in uint8) {
	l, s := &t.lists[in], &t.slots[place]
	s.in, s.older, s.newer = in, l.newest, 0
	if l.newest != 0 {
		t.slots[l.newest].newer = place
	} else {
		l.oldest = place
	}
	l.newest = place
	l.size++
}

func (t *table[K, V]) unlink(place int32) {
	s := &t.slots[place]
	l := &t.lists[s.in]
	if s.older != 0 {
		t.slots[s.older].newer = s.newer
	} else {
		l.oldest = s.newer
	}
	if s.newer != 0 {
		t.slots[s.newer].older = s.older
	} else {
		l.newest = s.older
	}
	l.size--
}
