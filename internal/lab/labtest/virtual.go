package labtest

import (
	"os"
	"runtime"
	"testing"

	"github.com/landfast/landfast/internal/lab"
)

// RequireVirtual is Require for virtual machines, which take a minute and packages of
// their own: they are left out, and say so, unless LANDFAST_LAB_VIRTUAL is 1, as "make
// power" has it.
func RequireVirtual(t testing.TB) {
	t.Helper()
	Require(t)
	if os.Getenv("LANDFAST_LAB_VIRTUAL") != "1" {
		t.Skip("boots virtual machines: make power does, or LANDFAST_LAB_VIRTUAL=1")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("boots virtual machines: user-mode Linux is for amd64 only")
	}
	if err := lab.CheckVirtual(); err != nil {
		t.Fatal(err)
	}
}

// BootVirtual boots a virtual machine that is closed when the test ends. When the
// test failed, the end of the machine's journal is in its log.
func BootVirtual(t testing.TB, o lab.VirtualOptions) *lab.Virtual {
	t.Helper()
	RequireVirtual(t)
	v, err := lab.BootVirtual(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the journal of %s (%s):\n%s\nconsole:\n%s", v.Name, v.Suite.Name, journalEnd(v), v.Console())
		}
		if err := v.Close(); err != nil {
			t.Errorf("close the machine: %v", err)
		}
	})
	return v
}
