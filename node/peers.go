package node

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

const contactsKept = 32

// recallPeers returns the members that an earlier run knew, so that a node finds back
// even if those that it first joined by are gone.
func (n *Node) recallPeers() ([]peer.AddrInfo, error) {
	var known []peer.AddrInfo
	err := n.store.Peers.Each(func(id string, record []byte) error {
		var info peer.AddrInfo
		if err := json.Unmarshal(record, &info); err != nil {
			return fmt.Errorf("kept peer %s: %w", id, err)
		}
		known = append(known, info)
		return nil
	})
	return known, err
}

// rememberPeers keeps the nearest members. An empty table is not kept: it says
// that the network is away, not that nobody is there.
func (n *Node) rememberPeers() {
	if err := n.putPeers(n.overlay.Contacts(contactsKept)); err != nil {
		n.counters.storeFailures.Add(1)
		n.config.Log.Error("members not remembered", "error", err)
	}
}

func (n *Node) putPeers(contacts []peer.AddrInfo) error {
	if len(contacts) == 0 {
		return nil
	}
	records := make(map[string][]byte)
	for _, info := range contacts {
		record, err := json.Marshal(info)
		if err != nil {
			return err
		}
		records[info.ID.String()] = record
	}
	var gone []string
	err := n.store.Peers.Each(func(id string, _ []byte) error {
		if records[id] == nil {
			gone = append(gone, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := n.store.Peers.PutAll(records); err != nil {
		return err
	}
	return n.store.Peers.Delete(gone...)
}

// Contacts are the members in this node's table.
func (n *Node) Contacts() []peer.ID { return slices.Concat(n.overlay.Buckets()...) }
