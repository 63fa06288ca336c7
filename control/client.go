package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// ErrNoNode is what every call returns, wrapped, when no node answers.
var ErrNoNode = errors.New("no node answers")

// Client talks to the node behind a control socket.
type Client struct {
	socket string
	http   http.Client
}

// Dial returns a client of the node at socket; nothing is sent yet.
func Dial(socket string) *Client {
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
}

func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, "GET", "/status", nil, &s)
}

func (c *Client) Alerts(ctx context.Context) (a []Alert, err error) {
	return a, c.call(ctx, "GET", "/alerts", nil, &a)
}

func (c *Client) Blocks(ctx context.Context) (b []Block, err error) {
	return b, c.call(ctx, "GET", "/blocks", nil, &b)
}

// Block asks the node to block prefix; d 0 is the node's own choice.
func (c *Client) Block(ctx context.Context, prefix netip.Prefix, d time.Duration, reason string) (b Block, err error) {
	want := map[string]any{"prefix": prefix, "duration": d, "reason": reason}
	return b, c.call(ctx, "POST", "/blocks", want, &b)
}

func (c *Client) Unblock(ctx context.Context, prefix netip.Prefix) error {
	return c.call(ctx, "DELETE", "/blocks?"+url.Values{"prefix": {prefix.String()}}.Encode(), nil, nil)
}

// MarkFalse tells all members that an alert is false, and lifts its blocks at the node.
func (c *Client) MarkFalse(ctx context.Context, id, reason string) (a Alert, err error) {
	return a, c.call(ctx, "POST", "/alerts/"+url.PathEscape(id)+"/false?"+url.Values{"reason": {reason}}.Encode(), nil, &a)
}

// MarkTrue takes back what MarkFalse said.
func (c *Client) MarkTrue(ctx context.Context, id string) (a Alert, err error) {
	return a, c.call(ctx, "DELETE", "/alerts/"+url.PathEscape(id)+"/false", nil, &a)
}

// FlushBlocks ends all blocks and returns how many there were.
func (c *Client) FlushBlocks(ctx context.Context) (n int, err error) {
	return n, c.call(ctx, "DELETE", "/blocks", nil, &n)
}

// Approve blocks what waits under prefixes, or all that waits.
func (c *Client) Approve(ctx context.Context, prefixes ...netip.Prefix) (b []Block, err error) {
	return b, c.call(ctx, "POST", "/waiting", prefixes, &b)
}

// Reject drops what waits, and returns how many there were.
func (c *Client) Reject(ctx context.Context, prefixes ...netip.Prefix) (n int, err error) {
	return n, c.call(ctx, "DELETE", "/waiting", prefixes, &n)
}

func (c *Client) Flows(ctx context.Context) (f []Flow, err error) {
	return f, c.call(ctx, "GET", "/flows", nil, &f)
}

func (c *Client) Responses(ctx context.Context) (r []Response, err error) {
	return r, c.call(ctx, "GET", "/responses", nil, &r)
}

// Respond asks the units that respond for an action.
func (c *Client) Respond(ctx context.Context, a Action) (r Response, err error) {
	return r, c.call(ctx, "POST", "/responses", a, &r)
}

// DecideResponse approves, rejects or undoes a response: decision is approve, reject or undo.
func (c *Client) DecideResponse(ctx context.Context, id, decision string) (r Response, err error) {
	return r, c.call(ctx, "POST", "/responses/"+url.PathEscape(id)+"/"+decision, nil, &r)
}

func (c *Client) Members(ctx context.Context) (m []Member, err error) {
	return m, c.call(ctx, "GET", "/members", nil, &m)
}

// Policy reads the federation's policy into a value of its type.
func (c *Client) Policy(ctx context.Context, into any) error {
	return c.call(ctx, "GET", "/policy", nil, into)
}

// Revocations reads the revocation lists into a slice of their type.
func (c *Client) Revocations(ctx context.Context, into any) error {
	return c.call(ctx, "GET", "/revocations", nil, into)
}

// Organisation reads an organisation's newest certificate.
func (c *Client) Organisation(ctx context.Context, name string, into any) error {
	return c.call(ctx, "GET", "/organisations/"+url.PathEscape(name), nil, into)
}

// Submit hands a signed document to the node, which spreads it.
func (c *Client) Submit(ctx context.Context, document []byte) error {
	return c.call(ctx, "POST", "/documents", document, nil)
}

// Deposit leaves an invitation at the node, to be redeemed there.
func (c *Client) Deposit(ctx context.Context, offer []byte) error {
	return c.call(ctx, "POST", "/invitations", offer, nil)
}

func (c *Client) Allowed(ctx context.Context) (a []Allowed, err error) {
	return a, c.call(ctx, "GET", "/allowed", nil, &a)
}

func (c *Client) Allow(ctx context.Context, entry, note string) error {
	return c.call(ctx, "POST", "/allowed?"+url.Values{"entry": {entry}, "note": {note}}.Encode(), nil, nil)
}

func (c *Client) Disallow(ctx context.Context, entry string) error {
	return c.call(ctx, "DELETE", "/allowed?"+url.Values{"entry": {entry}}.Encode(), nil, nil)
}

func (c *Client) Scenarios(ctx context.Context) (s Scenarios, err error) {
	return s, c.call(ctx, "GET", "/scenarios", nil, &s)
}

func (c *Client) Explain(ctx context.Context, addr netip.Addr) (e Explanation, err error) {
	return e, c.call(ctx, "GET", "/explain?"+url.Values{"address": {addr.String()}}.Encode(), nil, &e)
}

// Follow calls fn for every alert from now on, until ctx ends, the node ends or
// fn fails.
func (c *Client) Follow(ctx context.Context, fn func(Alert) error) error {
	resp, err := c.send(ctx, "GET", "/alerts?follow=1", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for decode := json.NewDecoder(resp.Body); ; {
		var a Alert
		if err := decode.Decode(&a); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("node at %s went away: %w", c.socket, err)
		}
		if err := fn(a); err != nil {
			return err
		}
	}
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("answer of the node at %s: %w", c.socket, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content bytes.Buffer
	if raw, ok := body.([]byte); ok {
		content.Write(raw)
	} else if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, &content)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var unreachable *net.OpError
		if errors.As(err, &unreachable) {
			err = unreachable.Err
		}
		return nil, fmt.Errorf("%w at %s (is `komondor join` running, with this --control or --data?): %w", ErrNoNode, c.socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var refusal struct{ Message string }
		if json.NewDecoder(resp.Body).Decode(&refusal) != nil || refusal.Message == "" {
			refusal.Message = resp.Status
		}
		return nil, errors.New(refusal.Message)
	}
	return resp, nil
}
