package overlay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func echo(_ context.Context, from peer.ID, request []byte) ([]byte, error) {
	switch string(request) {
	case "refuse":
		return nil, errors.New("I do not tell")
	case "long":
		return make([]byte, MaxAnswer), nil
	case "over-long":
		return make([]byte, MaxAnswer+1), nil
	}
	return append([]byte(from+" "), request...), nil
}

func TestAsk(t *testing.T) {
	inNet(t, 3, func(t *testing.T, tn *testNet) {
		asker, asked, silent := tn.nodes[0], tn.nodes[1], tn.nodes[2]
		asked.answer = echo
		for request, want := range map[string]string{
			"":                          string(asker.ID()) + " ",
			"question":                  string(asker.ID()) + " question",
			strings.Repeat("q", 50<<10): string(asker.ID()) + " " + strings.Repeat("q", 50<<10),
			"long":                      strings.Repeat("\x00", MaxAnswer),
		} {
			got, err := asker.Ask(t.Context(), asked.ID(), []byte(request))
			if err != nil || string(got) != want {
				t.Errorf("%.20q: %d bytes, %v", request, len(got), err)
			}
		}
		for request, want := range map[string]string{"refuse": "I do not tell", "over-long": "over the 57344 allowed"} {
			if _, err := asker.Ask(t.Context(), asked.ID(), []byte(request)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", request, err)
			}
		}
		if _, err := asker.Ask(t.Context(), silent.ID(), nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no questions") {
			t.Errorf("a node without an Answerer: %v", err)
		}
		if _, err := asker.Ask(t.Context(), asked.ID(), make([]byte, MaxAnswer+1)); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("an over-long question: %v", err)
		}
		sent := asker.Stats().Ask
		if sent.Sent != 7 || sent.Acked != 4 || sent.Refused != 3 || sent.Failed != 0 {
			t.Errorf("stats %+v", sent)
		}
		if s := asked.Stats().Ask; s.Received < 6 || s.Received > 6+sent.Repeated || s.Broken != 0 {
			t.Errorf("stats of the asked %+v", s)
		}
	})
}

// However many ask at once, a node answers eight of a peer, and each question is
// answered in its turn.
func TestManyQuestions(t *testing.T) {
	inNet(t, 2, func(t *testing.T, tn *testNet) {
		asker, asked := tn.nodes[0], tn.nodes[1]
		var now, most atomic.Int32
		asked.answer = func(context.Context, peer.ID, []byte) ([]byte, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			time.Sleep(10 * time.Millisecond)
			return nil, nil
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := asker.Ask(t.Context(), asked.ID(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := most.Load(); n > maxAsking || n < 2 {
			t.Errorf("%d questions were answered at once, want up to %d", n, maxAsking)
		}
		// one who does not keep to it loses the streams that are too many
		for range maxAsking + 1 {
			s, err := asker.host.NewStream(t.Context(), asked.ID(), askProtocol)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte{9}); err != nil { // the beginning of a frame
				t.Fatal(err)
			}
			defer s.Reset()
		}
		until(t, 5*time.Second, "end of the stream that is too many", func() bool { return asked.Stats().Ask.Broken == 1 })
	})
}

func TestHostileQuestionsAreCut(t *testing.T) {
	for name, sent := range map[string][]byte{
		"oversize":  binary.AppendUvarint(nil, maxFrame+1),
		"over-long": appendFrame(nil, 0, make([]byte, MaxAnswer+1)),
		"empty":     {0},
		"slow":      {100, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, tn *testNet) {
				bad, asked := tn.nodes[0], tn.nodes[1]
				asked.answer = echo
				s, err := bad.host.NewStream(t.Context(), asked.ID(), askProtocol)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				go s.Write(sent)
				if got, _ := io.ReadAll(s); len(got) > 0 || time.Since(start) > frameTimeout+time.Second {
					t.Errorf("%d bytes in reply after %s", len(got), time.Since(start))
				}
				s.Reset()
			})
		})
	}
}

// Who is asked may be hostile, too, or hang.
func TestHostileAnswers(t *testing.T) {
	for name, sent := range map[string][]byte{
		"unknown status": appendFrame(nil, 0, []byte{9}),
		"names members":  appendFrame(nil, 0, []byte{byte(closer)}),
		"empty":          appendFrame(nil, 0),
		"over-long":      appendFrame(nil, 0, []byte{byte(accepted)}, make([]byte, MaxAnswer+1)),
		"oversize":       binary.AppendUvarint(nil, maxFrame+1),
		"hangs":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, tn *testNet) {
				asker, bad := tn.nodes[0], tn.nodes[1]
				bad.host.SetStreamHandler(askProtocol, func(s network.Stream) {
					s.Write(sent)
					io.Copy(io.Discard, s)
					s.Reset()
				})
				start := time.Now()
				if got, err := asker.Ask(t.Context(), bad.ID(), []byte("q")); err == nil || errors.Is(err, ErrRefused) {
					t.Errorf("%q, %v", got, err)
				}
				if took := time.Since(start); took > askTimeout+time.Second || sent != nil && took > time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(appendFrame(nil, 0, reply{status: accepted, answer: []byte("yes")}.encode()))
	f.Add(appendFrame(nil, 0, reply{status: refused, reason: "no"}.encode()))
	f.Add(appendFrame(nil, 0, []byte{byte(closer), 1, 2, 3}))
	f.Fuzz(func(t *testing.T, data []byte) {
		rep, err := readAnswer(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(rep.answer) > MaxAnswer || len(rep.reason) > maxReason {
			t.Errorf("%d and %d bytes", len(rep.answer), len(rep.reason))
		}
		again, err := readAnswer(bytes.NewReader(appendFrame(nil, 0, rep.encode())))
		if err != nil || again.status != rep.status || !bytes.Equal(again.answer, rep.answer) || again.reason != rep.reason {
			t.Errorf("%+v became %+v, %v", rep, again, err)
		}
	})
}
