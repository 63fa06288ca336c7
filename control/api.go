// Package control is how people and scripts talk to a running node: HTTP over a
// Unix socket that only the node's user may open, and the same read-only over a
// local TCP address where asked for. The types here are the stable names of
// every --json output.
package control

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/komondor/komondor/event"
)

// Node is what the server needs of the node. Methods are called concurrently.
type Node interface {
	Status() Status
	Alerts() ([]Alert, error) // oldest first
	// MarkFalse tells all members that an alert is false, and lifts its blocks here;
	// MarkTrue takes that back. The beginning of an id is enough where it names one.
	MarkFalse(ctx context.Context, id, reason string) (Alert, error)
	MarkTrue(ctx context.Context, id string) (Alert, error)
	// Follow calls fn for every alert from now on, new or updated, until ctx ends.
	Follow(ctx context.Context, fn func(Alert) error) error
	Blocks() ([]Block, error)
	Block(ctx context.Context, prefix netip.Prefix, d time.Duration, reason string) (Block, error)
	Unblock(ctx context.Context, prefix netip.Prefix) error
	FlushBlocks(ctx context.Context) (int, error)
	Allowed() ([]Allowed, error)
	Allow(ctx context.Context, entry, note string) error
	Disallow(ctx context.Context, entry string) error
	// Approve blocks what waits for a person; Reject drops it. Without prefixes all
	// that waits is meant.
	Approve(ctx context.Context, prefixes []netip.Prefix) ([]Block, error)
	Reject(ctx context.Context, prefixes []netip.Prefix) (int, error)
	// Flows lists the blocked flows.
	Flows() ([]Flow, error)
	// Responses lists what the units that respond were asked for, the latest first.
	Responses() ([]Response, error)
	// Respond asks them for an action; their modes hold.
	Respond(ctx context.Context, a Action) (Response, error)
	ApproveResponse(ctx context.Context, id string) (Response, error)
	RejectResponse(ctx context.Context, id string) (Response, error)
	UndoResponse(ctx context.Context, id string) (Response, error)
	Explain(ctx context.Context, addr netip.Addr) (Explanation, error)
	Scenarios() (Scenarios, error)
	// Members lists the federation's nodes; an open overlay has none that it knows.
	Members() ([]Member, error)
	// Policy and Revocations are what the root and the organisations have signed, as
	// it stands, in JSON: the signer makes the next version of it.
	Policy() (json.RawMessage, error)
	Revocations() (json.RawMessage, error)
	Organisation(name string) (json.RawMessage, error)
	// Submit takes a signed document and spreads it.
	Submit(ctx context.Context, document []byte) error
	// Deposit keeps an invitation, to be redeemed at this node.
	Deposit(offer []byte) error
}

// Status is the state of a node.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Node    Identity  `json:"node"`
	Peers   int       `json:"peers"`
	// Role is full or leaf. Attached is how many leaves hang on a full node, and on
	// how many full nodes a leaf hangs: three, where there are so many.
	Role       string     `json:"role"`
	Attached   int        `json:"attached"`
	Collecting Collecting `json:"collecting"`
	Federation Federation `json:"federation"`
	Block      Blocking   `json:"block"`
	Respond    Responding `json:"respond"`
	Sources    []Source   `json:"sources"`
	// Scenarios counts attacks of several steps.
	Scenarios ScenarioCounts `json:"scenarios"`
	Counters  Counters       `json:"counters"`
}

// Collecting says what a node takes on for others.
type Collecting struct {
	Capacity string `json:"capacity"` // for which share of the keys near to it: 1, 1/2, 1/4, 1/8 or 0
	// Now is false for who collects for nobody, for one because of its capacity, for
	// another because it has too much to do: then Reason and Since say why, and since when.
	Now    bool      `json:"now"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Load is how much this node has to do: at 1 and above, for some seconds, it
	// sheds collecting.
	Load float64 `json:"load"`
}

// Identity is the node's name in the overlay.
type Identity struct {
	ID        string   `json:"id"`
	Addresses []string `json:"addresses"` // multiaddrs ending in /p2p/ID
}

// Federation says with whom the node counts together, and how safe that is.
type Federation struct {
	Name string `json:"name"`
	// Open is a lab overlay: no certificates, everybody may speak, and each node
	// counts as an organisation.
	Open          bool   `json:"open"`
	Organisation  string `json:"organisation,omitempty"` // this node's
	Organisations int    `json:"organisations"`
	Voting        int    `json:"voting"` // organisations whose evidence counts for others
	Members       int    `json:"members"`
	Quorum        int    `json:"quorum"`
	// Withstands is how many organisations may collude and still block nobody.
	Withstands int    `json:"withstands"`
	Weak       bool   `json:"weak"`
	Safety     string `json:"safety"` // the same in a sentence
	// Policy is the version of the federation's policy that holds here.
	Policy uint64 `json:"policy"`
	// Until is when this node's certificate ends; it renews by itself before.
	Until time.Time `json:"until,omitzero"`
	// Warning says why evidence of others causes no blocks by itself now.
	Warning string `json:"warning,omitempty"`
	// Unrenewed says why certificates, of this node or of those that it certifies, are
	// not renewed.
	Unrenewed string `json:"unrenewed,omitempty"`
}

// Member is one node of the federation.
type Member struct {
	ID           string    `json:"id"`
	Organisation string    `json:"organisation"`
	Tier         string    `json:"tier"`          // of the organisation: anchor, member or probation
	Votes        bool      `json:"votes"`         // whether its evidence counts for others
	Issuer       bool      `json:"issuer"`        // holds its organisation's key
	Serial       uint64    `json:"serial,string"` // of its certificate: more than a script's number holds
	Since        time.Time `json:"since"`
	Until        time.Time `json:"until"` // when its certificate ends
	State        string    `json:"state"` // valid, revoked, expired or faulty
	Reason       string    `json:"reason,omitempty"`
	Self         bool      `json:"self,omitempty"`
}

// Blocking says how the node acts.
type Blocking struct {
	Mode      string `json:"mode"`    // nft or observe
	Network   string `json:"network"` // what others' evidence may do: auto, approve or observe
	Table     string `json:"table,omitempty"`
	Live      int    `json:"live"`     // blocks now; none in mode observe
	Waiting   int    `json:"waiting"`  // for a person's approval
	Observed  int    `json:"observed"` // only shown: all in mode observe, else by the policy on others' evidence
	Flows     int    `json:"flows"`    // blocked or observed now, beside the prefixes
	LastHour  int    `json:"last_hour"`
	NeverHits uint64 `json:"never_hits"` // proposals that hit the never-block set
	// Breaker says that others' were too many in the last hour: somebody has
	// bad evidence, or bad intentions. What others say waits meanwhile.
	Breaker bool   `json:"breaker"`
	Warning string `json:"warning,omitempty"` // what of this host could not be looked at
}

// The states of a source.
const (
	Waiting = "waiting" // what it reads is not there yet, or not any more, or may not be read
	Reading = "reading"
	Silent  = "silent" // it could be read, and nothing comes for longer than ever
	Ended   = "ended"  // a pipe whose writer has gone
	Failed  = "failed" // the notice says by what
)

// Source is one log, interface or the like that the node reads. What it counts is of a second ago
// at most where packets are read, and only grows.
type Source struct {
	Format    string    `json:"format"`
	Path      string    `json:"path"`
	State     string    `json:"state,omitempty"` // none in a replay
	Lines     uint64    `json:"lines"`           // or packets, or programs
	Events    uint64    `json:"events"`
	LastEvent time.Time `json:"last_event,omitzero"` // by its own time, as the sensor says
	Malformed uint64    `json:"malformed"`           // skipped
	Truncated uint64    `json:"truncated"`
	Dropped   uint64    `json:"dropped,omitempty"` // events of a source that cannot wait, while there was no room
	Lost      uint64    `json:"lost,omitempty"`    // by the kernel: packets that came faster than they were read, or times it could not tell of programs

	// Of packets.
	Unread    uint64 `json:"unread,omitempty"`    // of a kind of link that is not read
	Forgotten uint64 `json:"forgotten,omitempty"` // connections, tries and sums of them that were given up early for want of room
	Withheld  uint64 `json:"withheld,omitempty"`  // refused connections that no event tells of: too many
	Unscanned uint64 `json:"unscanned,omitempty"` // bytes of payload that there was no time to look into
	GivenUp   uint64 `json:"given_up,omitempty"`  // scans of payload that took too long, or failed

	Doubtful bool     `json:"doubtful,omitempty"` // no line of its beginning is of the format that it is said to have
	Examples []string `json:"examples,omitempty"` // of malformed lines, the first few
	Notice   string   `json:"notice,omitempty"`   // the latest
	// ClockOffset is by how many seconds the sensor's clock is ahead, or behind if
	// negative; its times are corrected by that.
	ClockOffset int64 `json:"clock_offset,omitempty"`
	// SilentSince is when it last wrote something, where it is silent for longer than ever.
	SilentSince time.Time `json:"silent_since,omitzero"`
}

// Counters only grow while the node runs.
type Counters struct {
	Events           uint64 `json:"events"`
	EventsOld        uint64 `json:"events_old"`        // older than any rule reaches: archived only
	EventsFuture     uint64 `json:"events_future"`     // more than two minutes ahead: the sensor's clock is off
	EventsUnarchived uint64 `json:"events_unarchived"` // judged while the store failed, and not kept
	Attempts         uint64 `json:"attempts"`          // after merging the lines of one attempt
	Linked           uint64 `json:"linked"`            // events taken for one with others: duplicates, and what confirms
	Missing          uint64 `json:"missing"`           // consequences that did not come
	KeysEvicted      uint64 `json:"keys_evicted"`
	// RelationsForgotten is what relations would still have waited for, and gave up for want of room.
	RelationsForgotten uint64 `json:"relations_forgotten"`
	Reports            uint64 `json:"reports"`         // versions of a report that this node made
	Unfollowed         uint64 `json:"unfollowed"`      // reported keys that new collectors are not told of until they change: too many
	ReportMessages     uint64 `json:"report_messages"` // their copies sent to collectors
	ReportBatches      uint64 `json:"report_batches"`
	Acknowledged       uint64 `json:"acknowledged"`
	Lookups            uint64 `json:"lookups"`
	LookupMessages     uint64 `json:"lookup_messages"`
	Redirects          uint64 `json:"redirects"`
	Collected          uint64 `json:"collected"` // reports taken as a collector
	Handed             uint64 `json:"handed"`    // reports of others handed on to new collectors
	Refused            uint64 `json:"refused"`   // reports refused as a collector
	Shed               uint64 `json:"shed"`      // reports turned away because there was too much to do
	KeysCollected      uint64 `json:"keys_collected"`
	WordsEvicted       uint64 `json:"words_evicted"` // an organisation's on a key, given up as a collector
	Alerts             uint64 `json:"alerts"`        // that this node knows of
	AlertsRaised       uint64 `json:"alerts_raised"`
	AlertsInvalid      uint64 `json:"alerts_invalid"`
	Withdrawn          uint64 `json:"withdrawn"`   // blocks whose evidence no longer meets the quorum
	Turned             uint64 `json:"turned_away"` // connections of strangers
	AlertMessages      uint64 `json:"alert_messages"`
	AlertsRepaired     uint64 `json:"alerts_repaired"` // missed when they were broadcast, and fetched from a neighbour
	AlertDuplicates    uint64 `json:"alert_duplicates"`
	Blocks             uint64 `json:"blocks"`
	BlocksRefused      uint64 `json:"blocks_refused"`
	StoreFailures      uint64 `json:"store_failures"`
}

// Alert is a verdict as people and scripts see it.
type Alert struct {
	ID    string `json:"id,omitempty"` // none in a replay
	Rule  string `json:"rule"`
	Title string `json:"title"`
	Level string `json:"level"`
	Scope string `json:"scope"` // home: one organisation's evidence; federation: met the quorum
	// Organisation is whose evidence alone it rests on, at home.
	Organisation string    `json:"organisation,omitempty"`
	Key          event.Key `json:"key"`
	// Score is points or distinct values, as the rule counts.
	Score     int            `json:"score"`
	Count     uint64         `json:"count"`             // observations
	Targets   int            `json:"targets,omitempty"` // distinct ones, where the key's evidence counts them: up to 16 exactly
	Sensors   []string       `json:"sensors"`           // who saw them: members, or files in a replay
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"`
	Agreed    time.Time      `json:"agreed,omitzero"` // up to when as many organisations as the quorum have evidence: blocks are reckoned from it
	Offenders []netip.Prefix `json:"offenders"`       // that may be blocked
	Raised    time.Time      `json:"raised,omitzero"`
	// State is growing, calm or ended (docs/alerts.md); none in a replay.
	State string `json:"state,omitempty"`
	// Updates is how often later verdicts on the same attack have changed the alert, and
	// Latest the id that the last of them has over the overlay, if it is another.
	Updates int    `json:"updates,omitempty"`
	Latest  string `json:"latest,omitempty"`
	// Opinions are of those who say that it is false.
	Opinions []Opinion `json:"opinions,omitempty"`
	// Steps are the actions that were seen, of an attack of several steps.
	Steps []string `json:"steps,omitempty"`
	// Action says what this node did about it, in words.
	Action string `json:"action,omitempty"`
	// Open marks evidence of an overlay without certificates.
	Open bool `json:"open,omitempty"`
	// Proof is the alert as it came over the overlay. It is kept, and not shown.
	Proof []byte `json:"-" cbor:"proof,omitempty"`
}

// Opinion is that of a member who says that an alert is false.
type Opinion struct {
	Organisation string    `json:"organisation"`
	Member       string    `json:"member"`
	Said         time.Time `json:"said"`
	Reason       string    `json:"reason"`
}

// Block is one prefix that is kept out.
type Block struct {
	Prefix  netip.Prefix `json:"prefix"`
	Since   time.Time    `json:"since"`
	Until   time.Time    `json:"until"`
	State   string       `json:"state"` // blocked, observed, or waiting for a person
	Reason  string       `json:"reason"`
	Alert   string       `json:"alert,omitempty"`
	Hold    string       `json:"hold,omitempty"` // why a person has to decide, where it is waiting
	Repeats int          `json:"repeats"`
	Packets uint64       `json:"packets"` // what the block has stopped
	Bytes   uint64       `json:"bytes"`
}

// Flow is packets that are kept out by what is written in them.
type Flow struct {
	Source   netip.Addr `json:"source,omitzero"` // none: any
	Target   netip.Addr `json:"target"`
	Protocol string     `json:"protocol,omitempty"`
	Port     uint16     `json:"port,omitempty"` // the target's
	Since    time.Time  `json:"since"`
	Until    time.Time  `json:"until"`
	State    string     `json:"state"` // blocked or observed
	Reason   string     `json:"reason"`
	Alert    string     `json:"alert,omitempty"`
	Packets  uint64     `json:"packets"` // what the block has stopped
	Bytes    uint64     `json:"bytes"`
}

// Action is what a unit that responds can be asked for.
type Action struct {
	// Action is block-source, block-target, block-flow, reset-half-open, kill-process
	// or run-hook; which of the other fields it needs depends on it.
	Action     string     `json:"action"`
	Source     netip.Addr `json:"source,omitzero"`
	Target     netip.Addr `json:"target,omitzero"`
	Protocol   string     `json:"protocol,omitempty"`
	Port       uint16     `json:"port,omitempty"`
	Executable string     `json:"executable,omitempty"`
	User       string     `json:"user,omitempty"`
	Hook       string     `json:"hook,omitempty"`
	Reason     string     `json:"reason"`
}

// Response is an action, and what became of it.
type Response struct {
	ID   string `json:"id"`
	Unit string `json:"unit"`
	Action
	State    string    `json:"state"` // due, observed, waiting, done, failed, refused or undone
	Outcome  string    `json:"outcome"`
	Hold     string    `json:"hold,omitempty"` // why a person decides, or has decided
	Undoable bool      `json:"undoable"`
	Asked    time.Time `json:"asked"`
	Times    int       `json:"times"` // that it was asked for
	Changed  time.Time `json:"changed"`
	Alert    string    `json:"alert,omitempty"`
	Scenario string    `json:"scenario,omitempty"`
}

// Responding says what the units that respond may do, and have done.
type Responding struct {
	Units   map[string]string `json:"units"` // the mode of each
	Hooks   []string          `json:"hooks,omitempty"`
	Waiting int               `json:"waiting"` // for a person
	Done    int               `json:"done"`    // of those that are remembered
	Failed  int               `json:"failed"`
}

// Allowed is an entry of the allow-list: an address, a prefix or a host name.
type Allowed struct {
	Entry string    `json:"entry"`
	Note  string    `json:"note,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Explanation is all that a node knows about an address.
type Explanation struct {
	Address  netip.Addr    `json:"address"`
	Key      event.Key     `json:"key"`
	Verdict  string        `json:"verdict"` // why it is or isn't blocked, in a sentence
	Block    *Block        `json:"block,omitempty"`
	Waiting  *Block        `json:"waiting,omitempty"` // a block that a person has to approve
	Never    string        `json:"never,omitempty"`   // why it can never be blocked
	Own      []Evidence    `json:"own"`               // seen here
	Rules    []Standing    `json:"rules"`
	Alerts   []Alert       `json:"alerts"`
	Recent   []event.Event `json:"recent"`
	Gathered []Testimony   `json:"gathered"` // from members, where this node is a collector of the key
}

// Evidence counts one kind.
type Evidence struct {
	Kind  event.Kind `json:"kind"`
	Count uint64     `json:"count"`
	First time.Time  `json:"first"`
	Last  time.Time  `json:"last"`
}

// Standing is how far evidence is from a rule's threshold.
type Standing struct {
	Rule  string `json:"rule"`
	Scope string `json:"scope"`
	Score int    `json:"score"` // of all that was seen
	// Counted is what of it counts for the threshold: none of an organisation's for
	// more than its share.
	Counted   int `json:"counted"`
	Threshold int `json:"threshold"`
	// Organisations are those whose evidence it is; the quorum counts them.
	Organisations int  `json:"organisations"`
	Quorum        int  `json:"quorum"`
	Crossed       bool `json:"crossed"`
	// Elsewhere says that other nodes collect what is known under the key: this one cannot tell,
	// and has no figures.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Testimony is what one member has reported.
type Testimony struct {
	Member       string     `json:"member"`
	Organisation string     `json:"organisation"`
	Kinds        []Evidence `json:"kinds"`
}
