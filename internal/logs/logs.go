// Package logs reads what units wrote to the journal, through journalctl(1): the
// library for it needs cgo. It only reads.
package logs

import (
	"bytes"
	"context"
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
	Units      []string
	Invocation string // one start of a unit; "": any
	Lines      int    // the last ones; 0: all
	Since      string // as journalctl's --since; "": from the beginning
	Follow     bool   // go on until the context ends
	Output     string // as journalctl's --output; "": short-iso
	Root       string // of the machine whose journal is read; "": this one
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
	if q.Invocation != "" {
		// Lines of the process itself, and those that systemd wrote about this start.
		args = append(args, "_SYSTEMD_INVOCATION_ID="+q.Invocation, "+", "INVOCATION_ID="+q.Invocation)
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
	return &landfast.Error{
		Kind: landfast.Unavailable,
		Msg:  fmt.Sprintf("cannot read the journal: %s", strings.TrimSpace(stderr.String())), Err: err,
	}
}

// Tail gives the last n messages of one start of a unit, oldest first, and none
// when there is no journal.
func Tail(ctx context.Context, unit, invocation string, n int) []string {
	var out bytes.Buffer
	q := Query{Lines: n, Output: "cat", Invocation: invocation}
	if invocation == "" {
		q.Units = []string{unit}
	}
	if err := Stream(ctx, &out, q); err != nil {
		return nil
	}
	text := strings.TrimRight(out.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
