package event

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// The order looks at every field: otherwise two events that differ could change places.
func TestOrderIsTotal(t *testing.T) {
	var change func(v reflect.Value, changed func(path string))
	change = func(v reflect.Value, changed func(string)) {
		for i := range v.NumField() {
			field, name := v.Field(i), v.Type().Field(i).Name
			before := reflect.New(field.Type()).Elem()
			before.Set(field)
			switch {
			case field.Type() == reflect.TypeFor[time.Time]():
				field.Set(reflect.ValueOf(field.Interface().(time.Time).Add(1)))
			case field.Type() == reflect.TypeFor[Endpoint]():
				change(field, func(inner string) { changed(name + "." + inner) })
				continue
			case field.Kind() == reflect.String:
				field.SetString(field.String() + "!")
			case field.CanInt():
				field.SetInt(field.Int() + 1)
			case field.CanUint():
				field.SetUint(field.Uint() ^ 1)
			default: // an address
				field.SetZero()
			}
			changed(name)
			field.Set(before)
		}
	}
	event, other := full(), full()
	if c := event.Compare(other); c != 0 {
		t.Errorf("an event compares with itself as %d", c)
	}
	fields := 0
	change(reflect.ValueOf(&other).Elem(), func(path string) {
		fields++
		if a, b := event.Compare(other), other.Compare(event); a*b != -1 {
			t.Errorf("another %s: %d, and the other way round %d", path, a, b)
		}
	})
	if fields != 18 {
		t.Errorf("%d fields were changed", fields)
	}
}

func TestOrder(t *testing.T) {
	begin := full()
	later, nextLine, otherFile := begin, begin, begin
	later.Time, later.Line = begin.Time.Add(time.Millisecond), 1
	nextLine.Line, nextLine.Kind = begin.Line+1, "a.kind"
	otherFile.File, otherFile.Line = begin.File+".1", 1
	want := []Event{begin, nextLine, otherFile, later}
	got := []Event{later, otherFile, nextLine, begin}
	slices.SortFunc(got, Event.Compare)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
