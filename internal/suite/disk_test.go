package suite_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var faultLine = regexp.MustCompile(`fault: (\d+) changes, (\d+) failed: (.*)`)

// faulty deploys a version while its changes to the disk go wrong (testdata/fault).
func (s *swing) faulty(mode string, at int, target string) (r result, failed int, which string) {
	s.t.Helper()
	s.use(target)
	r = s.run(s.dir, "fault", mode, "-at", strconv.Itoa(at), "landfast", "deploy", "--from", target)
	m := faultLine.FindStringSubmatch(r.all)
	if m == nil {
		s.t.Fatalf("fault does not say what it did:\n%s", r.all)
	}
	failed, _ = strconv.Atoi(m[2])
	return r, failed, m[3]
}

// TestTheDiskIsFullAtEveryWrite lets every change to the disk that needs room fail:
// alone, and together with all that follow, so that undoing fails as well. After it
// there is room again.
func TestTheDiskIsFullAtEveryWrite(t *testing.T) {
	eachHost(t, func(h *host) {
		s := h.swing("units", 9000)
		for _, mode := range []string{"-once", "-full"} {
			// Each machine goes through all points of one mode and some of the other.
			stride := 12
			if (mode == "-once") == (h.Suite.Name == "bookworm") || everything() {
				stride = 1
			}
			h.t.Run(strings.TrimPrefix(mode, "-"), func(t *testing.T) { s.in(t).fullAt(mode, stride) })
		}
		s.tidy()
	})
}

// everything asks for all points on all machines, which takes many minutes.
func everything() bool { return os.Getenv("LANDFAST_SUITE_EVERYTHING") == "1" }

func (s *swing) fullAt(mode string, stride int) {
	s.t.Helper()
	old, points, outcomes := s.version(), 0, tally{}
	for at := 1; ; at += stride {
		target := other(old)
		r, failed, which := s.faulty(mode, at, target)
		if failed == 0 && stride == 1 || failed == 0 && r.code == 0 {
			r.code0()
			s.t.Logf("%s: %d points tried, every %d. of %d: %s", mode, points, stride, at-1, outcomes)
			return
		}
		points++
		if r.code != 0 && !strings.Contains(r.all, "no space left on device") && !strings.Contains(r.all, "input/output error") {
			s.t.Errorf("%s at %d (%s): the reason is not told\n%s", mode, at, which, r.all)
		}
		now := s.settled(r, old, target)
		outcome := "old"
		if now == target {
			outcome = "new"
		}
		outcomes[fmt.Sprintf("%s with exit code %d", outcome, r.code)]++
		old = now
	}
}

// TestKilledBeforeAnyChange kills the program before its changes to the disk, one
// after the other.
func TestKilledBeforeAnyChange(t *testing.T) {
	eachHost(t, func(h *host) {
		s := h.swing("socket", 9000)
		stride := 7
		if everything() {
			stride = 1
		}
		d := dice(h.t)
		old, points, outcomes := s.version(), 0, tally{}
		for at := 1 + d.IntN(stride); ; at += stride {
			target := other(old)
			r, failed, _ := s.faulty("-kill", at, target)
			if failed == 0 {
				h.t.Logf("killed before %d of %d changes: %s", points, at-1, outcomes)
				break
			}
			points++
			now := s.settled(r, old, target)
			outcome := "old"
			if now == target {
				outcome = "new"
			}
			outcomes[outcome]++
			old = now
		}
		s.tidy()
	})
}
