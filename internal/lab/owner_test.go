package lab_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

const ownerEnv = "LANDFAST_TEST_OWNER"

// startOwner runs this test binary again as a process that owns a machine named
// orphan and lives until it is killed.
func startOwner(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBeOwner$", "-test.v")
	cmd.Env = append(os.Environ(), ownerEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "orphan is up" {
			return cmd
		}
		t.Log(lines.Text())
	}
	t.Fatalf("the owner ended: %v", cmd.Wait())
	return nil
}

func TestBeOwner(t *testing.T) {
	if os.Getenv(ownerEnv) != "1" {
		t.Skip("run by TestOwnerKilled")
	}
	if _, err := lab.Boot(t.Context(), lab.Options{Name: "orphan", Suite: labtest.Suites()[0]}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("orphan is up")
	select {}
}
