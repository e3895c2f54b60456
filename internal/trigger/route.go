package trigger

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
)

const (
	heads = "refs/heads/"
	tags  = "refs/tags/"
)

// closed says why a message is not to take effect; "" when it is.
func (t *source) closed(m message) string {
	switch {
	case !t.On():
		return "the trigger is switched off"
	case m.closed != "":
		return m.closed
	case m.event != "" && !slices.Contains(t.Events, m.event):
		return fmt.Sprintf("%s is not one of the events that this trigger is for", m.event)
	case !slices.Contains(t.actions(), string(m.action)):
		return fmt.Sprintf("%s is not one of the actions that this trigger is for", m.action)
	case t.Repository != "" && !t.repository.Match(strings.ToLower(m.repository)):
		return "the repository is not the one that this trigger is for"
	}
	if why := t.closedRef(m); why != "" {
		return why
	}
	if len(t.Paths) > 0 && m.listed && !slices.ContainsFunc(m.paths, func(p string) bool { return hostconf.Match(t.Paths, p) }) {
		return "no file that changed is one that this trigger is for"
	}
	return ""
}

// actions are what the trigger may ask for.
func (t *source) actions() []string {
	switch t.Provider {
	case hostconf.Generic, hostconf.Standard, hostconf.SNS:
		return t.Actions
	}
	return []string{string(landfast.ActionDeploy)}
}

// closedRef looks at the branch or the tag.
func (t *source) closedRef(m message) string {
	if m.action != landfast.ActionDeploy {
		return ""
	}
	branch, isBranch := strings.CutPrefix(m.ref, heads)
	tag, isTag := strings.CutPrefix(m.ref, tags)
	filtered := len(t.Branches)+len(t.Tags) > 0
	switch {
	case isBranch:
		if (filtered && m.event != "deployment" || len(t.Branches) > 0) && !hostconf.Match(t.Branches, branch) {
			return "the branch is not one that this trigger is for"
		}
	case isTag:
		if t.minds(m) && !hostconf.Match(t.Tags, tag) {
			return "the tag is not one that this trigger is for"
		}
	case m.ref == "":
		if filtered && t.Provider != hostconf.SNS {
			return "it names no branch or tag"
		}
	case filtered || m.event == "push":
		return "the ref is neither a branch nor a tag"
	}
	return ""
}

// minds reports whether the tag of a message counts: where the trigger names tags,
// and where it names branches only, except for a release or a deployment to an
// environment, which are asked for by their own name.
func (t *source) minds(m message) bool {
	named := m.event == "release" || m.event == "deployment"
	return len(t.Tags) > 0 || len(t.Branches) > 0 && !named
}

var commitForm = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// isRef reports whether s may be handed to git as a ref (git-check-ref-format(1)).
func isRef(s string) bool {
	if len(s) > 255 || !strings.HasPrefix(s, "refs/") || !utf8.ValidString(s) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return false
		}
	}
	return !strings.Contains(s, "..") && !strings.Contains(s, "@{") && !strings.Contains(s, "/-") &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(" ~^:?*[\\", r) })
}

// What is kept of a message is bounded.
const (
	maxName  = 255
	maxText  = 200
	maxPaths = 1000
)

// check refuses what cannot be, and cuts what is for people only.
func (m *message) check() error {
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{m.commit == "" || commitForm.MatchString(m.commit), "the commit is not the full id of one"},
		{m.ref == "" || isRef(m.ref), "the ref is not one"},
		{clean(m.repository, maxName) == m.repository, "the name of the repository is not one"},
		{clean(m.delivery, maxName) == m.delivery, "the id of the message is not one"},
		{m.digest == "" || digestForm.MatchString(m.digest), "the digest is not sha256: and 64 hexadecimal digits"},
		{m.location == "" || strings.HasPrefix(m.location, "https://") && clean(m.location, 2048) == m.location, "the artifact has no https address"},
		{m.release == "" || releaseForm.MatchString(m.release), "the release is not the id of one"},
	} {
		if !c.ok {
			return refuse(http.StatusBadRequest, "%s", c.what)
		}
	}
	line, _, _ := strings.Cut(m.text, "\n")
	m.text, m.actor = clean(line, maxText), clean(m.actor, maxText)
	slices.Sort(m.paths)
	m.paths = slices.Compact(m.paths)
	if len(m.paths) > maxPaths {
		m.paths, m.listed = m.paths[:maxPaths], false
	}
	for i, p := range m.paths {
		m.paths[i] = clean(p, 4096)
	}
	return nil
}

var (
	digestForm  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	releaseForm = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z(-[0-9A-Za-z]{1,40})?$`)
)

// clean is s without what a terminal might obey, and not longer than n bytes.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
