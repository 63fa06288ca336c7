// Package komondor holds no code: it says where things are, and its test holds the arrows between them.
//
//	cmd/komondor   the commands: flags to config, one call, print
//	testnet        networks of many nodes on one machine, the demonstration, recorded attacks
//	node           where the packages meet: observe, judge, act
//	probe          logs, packets and honeypot contacts become events
//	keyselect      the keys that an event counts for
//	overlay        the nodes closest to a key, and bytes delivered to them
//	correlate      reports of one key become a verdict
//	broadcast      one message to every node once
//	federation     who is a member, and which policy holds
//	store          what a node remembers
//	block          what the kernel drops, and until when
//	event          the vocabulary that all of them speak
//
// Imports point downwards only: cmd and testnet to node, node to the middle row from probe to block, the middle row to
// event. Packages of the middle row do not import one another; whoever needs something of a neighbour declares a small
// interface, and node fits them together.
package komondor
