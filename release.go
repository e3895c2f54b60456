package landfast

import (
	"fmt"
	"regexp"
	"time"
)

// ReleaseState says what is known of a release.
type ReleaseState string

// The states of a release.
const (
	ReleaseNew  ReleaseState = "new"  // complete on disk, never committed
	ReleaseGood ReleaseState = "good" // a deployment of it was committed
	ReleaseBad  ReleaseState = "bad"  // it was rolled back; refused until forced
)

// Release is one complete version of an app on this host.
type Release struct {
	ID       string       `json:"id"`
	App      string       `json:"app"`
	Source   string       `json:"source"`             // for people: the path or URL it came from
	Revision string       `json:"revision,omitempty"` // git commit, or what the source calls its version
	Content  string       `json:"content"`            // sha256 of the unpacked tree
	Digest   string       `json:"digest"`             // sha256 of Content and the manifest: what known-bad memory compares
	Bytes    int64        `json:"bytes"`
	Files    int          `json:"files"`
	State    ReleaseState `json:"state"`
	Reason   string       `json:"reason,omitempty"` // why it is bad
	Created  time.Time    `json:"created"`
	Live     time.Time    `json:"live,omitzero"` // when it was last committed
	Manifest string       `json:"manifest"`      // the text it was deployed with
	// Irreversible: it ran migrations that cannot be taken back.
	Irreversible bool `json:"irreversible,omitempty"`
	// Port is the private port it listens on, where each release has one of its own.
	Port int `json:"port,omitempty"`
}

// releaseIDLayout sorts by time; the revision follows.
const releaseIDLayout = "20060102T150405Z"

var releaseID = regexp.MustCompile(`^\d{8}T\d{6}Z-[0-9a-z]{1,40}$`)

// ReleaseID makes the id of a release made at t: its time, to the second and in
// UTC, and the first seven characters of revision. It sorts behind newest, the
// newest id there is ("" if none), even when two are made within one second or
// the clock has stepped back.
func ReleaseID(t time.Time, revision, newest string) string {
	return timedID(t, revision[:min(7, len(revision))], newest)
}

// DeploymentID makes the id of a deployment begun at t, which sorts like a release id.
func DeploymentID(t time.Time, v Verb, newest string) string { return timedID(t, string(v), newest) }

func timedID(t time.Time, suffix, newest string) string {
	t = t.UTC()
	if len(newest) >= len(releaseIDLayout) {
		if last, err := time.Parse(releaseIDLayout, newest[:len(releaseIDLayout)]); err == nil && !t.Truncate(time.Second).After(last) {
			t = last.Add(time.Second)
		}
	}
	return t.Format(releaseIDLayout) + "-" + suffix
}

// CheckReleaseID says why id cannot be a release id, or nil.
func CheckReleaseID(id string) error {
	if !releaseID.MatchString(id) {
		return &Error{Kind: Invalid, Msg: fmt.Sprintf("%q is not a release id", id), Hint: "`landfast releases` lists them"}
	}
	return nil
}
