package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Listen opens the control socket at path for this user alone. A socket that a
// dead node left behind is replaced; one that answers is not.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s (choose another with --control; a path may have 107 bytes): %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// removeStale removes a socket at which nobody listens any more. Whatever else is at
// path stays, and is an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("control socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("control socket %s: what is there is no socket, and stays; choose another --control", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("control socket %s: another node answers there; stop it, or choose another --control", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // of another kind, or busy
		return fmt.Errorf("control socket %s: somebody else may listen there; choose another --control: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// Serve answers on l until ctx ends, and returns when all answers are given.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(grace) != nil {
			s.Close()
		}
	}()
	err := s.Serve(l)
	if ctx.Err() == nil {
		return fmt.Errorf("control on %s: %w", l.Addr(), err)
	}
	<-done
	return nil
}

// Local is all of the interface, for the Unix socket.
func Local(n Node) http.Handler {
	mux := http.NewServeMux()
	readOnly(mux, n)
	mux.HandleFunc("POST /blocks", func(w http.ResponseWriter, r *http.Request) {
		var want struct {
			Prefix   netip.Prefix
			Duration time.Duration
			Reason   string
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&want); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		answer(w)(n.Block(r.Context(), want.Prefix, want.Duration, want.Reason))
	})
	mux.HandleFunc("DELETE /blocks", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("prefix") == "" {
			answer(w)(n.FlushBlocks(r.Context()))
			return
		}
		prefix, err := netip.ParsePrefix(r.FormValue("prefix"))
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		answer(w)(prefix, n.Unblock(r.Context(), prefix))
	})
	mux.HandleFunc("POST /waiting", func(w http.ResponseWriter, r *http.Request) {
		if prefixes, err := prefixes(w, r); err != nil {
			fail(w, http.StatusBadRequest, err)
		} else {
			answer(w)(list(n.Approve(r.Context(), prefixes)))
		}
	})
	mux.HandleFunc("DELETE /waiting", func(w http.ResponseWriter, r *http.Request) {
		if prefixes, err := prefixes(w, r); err != nil {
			fail(w, http.StatusBadRequest, err)
		} else {
			answer(w)(n.Reject(r.Context(), prefixes))
		}
	})
	mux.HandleFunc("GET /responses", func(w http.ResponseWriter, _ *http.Request) { answer(w)(list(n.Responses())) })
	mux.HandleFunc("POST /responses", func(w http.ResponseWriter, r *http.Request) {
		var want Action
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&want); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		answer(w)(n.Respond(r.Context(), want))
	})
	for decision, decide := range map[string]func(context.Context, string) (Response, error){
		"approve": n.ApproveResponse, "reject": n.RejectResponse, "undo": n.UndoResponse,
	} {
		mux.HandleFunc("POST /responses/{id}/"+decision, func(w http.ResponseWriter, r *http.Request) {
			answer(w)(decide(r.Context(), r.PathValue("id")))
		})
	}
	mux.HandleFunc("GET /policy", func(w http.ResponseWriter, _ *http.Request) { answer(w)(n.Policy()) })
	mux.HandleFunc("GET /revocations", func(w http.ResponseWriter, _ *http.Request) { answer(w)(n.Revocations()) })
	mux.HandleFunc("GET /organisations/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(n.Organisation(r.PathValue("name")))
	})
	mux.HandleFunc("POST /documents", func(w http.ResponseWriter, r *http.Request) {
		if document, err := body(w, r); err != nil {
			fail(w, http.StatusBadRequest, err)
		} else {
			answer(w)(nil, n.Submit(r.Context(), document))
		}
	})
	mux.HandleFunc("POST /invitations", func(w http.ResponseWriter, r *http.Request) {
		if offer, err := body(w, r); err != nil {
			fail(w, http.StatusBadRequest, err)
		} else {
			answer(w)(nil, n.Deposit(offer))
		}
	})
	mux.HandleFunc("POST /alerts/{id}/false", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(n.MarkFalse(r.Context(), r.PathValue("id"), r.FormValue("reason")))
	})
	mux.HandleFunc("DELETE /alerts/{id}/false", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(n.MarkTrue(r.Context(), r.PathValue("id")))
	})
	mux.HandleFunc("POST /allowed", func(w http.ResponseWriter, r *http.Request) {
		entry := r.FormValue("entry")
		answer(w)(entry, n.Allow(r.Context(), entry, r.FormValue("note")))
	})
	mux.HandleFunc("DELETE /allowed", func(w http.ResponseWriter, r *http.Request) {
		entry := r.FormValue("entry")
		answer(w)(entry, n.Disallow(r.Context(), entry))
	})
	return mux
}

// maxBody bounds what a request may carry: a frame of the overlay.
const maxBody = 64 << 10

func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// prefixes reads a list of prefixes from a request's body.
func prefixes(w http.ResponseWriter, r *http.Request) (all []netip.Prefix, err error) {
	return all, json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&all)
}

// Public is the read-only part, for a TCP address. It answers only to requests
// that name an IP address or localhost as their host, so that no web page can
// reach it by rebinding a name of its own.
func Public(n Node) http.Handler {
	mux := http.NewServeMux()
	readOnly(mux, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			fail(w, http.StatusForbidden, fmt.Errorf("host %q: name the address instead", r.Host))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func readOnly(mux *http.ServeMux, n Node) {
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w)(n.Status(), nil) })
	mux.HandleFunc("GET /alerts", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("follow") == "" {
			answer(w)(list(n.Alerts()))
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.WriteHeader(http.StatusOK)
		flush := http.NewResponseController(w)
		encode := json.NewEncoder(w)
		if flush.Flush() != nil {
			return
		}
		// The reader goes away or the node ends: nobody is left to tell.
		_ = n.Follow(r.Context(), func(a Alert) error {
			return errors.Join(encode.Encode(a), flush.Flush())
		})
	})
	mux.HandleFunc("GET /blocks", func(w http.ResponseWriter, _ *http.Request) { answer(w)(list(n.Blocks())) })
	mux.HandleFunc("GET /flows", func(w http.ResponseWriter, _ *http.Request) { answer(w)(list(n.Flows())) })
	mux.HandleFunc("GET /members", func(w http.ResponseWriter, _ *http.Request) { answer(w)(list(n.Members())) })
	mux.HandleFunc("GET /allowed", func(w http.ResponseWriter, _ *http.Request) { answer(w)(list(n.Allowed())) })
	mux.HandleFunc("GET /scenarios", func(w http.ResponseWriter, _ *http.Request) { answer(w)(n.Scenarios()) })
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, r *http.Request) {
		addr, err := netip.ParseAddr(r.FormValue("address"))
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		answer(w)(n.Explain(r.Context(), addr))
	})
}

// list makes an empty list print as [], not as null.
func list[T any](values []T, err error) (any, error) {
	if values == nil {
		values = []T{}
	}
	return values, err
}

func answer(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		if err != nil {
			fail(w, http.StatusConflict, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_ = json.NewEncoder(w).Encode(v) // the reader went away
	}
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()}) // the reader went away
}
