package host_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/host"
)

func TestLock(t *testing.T) {
	w := newWorld(t)
	unlock, err := w.host.Lock(t.Context(), "web", "deployment 7")
	if err != nil {
		t.Fatal(err)
	}
	second := openWorld(t, w.root)
	_, err = second.host.Lock(t.Context(), "web", "apply")
	if landfast.KindOf(err) != landfast.Conflict || !strings.Contains(err.Error(), "deployment 7") || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v, want who holds it", err)
	}
	other, err := second.host.Lock(t.Context(), "shop", "apply")
	if err != nil {
		t.Errorf("another app: %v", err)
	} else {
		other()
	}
	// An uninstall removes the file while it holds the lock.
	if err := os.Remove(w.root + "/var/lib/landfast/web/lock"); err != nil {
		t.Fatal(err)
	}
	again, err := second.host.Lock(t.Context(), "web", "apply")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := w.host.Lock(t.Context(), "web", "x"); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("the lock on the removed file counted: got %v", err)
	}
	again()
	last, err := w.host.Lock(t.Context(), "web", "x")
	if err != nil {
		t.Fatal(err)
	}
	last()
}

// TestLockDies kills the process that holds a lock.
func TestLockDies(t *testing.T) {
	if root := os.Getenv("LANDFAST_TEST_LOCK"); root != "" {
		h, err := host.Open(root, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Lock(t.Context(), "web", "the one that dies"); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		select {}
	}
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestLockDies$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), "LANDFAST_TEST_LOCK="+w.root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if _, err := w.host.Lock(t.Context(), "web", "x"); err == nil || !strings.Contains(err.Error(), "the one that dies") {
		t.Errorf("got %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	unlock, err := w.host.Lock(t.Context(), "web", "x")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
