package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// addUsers makes accounts with systemd-sysusers, from the very text that the
// plan puts below sysusers.d, or with useradd where that is not installed.
func (h *Host) addUsers(ctx context.Context, c plan.Changes) error {
	if len(c.Users) == 0 {
		return nil
	}
	if err := h.parents("/etc/passwd"); err != nil {
		return err
	}
	text := c.Sysusers
	if text == "" {
		text = sysusers(c.Users)
	}
	var args []string
	if h.staged() {
		args = append(args, "--root="+h.dir)
	}
	err := tool(ctx, text, "systemd-sysusers", append(args, "-")...)
	if errors.Is(err, exec.ErrNotFound) {
		err = h.useradd(ctx, c.Users)
	}
	if err != nil {
		return err
	}
	names, err := h.accounts()
	if err != nil {
		return err
	}
	for _, u := range c.Users {
		if u.GroupOnly {
			if _, ok := names.gid(u.Group); !ok {
				return fmt.Errorf("create group %s: systemd-sysusers reported success, but there is no such group", u.Group)
			}
			continue
		}
		if _, _, err := names.ids(u.Name, u.Group); err != nil {
			return fmt.Errorf("create user %s: systemd-sysusers reported success, but %w", u.Name, err)
		}
	}
	return nil
}

// sysusers writes accounts as sysusers.d(5) has them.
func sysusers(users []plan.User) string {
	var b strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`)
	for _, u := range users {
		if u.GroupOnly {
			fmt.Fprintf(&b, "g %s -\n", u.Group)
			continue
		}
		id := "-"
		if u.Group != u.Name {
			fmt.Fprintf(&b, "g %s -\n", u.Group)
			id = "-:" + u.Group
		}
		fmt.Fprintf(&b, "u %s %s \"%s\" \"%s\"\n", u.Name, id, quote.Replace(u.Description), quote.Replace(u.Home))
	}
	return b.String()
}

func (h *Host) useradd(ctx context.Context, users []plan.User) error {
	for _, u := range users {
		names, err := h.accounts()
		if err != nil {
			return err
		}
		if _, ok := names.gid(u.Group); !ok {
			if err := h.shadow(ctx, "groupadd", "--system", u.Group); err != nil {
				return err
			}
		}
		if _, ok := names.uid(u.Name); ok || u.GroupOnly {
			continue
		}
		err = h.shadow(ctx, "useradd", "--system", "--gid", u.Group, "--home-dir", u.Home, "--no-create-home",
			"--shell", "/usr/sbin/nologin", "--comment", u.Description, u.Name)
		if err != nil {
			return err
		}
	}
	return nil
}

// shadow runs one of the tools that add to passwd(5), below the root.
func (h *Host) shadow(ctx context.Context, name string, args ...string) error {
	if h.staged() {
		args = append([]string{"--prefix", h.dir}, args...)
	}
	err := tool(ctx, "", name, args...)
	if errors.Is(err, exec.ErrNotFound) {
		return &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  "cannot change accounts: neither systemd-sysusers nor " + name + " can be found",
			Hint: "install the package of one (systemd; passwd or shadow-utils)",
		}
	}
	return err
}

// tool runs a program to its end, and gives what it complained of as the error.
func tool(ctx context.Context, stdin, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrNotFound) {
		return err
	}
	if said := strings.TrimSpace(out.String()); said != "" {
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return fmt.Errorf("%s: %w", name, err)
}
