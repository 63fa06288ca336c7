package correlate

import "github.com/komondor/komondor/event"

// worth is what evidence of one organisation is worth, in points. That something is
// unusual proves nothing by itself: points of anomalies count for as much as those of
// other kinds do, and for nothing where there are none.
type worth struct{ plain, anomalous int }

// anomalous tells whether events of the kind count only together with others.
func anomalous(kind event.Kind) bool { return kind.Plain().Matches("anomaly.*") }

func (w worth) points() int { return w.plain + min(w.anomalous, w.plain) }

// plus adds what evidence is worth, or takes it out again (sign -1).
func (w worth) plus(other worth, sign int) worth {
	return worth{w.plain + sign*other.plain, w.anomalous + sign*other.anomalous}
}
