package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/systemd"
)

// failureText explains a failed deployment on one screen.
func failureText(d *landfast.Deployment) string {
	var b strings.Builder
	f := d.Failure
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-8s %s\n", name, strings.ReplaceAll(text, "\n", "\n           "))
		}
	}
	fmt.Fprintf(&b, "%s of %s failed at the step %s\n", d.Verb, d.App, orUnknown(f.Step))
	row("error", f.Error)
	if f.Unit != nil {
		row("systemd", unitState(*f.Unit))
	}
	if f.Health != "" && !strings.Contains(f.Error, f.Health) {
		row("health", f.Health)
	}
	if len(f.Log) > 0 {
		row("log", strings.Join(f.Log, "\n"))
	}
	row("undone", undoneText(d))
	row("next", f.Next)
	return b.String()
}

// unitState is what systemd says of a unit and, if it ended badly, why.
func unitState(u landfast.UnitStatus) string {
	text := fmt.Sprintf("%s is %s (%s)", u.Name, u.Active, u.Sub)
	if u.Result != "" && u.Result != "success" {
		text += ": " + systemd.Explain("", u)
	}
	return text
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// undoneText says what was taken back and what is live now.
func undoneText(d *landfast.Deployment) string {
	text := strings.Join(d.Failure.Undone, ", ")
	switch d.Status {
	case landfast.StatusStuck:
		text += "; then undoing got stuck"
	case landfast.StatusRolledBack:
		if d.From != "" {
			text += "; " + d.From + " is live again"
		} else {
			text += "; no release is live, as before"
		}
	}
	return strings.TrimPrefix(text, "; ")
}

// headline is the error without its cause, which has been explained already.
func headline(err error) string {
	e, ok := errors.AsType[*landfast.Error](err)
	if !ok {
		return err.Error()
	}
	if e.Hint != "" {
		return e.Msg + "; " + e.Hint
	}
	return e.Msg
}
