package paper

import (
	"errors"
	"io/fs"
	"testing"
)

// What the sites find together is what is found with all events at one place, on whatever data is here.
func TestLabelledTogetherIsCentral(t *testing.T) {
	for _, d := range LabelledData() {
		sites, l, err := d.Read(t.Context(), realData)
		if errors.Is(err, fs.ErrNotExist) {
			t.Logf("not here: %s", d.Name)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		found, err := Detect(builtin(t), sites)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(found.row(d, l))
		for _, other := range found.differences() {
			t.Errorf("%s: %s", d.Name, other)
		}
	}
}
