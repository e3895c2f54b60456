package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// TestVirtual is one test, because a virtual machine takes its seconds to boot.
func TestVirtual(t *testing.T) {
	labtest.RequireVirtual(t)
	began := time.Now()
	v := labtest.BootVirtual(t, lab.VirtualOptions{Name: "iron", Suite: "bookworm"})
	t.Logf("up after %s", time.Since(began))
	t.Run("programs", func(t *testing.T) { virtualPrograms(t, v) })
	t.Run("connections", func(t *testing.T) { virtualDial(t, v) })
	t.Run("limits", func(t *testing.T) { virtualLimits(t, v) })
	t.Run("power", func(t *testing.T) { virtualPower(t, v) })
}

func virtualPrograms(t *testing.T, v *lab.Virtual) {
	r, err := v.Run(t.Context(), lab.Cmd{
		Argv: []string{"sh", "-c", `cat; echo "$WHO in $PWD at $(hostname)"; echo oops >&2; exit 7`}, Env: []string{"WHO=me"}, Dir: "/tmp",
		Stdin: strings.NewReader(strings.Repeat("x", 3<<20)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("x", 3<<20) + "me in /tmp at iron\n"; r.Stdout != want || r.Stderr != "oops\n" || r.Code != 7 {
		t.Errorf("%d bytes on stdout, want %d; stderr %q; code %d", len(r.Stdout), len(want), r.Stderr, r.Code)
	}
	p, err := v.Start(t.Context(), lab.Cmd{Argv: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if code, err := p.Wait(); code != 128+15 || err != nil {
		t.Errorf("a program ended by SIGTERM: %d, %v", code, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if p, err = v.Start(ctx, lab.Cmd{Argv: []string{"sleep", "1001"}}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
	if r, err := v.Exec(t.Context(), "sh", "-c", "for i in $(seq 100); do pgrep -f 'sleep 100[1]' >/dev/null || exit 0; sleep 0.05; done; exit 1"); err != nil || r.Code != 0 {
		t.Errorf("the program outlives its context: %+v %v", r, err)
	}
	if _, err := v.Exec(t.Context(), "no-such-program"); err == nil {
		t.Error("a program that is not there was started")
	}
}

func virtualDial(t *testing.T, v *lab.Virtual) {
	if err := v.WriteFile("/srv/www/hello", []byte("ahoy"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := v.ReadFile("/srv/www/hello"); string(got) != "ahoy" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := v.Start(t.Context(), lab.Cmd{Argv: []string{"python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "/srv/www", "8000"}}); err != nil {
		t.Fatal(err)
	}
	client := v.HTTP()
	defer client.CloseIdleConnections()
	limit := time.Now().Add(time.Minute)
	for {
		res, err := client.Get("http://localhost:8000/hello")
		if err == nil {
			text, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if string(text) != "ahoy" || err != nil {
				t.Errorf("got %q, %v", text, err)
			}
			return
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}

// virtualLimits shows what a Machine cannot: memory limits of cgroup2.
func virtualLimits(t *testing.T, v *lab.Virtual) {
	r, err := v.Exec(t.Context(), "sh", "-c", `systemd-run --quiet --wait --unit=greedy -p MemoryMax=40M -p OOMPolicy=stop tail /dev/zero; systemctl show -p Result greedy; cat /sys/fs/cgroup/cgroup.controllers`)
	if err != nil || !strings.Contains(r.Stdout, "Result=oom-kill") || !strings.Contains(r.Stdout, "memory") {
		t.Errorf("%+v %v", r, err)
	}
}

func virtualPower(t *testing.T, v *lab.Virtual) {
	r, err := v.Exec(t.Context(), "sh", "-c", "echo kept >/root/synced; sync; echo lost >/root/unsynced; sync /root/synced; cat /root/unsynced")
	if err != nil || r.Code != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	p, err := v.Start(t.Context(), lab.Cmd{Argv: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Cut(); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(); code != -1 || landfast.KindOf(err) != landfast.Unavailable {
		t.Errorf("a program of a machine without power: %d, %v", code, err)
	}
	if _, err := v.Exec(t.Context(), "true"); landfast.KindOf(err) != landfast.Unavailable {
		t.Errorf("a program was started without power: %v", err)
	}
	if left := umlProcesses(t, "iron"); left != "" {
		t.Errorf("left of the machine:\n%s", left)
	}
	began := time.Now()
	if err := v.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("up again after %s", time.Since(began))
	if got, err := v.ReadFile("/root/synced"); string(got) != "kept\n" || err != nil {
		t.Errorf("what was synced: %q, %v", got, err)
	}
	if got, _ := v.ReadFile("/root/unsynced"); strings.Contains(string(got), "lost") {
		t.Errorf("what was not synced survived: the disk is not the machine's own: %q", got)
	}
	if err := v.WriteFile("/root/orderly", []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := v.ReadFile("/root/orderly"); string(got) != "kept" || err != nil {
		t.Errorf("after an orderly restart: %q, %v", got, err)
	}
}

// umlProcesses lists the processes of virtual machines of that name.
func umlProcesses(t *testing.T, name string) string {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range procs {
		if text, err := os.ReadFile(p); err == nil && strings.Contains(string(text), "/"+name+"-") && strings.Contains(string(text), "linux.uml") {
			found = append(found, p)
		}
	}
	return strings.Join(found, "\n")
}

// TestVirtualOwnerKilled kills the owner of a virtual machine that is being booted.
func TestVirtualOwnerKilled(t *testing.T) {
	labtest.RequireVirtual(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBeVirtualOwner$", "-test.v")
	cmd.Env = append(os.Environ(), ownerEnv+"=virtual")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		limit := time.After(time.Minute)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for !ok() {
			select {
			case <-limit:
				t.Fatalf("waited in vain: %s", what)
			case <-tick.C:
			}
		}
	}
	wait("the machine's processes come", func() bool { return strings.Count(umlProcesses(t, "stray"), "\n") > 3 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	wait("the machine's processes go", func() bool { return umlProcesses(t, "stray") == "" })
	// The next machine of anybody sweeps the rest away.
	labtest.Boot(t, lab.Options{Suite: "bookworm"})
	if left, err := filepath.Glob("/dev/shm/landfast-lab/stray-*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestBeVirtualOwner(t *testing.T) {
	if os.Getenv(ownerEnv) != "virtual" {
		t.Skip("run by TestVirtualOwnerKilled")
	}
	v, err := lab.BootVirtual(t.Context(), lab.VirtualOptions{Name: "stray", Suite: "bookworm"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(v.Name, "is up")
	<-t.Context().Done()
	if err := v.Close(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
