package suite_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// swing is an app that goes from one version to the other and back, while things go
// wrong: whatever happens, it is in one of the states it has when nothing does.
type swing struct {
	*app
	manifests map[string][]string // by version: its sections
	want      map[string]string   // by version: the state when it is live
	took      time.Duration       // of the longest deployment undisturbed
}

// kinds are the ways in which version 2 differs from version 1, besides its files.
func kinds(port int) map[string]map[string][]string {
	keep := "[releases]\nkeep = 1"
	two := fmt.Sprintf("[env]\nPORT = %d\nCOLOUR = \"blue\"\n\n[dirs]\nstate = true\ntmp = true", port)
	socket := fmt.Sprintf("[socket]\nlisten = [\"%d\"]", port)
	secret := func(n string) string {
		return "[secrets]\nSECRET = { file = \"/etc/landfast/secrets/" + n + "\", env = true }"
	}
	return map[string]map[string][]string{
		"secrets":    {"1": {keep, secret("1")}, "2": {keep, secret("2")}},
		"plain":      {"1": {keep}, "2": {keep}},
		"units":      {"1": {keep}, "2": {keep, two}},
		"socket":     {"1": {keep, socket}, "2": {keep, socket, two}},
		"new-socket": {"1": {keep}, "2": {keep, socket}},
	}
}

// swing deploys an app of a kind back and forth, undisturbed, and looks at it.
func (h *host) swing(kind string, port int) *swing {
	h.t.Helper()
	s := &swing{app: h.app(kind, port), manifests: kinds(port)[kind], want: map[string]string{}}
	s.release("1", "")
	s.release("2", "")
	s.release("bad", "exit")
	s.manifests["bad"] = s.manifests["2"]
	for _, v := range []string{"1", "2", "1", "2"} {
		s.use(v)
		began := time.Now()
		s.deploy(v).code0()
		s.took = max(s.took, time.Since(began))
		s.answers(v)
		s.want[v] = s.state()
	}
	return s
}

func (s *swing) in(t *testing.T) *swing {
	c, a := *s, *s.app
	a.host = a.in(t)
	c.app = &a
	return &c
}

// use writes the manifest of a version.
func (s *swing) use(version string) { s.manifest(s.manifests[version]...) }

// version is the one whose state the app is in, to the byte.
func (s *swing) version() string {
	s.t.Helper()
	now := s.state()
	for v, state := range s.want {
		if now == state {
			return v
		}
	}
	s.same("the app is in no state that it ever had (before: version 1)", s.want["1"], now)
	s.same("the app is in no state that it ever had (before: version 2)", s.want["2"], now)
	s.t.FailNow()
	return ""
}

// settled resumes what was disturbed and gives the version that is live: the old one
// or the new one, all of it, and running.
func (s *swing) settled(what result, old, target string) string {
	s.t.Helper()
	what.silentOn("known to be bad", "panic", "goroutine ")
	resumed := s.landfast("resume", s.name)
	if resumed.code != 0 {
		s.t.Fatalf("resume: exit code %d\n%safter\n%s", resumed.code, resumed.all, what.all)
	}
	now := s.version()
	if now != old && now != target {
		s.t.Errorf("version %s is live: neither the old one, %s, nor the new one, %s", now, old, target)
	}
	if what.code == 0 && now != target || what.code == 4 && now != old {
		s.t.Errorf("exit code %d, and version %s is live: old %s, new %s\n%s", what.code, now, old, target, what.all)
	}
	s.answers(now)
	s.isWell()
	if s.t.Failed() {
		s.t.Fatalf("after\n%s%s", what.all, resumed.all)
	}
	return now
}

// other is the version that is not live.
func other(version string) string {
	if version == "1" {
		return "2"
	}
	return "1"
}

// tidy checks that a whole round leaves nothing behind, also where only landfast
// looks.
func (s *swing) tidy() {
	s.t.Helper()
	for range 2 {
		next := other(s.version())
		s.use(next)
		s.deploy(next).code0()
		s.answers(next)
		if now := s.version(); now != next {
			s.t.Errorf("version %s is live, and %s was deployed", now, next)
		}
	}
	if left := s.sh("find /srv /etc /var/lib/landfast -name '*.part' -o -name '*.gone' -o -name '*landfast-tmp' -o -path '*/work/*'"); left != "" {
		s.t.Errorf("left behind:\n%s", left)
	}
	if got := s.sh("grep -L '\"state\": \"bad\"' /var/lib/landfast/" + s.name + "/releases/*.json | wc -l"); got != "2" {
		s.t.Errorf("%s releases are remembered besides the bad ones, want 2", got)
	}
	s.landfast("doctor").code0()
}

// tally counts outcomes for the log.
type tally map[string]int

func (c tally) String() string {
	var all []string
	for k, n := range c {
		all = append(all, fmt.Sprintf("%s %d", k, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// dice are random numbers from a seed that is in the log, and that LANDFAST_SUITE_SEED
// gives to see the same again.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("LANDFAST_SUITE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("LANDFAST_SUITE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
