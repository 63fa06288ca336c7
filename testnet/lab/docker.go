package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"text/template"
)

//go:embed compose.yaml
var composition string

// Docker runs the members in containers of one image, by compose.
type Docker struct {
	Image string
}

// Name implements Lab.
func (d Docker) Name() string { return "docker" }

// About implements Lab.
func (d Docker) About() string {
	return "containers of " + d.Image + ", made from scratch, with the testnet's own SSH server"
}

// Available says why no container can be started, if so.
func (d Docker) Available(ctx context.Context) error {
	_, err := output(exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}"))
	return err
}

// compose is `docker compose`, or docker-compose where that is what there is.
func compose(ctx context.Context) ([]string, error) {
	_, plugin := output(exec.CommandContext(ctx, "docker", "compose", "version"))
	if plugin == nil {
		return []string{"docker", "compose"}, nil
	}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}, nil
	}
	return nil, fmt.Errorf("neither docker compose nor docker-compose is there: install one (Debian: apt-get install docker-compose): %w", plugin)
}

// Compose writes the compose file of a network of so many participants.
func (d Docker) Compose(w io.Writer, nodes int) error {
	type service struct {
		Name, Role string
		Address    any
	}
	file := struct {
		Image, Network string
		Services       []service
	}{Image: d.Image, Network: Network().String()}
	for _, name := range members(nodes) {
		address, err := Address(name)
		if err != nil {
			return err
		}
		role := "participant"
		if name == attackerName {
			role = "rest"
		}
		file.Services = append(file.Services, service{name, role, address})
	}
	parsed, err := template.New("compose.yaml").Parse(composition)
	if err != nil {
		return err
	}
	return parsed.Execute(w, file)
}

// Up implements Lab.
func (d Docker) Up(ctx context.Context, nodes int) error {
	if _, err := output(exec.CommandContext(ctx, "docker", "image", "inspect", d.Image)); err != nil {
		return fmt.Errorf("the image %s is missing: run `make image`: %w", d.Image, err)
	}
	command, err := compose(ctx)
	if err != nil {
		return err
	}
	var file strings.Builder
	if err := d.Compose(&file, nodes); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], "--project-name", project, "--file", "-", "up", "--detach")...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdin = strings.NewReader(file.String())
	_, err = output(cmd)
	return err
}

// Down implements Lab. It asks for labels and not for a compose file, because
// what is there may have been made with another number of nodes.
func (d Docker) Down(ctx context.Context) error {
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "--all"}, []string{"rm", "--force", "--volumes"}},
		{[]string{"network", "ls"}, []string{"network", "rm"}},
	} {
		ids, err := d.list(ctx, "{{.ID}}", kind.list...)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			continue
		}
		if _, err := output(exec.CommandContext(ctx, "docker", append(kind.remove, ids...)...)); err != nil {
			return err
		}
	}
	return nil
}

// list lists what compose has labelled as the project's.
func (d Docker) list(ctx context.Context, format string, command ...string) ([]string, error) {
	args := append(command, "--filter", "label=com.docker.compose.project="+project, "--format", format)
	out, err := output(exec.CommandContext(ctx, "docker", args...))
	return strings.Fields(string(out)), err
}

// Members implements Lab.
func (d Docker) Members(ctx context.Context) ([]string, error) {
	if d.Available(ctx) != nil {
		return nil, nil
	}
	return d.list(ctx, `{{.Label "com.docker.compose.service"}}`, "ps")
}

// Command implements Lab.
func (d Docker) Command(ctx context.Context, member string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "docker", append([]string{"exec", "--interactive", project + "-" + member, "/testnet"}, args...)...)
}

// Printed implements Lab.
func (d Docker) Printed(ctx context.Context, member string) string {
	out, err := exec.CommandContext(ctx, "docker", "logs", "--tail", "20", project+"-"+member).CombinedOutput()
	return fmt.Sprint(errors.Join(err, errors.New(string(out))))
}
