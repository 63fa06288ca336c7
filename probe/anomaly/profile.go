package anomaly

import (
	"math"
	"slices"
	"time"
)

// hour counts the hours since 1970, by UTC: people's habits move by an hour twice a
// year, which the hours next to one allow for.
type hour int64

func hourOf(t time.Time) hour { return hour(max(t.Unix(), 0) / 3600) }

func (h hour) begin() time.Time { return time.Unix(int64(h)*3600, 0).UTC() }

const (
	days      = 7 // of history are kept
	leastDays = 3 // in which an hour was watched, below which nothing is known of it
)

// profile has the counts of each hour in the last days.
type profile [24 * days]uint32

// cell is where an hour stands in a profile.
func (h hour) cell() int { return int(h%24)*days + int(h/24%days) }

func (p *profile) set(h hour, n uint32) { p[h.cell()] = n }

// watched says of each cell which hour it is of: hours that nobody watched are not
// those in which nothing happened.
type watched [24 * days]hour

func (w *watched) mark(h hour) { w[h.cell()] = h }

// ready reports whether enough hours were watched in the last days to say what is
// usual.
func (w *watched) ready(now hour, learn time.Duration) bool {
	n := 0
	for _, h := range w {
		if h > now-24*days && h > 0 {
			n++
		}
	}
	return time.Duration(n)*time.Hour >= min(learn, 24*(days-1)*time.Hour)
}

// usual is the median of a profile at an hour of the day, and how far counts usually
// are from it: a standard deviation, estimated by the median absolute deviation, and
// at least that of a Poisson process. Hours before since are unknown; known is false
// where there are too few others.
func (w *watched) usual(p *profile, at, since hour) (median, spread uint32, known bool) {
	var room [days]uint32
	counts := room[:0]
	for day := range hour(days) {
		past := at - 24*(day+1)
		if past > 0 && past >= since && w[past.cell()] == past {
			counts = append(counts, p[past.cell()])
		}
	}
	if len(counts) < leastDays {
		return 0, 0, false
	}
	median = middle(counts)
	for i, n := range counts {
		counts[i] = max(n, median) - min(n, median)
	}
	deviation := 1.4826 * float64(middle(counts))
	return median, uint32(math.Ceil(max(deviation, math.Sqrt(float64(median)), 1))), true
}

// middle sorts the numbers and returns their median, the higher one of two.
func middle(numbers []uint32) uint32 {
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}
