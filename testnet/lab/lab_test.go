package lab

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestAddresses(t *testing.T) {
	taken := map[netip.Addr]bool{}
	for _, name := range members(Most) {
		a, err := Address(name)
		if err != nil || !Network().Contains(a) || taken[a] {
			t.Errorf("%s is at %v (%v)", name, a, err)
		}
		taken[a] = true
	}
	for _, name := range []string{"", "node", "node0", "node041", "node41", "Node1", "node1 ", "alice"} {
		if a, err := Address(name); err == nil {
			t.Errorf("%q is at %s", name, a)
		}
	}
}

func TestComposeFile(t *testing.T) {
	var text strings.Builder
	if err := (Docker{Image: "komondor-testnet:v1-3-gabc-dirty"}).Compose(&text, 3); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Image, Hostname string
			Container       string `yaml:"container_name"`
			Command         []string
			CapDrop         []string `yaml:"cap_drop"`
			CapAdd          []string `yaml:"cap_add"`
			Networks        map[string]struct {
				Address string `yaml:"ipv4_address"`
			}
		}
		Networks map[string]struct {
			Internal bool
			IPAM     struct{ Config []struct{ Subnet string } }
		}
	}
	if err := yaml.Unmarshal([]byte(text.String()), &file); err != nil {
		t.Fatalf("%v\n%s", err, &text)
	}
	segment := file.Networks["segment"]
	if len(file.Services) != 4 || !segment.Internal || segment.IPAM.Config[0].Subnet != "203.0.113.0/24" {
		t.Errorf("%+v", file)
	}
	for name, s := range file.Services {
		want, err := Address(name)
		if err != nil || s.Networks["segment"].Address != want.String() || s.Container != project+"-"+name ||
			!slices.Equal(s.CapAdd, []string{"NET_ADMIN"}) || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s: %+v (%v)", name, s, err)
		}
	}
	if got := file.Services["node2"].Command; !slices.Equal(got, []string{"participant", "--name", "node2"}) {
		t.Errorf("node2 runs %v", got)
	}
}

// up is a lab with these members.
type up []string

func (up) Name() string                                         { return "up" }
func (up) About() string                                        { return "a test" }
func (up) Up(context.Context, int) error                        { return nil }
func (up) Down(context.Context) error                           { return nil }
func (l up) Members(context.Context) ([]string, error)          { return slices.Clone(l), nil }
func (up) Command(context.Context, string, ...string) *exec.Cmd { return nil }
func (up) Printed(context.Context, string) string               { return "" }

func TestRunning(t *testing.T) {
	l, nodes, err := Running(t.Context(), []Lab{up{"attacker"}, up{"node10", "attacker", "node2", "node1"}})
	if err != nil || len(l.(up)) != 4 || !slices.Equal(nodes, []string{"node1", "node2", "node10"}) {
		t.Errorf("%v, %v, %v", l, nodes, err)
	}
	if _, _, err := Running(t.Context(), []Lab{up{}}); !errors.Is(err, ErrDown) {
		t.Error(err)
	}
}
