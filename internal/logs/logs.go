// Package logs reads what units wrote to the journal, through journalctl(1): the
// library for it needs cgo. It only reads.
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
)

// Query chooses lines of the journal.
type Query struct {
	Units  []string
	Lines  int    // the last ones; 0: all
	Since  string // as journalctl's --since; "": from the beginning
	Follow bool   // go on until the context ends
	Output string // as journalctl's --output; "": short-iso
	Root   string // of the machine whose journal is read; "": this one
}

func (q Query) args() []string {
	args := []string{"--no-pager", "--quiet", "--output=" + cmpOr(q.Output, "short-iso")}
	for _, u := range q.Units {
		args = append(args, "--unit="+u)
	}
	if q.Root != "" && q.Root != "/" {
		args = append(args, "--root="+q.Root)
	}
	if q.Lines > 0 {
		args = append(args, "--lines="+strconv.Itoa(q.Lines))
	}
	if q.Since != "" {
		args = append(args, "--since="+q.Since)
	}
	if q.Follow {
		args = append(args, "--follow")
	}
	return args
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Stream copies the lines to w until they end or, following, until ctx ends, which
// is no error then. A machine without a journal is an error of kind Unavailable.
func Stream(ctx context.Context, w io.Writer, q Query) error {
	cmd := exec.CommandContext(ctx, "journalctl", q.args()...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	err := cmd.Run()
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "journalctl is not installed", Hint: "logs are read from systemd's journal", Err: err}
	}
	hint := ""
	if strings.Contains(stderr.String(), "insufficient permissions") {
		hint = "run as root, or join the group systemd-journal"
	}
	return &landfast.Error{
		Kind: landfast.Unavailable,
		Msg:  fmt.Sprintf("cannot read the journal: %s", strings.TrimSpace(stderr.String())), Err: err, Hint: hint,
	}
}

// window is how many lines of a unit are looked at for the last ones of one start.
const window = 500

// Tail gives the last n messages of one start of a unit, oldest first, and none
// when there is no journal. An invocation of "" means any start.
//
// A process that ends at once is gone before the journal has looked at it, so its
// lines carry the unit and no invocation. They count when they lie behind the first
// line of that start.
func Tail(ctx context.Context, unit, invocation string, n int) []string {
	// What was written before this call must be in the answer.
	_ = exec.CommandContext(ctx, "journalctl", "--sync").Run()
	var out bytes.Buffer
	if err := Stream(ctx, &out, Query{Units: []string{unit}, Lines: max(n, window), Output: "json"}); err != nil {
		return nil
	}
	var tail []string
	begun := invocation == ""
	for text := range bytes.Lines(out.Bytes()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			continue // nothing that is for people
		}
		of := l.Invocation
		if of == "" {
			of = l.About
		}
		begun = begun || of == invocation
		if begun && (of == invocation || of == "" || invocation == "") {
			tail = append(tail, strings.Split(strings.TrimRight(l.text(), "\n"), "\n")...)
		}
	}
	return tail[max(0, len(tail)-n):]
}

// line is one entry as --output=json gives it, see systemd.journal-fields(7).
type line struct {
	Message    json.RawMessage `json:"MESSAGE"`
	Invocation string          `json:"_SYSTEMD_INVOCATION_ID"` // of the process that wrote it
	About      string          `json:"INVOCATION_ID"`          // of the start that systemd writes about
}

// text is the message; what is not UTF-8 comes as a list of bytes, what is too long
// as null.
func (l *line) text() string {
	var s string
	if json.Unmarshal(l.Message, &s) == nil {
		return s
	}
	var raw []uint16 // []byte would be read as base64
	if json.Unmarshal(l.Message, &raw) != nil {
		return ""
	}
	b := make([]byte, 0, len(raw))
	for _, c := range raw {
		b = append(b, byte(c))
	}
	return strings.ToValidUTF8(string(b), "?")
}
