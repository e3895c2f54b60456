package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
)

func (c *command) printf(format string, args ...any) { fmt.Fprintf(c.std.Out, format, args...) }

// printJSON prints one value: indented, or on one line in a stream.
func (c *command) printJSON(v any) {
	enc := json.NewEncoder(c.std.Out)
	enc.SetEscapeHTML(false)
	if !c.lines {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		fmt.Fprintln(c.std.Err, "landfast: print JSON:", err)
	}
}

// silent marks an error whose text has been printed already.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// errorResult is the JSON of every error.
type errorResult struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Kind     landfast.Kind   `json:"kind"`
	ExitCode int             `json:"exit_code"`
	Message  string          `json:"message"`
	Hint     string          `json:"hint,omitempty"`
	Problems manifest.Errors `json:"problems,omitempty"`
}

// printError prints the one error of a command.
func (c *command) printError(err error) {
	if _, ok := errors.AsType[silent](err); ok {
		return
	}
	err = withoutRights(fullDisk(err))
	problems, wrong := errors.AsType[manifest.Errors](err)
	switch {
	case c.json:
		body := errorBody{Kind: landfast.KindOf(err), ExitCode: exitOf(err), Message: err.Error(), Problems: problems}
		if e, ok := errors.AsType[*landfast.Error](err); ok && e.Hint != "" {
			body.Hint, body.Message = e.Hint, strings.TrimSuffix(body.Message, "; "+e.Hint)
		}
		if wrong {
			body.Message = mistakes(problems)
		}
		c.printJSON(errorResult{body})
	case wrong:
		// As a compiler prints them, so that editors find the places.
		fmt.Fprintf(c.std.Err, "%v\n\nlandfast: %s\n", err, mistakes(problems))
	default:
		fmt.Fprintln(c.std.Err, "landfast:", err)
	}
}

// withoutRights adds what to do when something may not be looked at, where nothing
// has been said yet.
func withoutRights(err error) error {
	if e, ok := errors.AsType[*landfast.Error](err); ok && e.Hint != "" || os.Geteuid() == 0 || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &landfast.Error{Kind: landfast.KindOf(err), Err: err, Hint: "run as root"}
}

// fullDisk adds what to do about a full disk, where nothing has been said yet.
func fullDisk(err error) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return err
	}
	if e, ok := errors.AsType[*landfast.Error](err); ok && e.Hint != "" {
		return err
	}
	return &landfast.Error{
		Kind: landfast.KindOf(err), Msg: "the disk is full", Err: err,
		Hint: "make room: `landfast prune APP --keep 1` removes old releases",
	}
}

// mistakes says how many there are, and where.
func mistakes(problems manifest.Errors) string {
	files := map[string]bool{}
	for _, p := range problems {
		files[p.File] = true
	}
	where := fmt.Sprintf("%d files", len(files))
	if len(files) == 1 {
		where = problems[0].File
	}
	if len(problems) == 1 {
		return "there is a mistake in " + where
	}
	return fmt.Sprintf("there are %d mistakes in %s", len(problems), where)
}

// terminal reports whether the output is a terminal that a line can be taken back
// on.
func (c *command) terminal() bool {
	f, ok := c.std.Out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// width is how many characters fit on a line of the terminal.
func (c *command) width() int {
	if f, ok := c.std.Out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// coloured reports whether to print colours: on a terminal, unless NO_COLOR is set
// (no-color.org).
func (c *command) coloured() bool { return c.terminal() && os.Getenv("NO_COLOR") == "" }

// The colours, as numbers of ECMA-48's SGR.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// paint colours a text where colours are wanted.
func (c *command) paint(colour, text string) string {
	if !c.coloured() {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// paintDiff colours the lines of a difference by what they say.
func (c *command) paintDiff(text string) string {
	if !c.coloured() {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		body := strings.TrimSuffix(line, "\n")
		for _, kind := range []struct{ start, colour string }{
			{"+", green}, {"  + ", green}, {"-", red}, {"  - ", red}, {"@@", cyan}, {"  ~ ", yellow},
		} {
			if strings.HasPrefix(body, kind.start) {
				body = c.paint(kind.colour, body)
				break
			}
		}
		b.WriteString(body + "\n")
	}
	return b.String()
}
