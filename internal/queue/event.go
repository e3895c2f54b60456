package queue

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/landfast/landfast"
)

// maxEvent is how large the file of an event may be, in bytes. Paths is the one
// part of an event that can be long; whoever makes it cuts it.
const maxEvent = 256 << 10

// maxText is how long one text of an event may be, in bytes.
const maxText = 4 << 10

// encode gives the file of an event. Its id is its name, not part of it.
func encode(ev landfast.Event) ([]byte, error) {
	ev.ID = ""
	// Texts for people are mended, all others refused.
	ev.Actor, ev.Message, ev.Closed = plain(ev.Actor), plain(ev.Message), plain(ev.Closed)
	if err := check(ev); err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "this event cannot be queued", Err: err}
	}
	b, err := json.Marshal(ev)
	if err != nil {
		return nil, err
	}
	if len(b) >= maxEvent {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("this event cannot be queued: it has %d bytes, at most %d", len(b), maxEvent)}
	}
	return append(b, '\n'), nil
}

// decode reads the file of the event id of app, and believes nothing about it.
func decode(app, id string, b []byte) (landfast.Event, error) {
	var ev landfast.Event
	if len(b) > maxEvent {
		return ev, fmt.Errorf("it has more than %d bytes", maxEvent)
	}
	if !utf8.Valid(b) {
		return ev, errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&ev); err != nil {
		return ev, fmt.Errorf("it is not the JSON of an event: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ev, errors.New("something follows the event")
	}
	if ev.ID != "" && ev.ID != id {
		return ev, fmt.Errorf("it says that its id is %q", ev.ID)
	}
	if ev.App != app {
		return ev, fmt.Errorf("it is for the app %q", ev.App)
	}
	ev.ID = id
	return ev, check(ev)
}

var (
	word     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	commitID = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
	digestOf = regexp.MustCompile(`^[a-z0-9]{1,16}:[0-9a-f]{32,128}$`)
)

// check says what in an event cannot be. What is empty was not given.
func check(ev landfast.Event) error { //nolint:gocyclo // a list of what can be wrong
	if err := checkApp(ev.App); err != nil {
		return err
	}
	switch ev.Action {
	case landfast.ActionDeploy, landfast.ActionRollback, landfast.ActionUpdate:
		if ev.Of != "" && !IsID(ev.Of) {
			return fmt.Errorf("%q is not the id of an event", ev.Of)
		}
	case landfast.ActionCancel:
		if !IsID(ev.Of) {
			return fmt.Errorf("%q is not the id of an event to cancel", ev.Of)
		}
	default:
		return fmt.Errorf("nobody knows the action %q", ev.Action)
	}
	for _, f := range []struct {
		name, value string
		form        *regexp.Regexp
	}{
		{"provider", ev.Provider, word},
		{"trigger", ev.Trigger, word},
		{"release", ev.Release, word},
		{"commit", ev.Commit, commitID},
		{"digest", ev.Digest, digestOf},
	} {
		if f.value != "" && !f.form.MatchString(f.value) {
			return fmt.Errorf("%q cannot be a %s", f.value, f.name)
		}
	}
	for name, value := range map[string]string{
		"delivery": ev.Delivery, "repository": ev.Repository, "ref": ev.Ref, "location": ev.Location,
		"closed": ev.Closed, "actor": ev.Actor, "message": ev.Message,
	} {
		if err := checkText(name, value); err != nil {
			return err
		}
	}
	for _, p := range ev.Paths {
		if err := checkText("path", p); err != nil {
			return err
		}
	}
	// These become arguments of other programs.
	for name, value := range map[string]string{"repository": ev.Repository, "ref": ev.Ref, "location": ev.Location} {
		if strings.HasPrefix(value, "-") {
			return fmt.Errorf("the %s begins with a dash", name)
		}
	}
	return nil
}

// checkText refuses what would not be shown as it is, or is too long.
func checkText(name, value string) error {
	if len(value) > maxText {
		return fmt.Errorf("the %s has %d bytes, at most %d", name, len(value), maxText)
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("the %s is not UTF-8", name)
	}
	if i := strings.IndexFunc(value, unicode.IsControl); i >= 0 {
		return fmt.Errorf("the %s has a control character", name)
	}
	return nil
}

// plain makes any text one line of bounded length.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText-3], "") + "…"
	}
	return strings.TrimSpace(s)
}

// groupOf is what an event competes with: of those that wait with the same
// group, only the newest takes effect. "": it competes with none.
func groupOf(ev landfast.Event) string {
	if ev.Action != landfast.ActionDeploy && ev.Action != landfast.ActionUpdate {
		return ""
	}
	return hash(string(ev.Action), ev.Repository, ev.Ref)
}

// contentOf is what an event would do, whoever sent it. "": that changes from
// day to day, as what a branch names does.
func contentOf(ev landfast.Event) string {
	if ev.Commit == "" && ev.Digest == "" || ev.Action != landfast.ActionDeploy {
		return ""
	}
	return hash(string(ev.Action), ev.Repository, ev.Ref, ev.Commit, ev.Location, ev.Digest)
}

// deliveryOf is what a sender may send twice and means once. "": it gives no id.
func deliveryOf(ev landfast.Event) string {
	if ev.Content != "" && (ev.Commit != "" || ev.Digest != "") {
		// The body was signed, as a whole; a header with an id was not.
		return hash("content", ev.Provider, ev.Trigger, ev.App, ev.Content)
	}
	if ev.Delivery == "" {
		return ""
	}
	of := ev.Of
	if ev.Action != landfast.ActionCancel {
		of = "" // who repeats a delivery by hand uses it up, too
	}
	return hash(ev.Provider, ev.Trigger, ev.Delivery, string(ev.Action), ev.Repository, ev.Ref, ev.Commit, ev.Location, ev.Digest, ev.Release, of)
}

// hash is of a list of texts, not of their sum.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
