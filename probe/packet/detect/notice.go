package detect

// milestone says when a growing count is worth an event: at its threshold, and each
// time that it has doubled.
type milestone struct{ told, next int32 }

// reached returns what is new since the last event, 0 if it is not worth one yet.
func (m *milestone) reached(n, threshold int32) (news int32) {
	if n < threshold/2 || m.next == 0 { // it has ebbed away
		m.told, m.next = 0, threshold
	}
	if n < m.next {
		return 0
	}
	news = n - m.told
	m.told, m.next = n, 2*n
	return max(news, 1)
}

// bucket is the state of a leaky bucket.
type bucket struct {
	level float64
	time  int64
}

// pour adds n (which may be negative) and returns the level.
func (b *bucket) pour(n float64, now int64, limit Limit) float64 {
	b.level -= float64(now-b.time) / 1e9 * limit.Rate
	b.level = min(max(b.level, 0)+n, 2*limit.Burst) // what was far too much must not last
	b.level = max(b.level, 0)
	b.time = now
	return b.level
}

// notice counts what is told at once, and then each time it has doubled.
type notice struct {
	count int32
	last  int64
	milestone
}

type noticeKey struct {
	source, target host
	kind           kindNumber
}

func (k noticeKey) hash(seed uint64) uint64 {
	return mix(k.target.hash(k.source.hash(seed)), uint64(k.kind))
}

// kindNumber tells what a notice is about.
type kindNumber uint8

const (
	stealthScan kindNumber = iota
	worm
	forged
	forgedEgress
	lostSession
)

// notify counts an observation and returns how many are news, 0 if it is too early to tell
// of them. What was not seen for a window is forgotten.
func (d *Detector) notify(k noticeKey, threshold int) int {
	i := d.notices.find(k)
	if i == 0 {
		i = d.notices.add(k, passing)
	} else {
		d.notices.renew(i, passing)
	}
	n := d.notices.value(i)
	if d.now-n.last > int64(d.config.Window) {
		*n = notice{}
	}
	n.last = d.now
	n.count++
	return int(n.reached(n.count, int32(threshold)))
}
