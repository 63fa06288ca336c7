package federation

import (
	"encoding/json"
	"fmt"
)

// Membership is what a node must have to be a member, besides its keys. It is
// kept in one file.
type Membership struct {
	Federation string   `json:"federation"`
	Root       []byte   `json:"root"` // the root's public key: the federation's fingerprint
	Chain      Chain    `json:"chain"`
	Bootstrap  []string `json:"bootstrap"` // addresses of members
}

// LoadMembership reads what Save wrote. Where there is no file the error is
// fs.ErrNotExist: the node has not joined a federation.
func LoadMembership(path string) (Membership, error) {
	var ms Membership
	data, err := readPrivate(path)
	if err != nil {
		return ms, fmt.Errorf("membership: %w", err)
	}
	if err := json.Unmarshal(data, &ms); err != nil {
		return ms, fmt.Errorf("membership %q is damaged (%w): restore it from a backup, or join again with a new invitation", path, err)
	}
	return ms, nil
}

// Save writes the file, readable by its owner only. A crash leaves the former
// one or all of the new one.
func (ms Membership) Save(path string) error {
	data, err := json.MarshalIndent(ms, "", "  ")
	if err == nil {
		err = writeFile(path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save membership %q: %w", path, err)
	}
	return nil
}
