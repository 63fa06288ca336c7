package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func flowSet(t *nftables.Table, s shape) *nftables.Set {
	types := map[string]nftables.SetDatatype{"source": keyType(s.family), "target": keyType(s.family),
		"protocol": nftables.TypeInetProto, "port": nftables.TypeInetService}
	var parts []nftables.SetDatatype
	for _, field := range s.fields() {
		parts = append(parts, types[field.name])
	}
	set := &nftables.Set{
		Table: t, ID: 0x10000 + uint32(slices.Index(shapes(), s)), Name: s.set(),
		KeyType: parts[0], HasTimeout: true, Counter: true,
	}
	if len(parts) > 1 {
		set.KeyType, set.Concatenation = nftables.MustConcatSetType(parts...), true
	}
	return set
}

// rule drops the flows of the shape. It is the same in both directions: a flow
// says itself which way it goes.
func (s shape) rule() []expr.Any {
	source, target := uint32(12), uint32(16)
	protocol := byte(unix.NFPROTO_IPV4)
	if s.family == 6 {
		source, target, protocol = 8, 24, unix.NFPROTO_IPV6
	}
	rule := equal(expr.MetaKeyNFPROTO, []byte{protocol})
	register := uint32(unix.NFT_REG32_00)
	for _, f := range s.fields() {
		length := uint32(f.length)
		switch f.name {
		case "source":
			rule = append(rule, &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: source, Len: length})
		case "target":
			rule = append(rule, &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: target, Len: length})
		case "protocol":
			rule = append(rule, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register})
		case "port":
			rule = append(rule, &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: length})
		}
		register += (length + 3) / 4
	}
	set := flowSet(nil, s)
	return append(rule, &expr.Lookup{SourceRegister: uint32(unix.NFT_REG32_00), SetName: set.Name, SetID: set.ID}, verdict(expr.VerdictDrop))
}

// AddFlows blocks flows; see Backend.
func (f *Firewall) AddFlows(ctx context.Context, entries []FlowEntry) error {
	ttl := make(map[Flow]time.Duration, len(entries))
	for _, e := range entries {
		flow, err := e.Flow.canonical()
		if err != nil {
			return fmt.Errorf("block: %w", err)
		}
		if e.TTL < time.Millisecond {
			return fmt.Errorf("block %s: time to live %s, want at least 1ms", flow, e.TTL)
		}
		ttl[flow] = e.TTL
	}
	return f.changeFlows(ctx, "block", ttl, true)
}

// RemoveFlows ends blocks of flows; see Backend.
func (f *Firewall) RemoveFlows(ctx context.Context, flows []Flow) error {
	ttl := make(map[Flow]time.Duration, len(flows))
	for _, flow := range flows {
		flow, err := flow.canonical()
		if err != nil {
			return fmt.Errorf("unblock: %w", err)
		}
		ttl[flow] = time.Second
	}
	return f.changeFlows(ctx, "unblock", ttl, false)
}

// changeFlows replaces or deletes elements as change does. Flows are few, so
// each is a transaction.
func (f *Firewall) changeFlows(ctx context.Context, verb string, ttl map[Flow]time.Duration, keep bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for flow, left := range ttl {
		s, what := shapeOf(flow), fmt.Sprintf("%s flow %s", verb, flow)
		if !f.shapes[s] {
			if !keep {
				continue // there is none of this shape
			}
			f.shapes[s] = true
			if err := f.setup(); err != nil {
				delete(f.shapes, s)
				return fmt.Errorf("%s: %w", what, err)
			}
		}
		elements := flowElements(f.table.Name, s, FlowEntry{flow, left})
		add := message{unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, elements}
		messages := []message{add, {unix.NFT_MSG_DELSETELEM, 0, elements}}
		if keep {
			messages = append(messages, add)
		}
		if err := f.withTable(ctx, what, func() error { return f.sock.batch(messages...) }); err != nil {
			return err
		}
	}
	return nil
}

// FlowCounters reads the elements of the flows' sets; see Backend.
func (f *Firewall) FlowCounters(ctx context.Context) (map[Flow]Counter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := map[Flow]Counter{}
	for s := range f.shapes {
		request := message{unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, flowElements(f.table.Name, s)}
		err := f.sock.ask(request, func(reply []byte) {
			eachElement(reply, func(key []byte, c Counter) {
				if flow, ok := s.flow(key); ok {
					found[flow] = c
				}
			})
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, f.explain("read the flows", err)
		}
	}
	return found, nil
}

func flowElements(table string, s shape, entries ...FlowEntry) []byte {
	return elements(table, s.set(), entries, func(b []byte, e FlowEntry) []byte { return appendElement(b, e.Flow.key(), e.TTL) })
}
