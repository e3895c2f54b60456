package lab_test

import (
	"testing"

	"github.com/landfast/landfast/internal/lab"
)

// An image is one of a suite and a set of packages.
func TestAnImageIsOneOfASetOfPackages(t *testing.T) {
	t.Parallel()
	key := func(packages ...string) string {
		t.Helper()
		k, err := lab.ImageKey("bookworm", packages...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := key()
	if got := key("python3", "systemd"); got != base {
		t.Errorf("with packages that every image has it is another image: %s, %s", got, base)
	}
	runtimes := key("nodejs", "puma")
	if runtimes == base {
		t.Error("with more packages it is the same image")
	}
	if got := key("puma", "nodejs", "puma", "curl"); got != runtimes {
		t.Errorf("in another order it is another image: %s, %s", got, runtimes)
	}
	if key("nodejs") == runtimes {
		t.Error("with fewer packages it is the same image")
	}
}
