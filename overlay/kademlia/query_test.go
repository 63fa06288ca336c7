package kademlia

import (
	"fmt"
	"slices"
	"testing"
)

// at is the place of a number in these tests: its first two bytes.
func at(n int) Place { return Place{byte(n >> 8), byte(n)} }

func open(n int) (Member[int], bool) { return Member[int]{ID: n, Collects: true}, true }

// The target is 0, so that a number is a distance.
func start(self, r int, known ...int) *Query[int] {
	q := NewQuery(at, open)
	q.Start(Place{}, self, r)
	for _, n := range known {
		q.Add(n)
	}
	return q
}

func expect(t *testing.T, q *Query[int], hedge bool, step Step, whom int) {
	t.Helper()
	if gotStep, got := q.Next(hedge); gotStep != step || step == Ask && got != whom {
		t.Fatalf("step %d, %d; want %d, %d", gotStep, got, step, whom)
	}
}

func TestQueryAsksTheNearestUntilTwoHaveAnswered(t *testing.T) {
	q := start(500, 3, 100, 200)
	expect(t, q, false, Ask, 100)
	expect(t, q, false, Wait, 0)
	q.Answered(100)
	for _, n := range []int{7, 9, 100, 500} {
		q.Add(n)
	}
	expect(t, q, false, Ask, 7)
	q.Answered(7)
	expect(t, q, false, Ask, 9)
	q.Failed(9)
	expect(t, q, false, Over, 0) // 7 and 100 are the nearest living
	if got := q.Collectors(); !slices.Equal(got, []int{7, 100, 200}) || q.Requests() != 3 {
		t.Errorf("%v after %d requests", got, q.Requests())
	}
}

func TestQueryAsksOnWhileOneIsSlow(t *testing.T) {
	q := start(500, 3, 1, 2, 3, 4)
	for n := 1; n <= Alpha; n++ {
		expect(t, q, true, Ask, n)
	}
	expect(t, q, true, Wait, 0)
	q.Failed(1)
	expect(t, q, true, Ask, 4)
}

func TestQueryEndsWithLiars(t *testing.T) {
	q := start(5000, 3, 4000)
	for n := range MaxRequests {
		expect(t, q, false, Ask, 4000-n)
		q.Answered(4000 - n)
		q.Add(4000 - n - 1)
	}
	expect(t, q, false, Over, 0)
}

func TestQueryOfOneAlone(t *testing.T) {
	for r := 1; r <= 3; r++ {
		q := start(5, r)
		expect(t, q, false, Over, 0)
		if got := q.Collectors(); !slices.Equal(got, []int{5}) {
			t.Errorf("r=%d: %v", r, got)
		}
	}
}

// Whose a would-be collector is, is only known once it has answered.
func TestQueryAsksWhoIsNotKnown(t *testing.T) {
	stranger := true
	q := NewQuery(at, func(n int) (Member[int], bool) {
		if n == 3 && stranger {
			return Member[int]{ID: n, Collects: true}, false
		}
		return Member[int]{ID: n, Organisation: "A", Collects: true}, true
	})
	q.Start(Place{}, 1, 3)
	for n := 2; n < 6; n++ {
		q.Add(n)
	}
	expect(t, q, false, Ask, 2)
	q.Answered(2)
	expect(t, q, false, Ask, 3)
	stranger = false
	q.Answered(3)
	expect(t, q, false, Over, 0)
	if got := q.Collectors(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Error(got)
	}
}

// BenchmarkQuery is a lookup of two answers of K peers each, without a network.
func BenchmarkQuery(b *testing.B) {
	q := NewQuery(at, open)
	b.ReportAllocs()
	for b.Loop() {
		q.Start(Place{}, 60000, 5)
		q.Add(50000)
		for step, p := q.Next(false); step == Ask; step, p = q.Next(false) {
			q.Answered(p)
			for i := range K {
				q.Add(p/16 + 17*i)
			}
		}
	}
}

func TestPrefixLen(t *testing.T) {
	for bit := range 256 {
		a, b := Of(fmt.Append(nil, bit)), Of(fmt.Append(nil, bit))
		b[bit/8] ^= 0x80 >> (bit % 8)
		if got := a.PrefixLen(b); got != bit {
			t.Errorf("%d, want %d", got, bit)
		}
	}
	if got := at(1).PrefixLen(at(1)); got != 256 {
		t.Errorf("the same place shares %d bits", got)
	}
}
