package cli

import (
	"fmt"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

// progress shows a deployment as it happens: one line a step, rewritten in place
// on a terminal, plain lines elsewhere, JSON lines with --json.
type progress struct {
	c    *command
	live bool // the last line is still open
	tty  bool
}

func (c *command) progress() *progress {
	c.lines = true
	return &progress{c: c, tty: !c.json && c.terminal()}
}

// event shows one event.
func (p *progress) event(e deploy.Event) {
	switch {
	case p.c.json:
		p.c.printJSON(e)
	case e.Note != "":
		p.print("    ", "", e.Note)
	case e.Step.Name != "":
		p.step(e.Step)
	}
}

// end closes an open line.
func (p *progress) end() {
	if p.live {
		fmt.Fprintln(p.c.std.Out)
		p.live = false
	}
}

func (p *progress) step(s landfast.StepRecord) {
	switch s.Status {
	case landfast.StepDoing:
		p.open("…", s.Name, s.Summary)
	case landfast.StepUndoing:
		p.open("…", "undo "+s.Name, s.Summary)
	case landfast.StepDone:
		p.print(p.c.paint(green, "✓"), s.Name, s.Summary+" ("+short(s.Took)+")")
	case landfast.StepUndone:
		p.print(p.c.paint(yellow, "↩"), "undo "+s.Name, s.Summary+" ("+short(s.Undo)+")")
	case landfast.StepFailed:
		p.print(p.c.paint(red, "✗"), s.Name, s.Error)
	case landfast.StepStuck:
		p.print(p.c.paint(red, "✗"), "undo "+s.Name, s.Error)
	}
}

// open shows what is being done, where a line can be taken back.
func (p *progress) open(mark, name, text string) {
	if !p.tty {
		return
	}
	// A line that wrapped could not be taken back.
	line := []rune(fmt.Sprintf("%s %-16s %s", mark, name, text))
	fmt.Fprint(p.c.std.Out, "\r\x1b[K"+string(line[:min(len(line), p.c.width()-1)]))
	p.live = true
}

func (p *progress) print(mark, name, text string) {
	if p.live {
		fmt.Fprint(p.c.std.Out, "\r\x1b[K")
		p.live = false
	}
	if name == "" {
		fmt.Fprintf(p.c.std.Out, "%s%s\n", mark, text)
		return
	}
	fmt.Fprintf(p.c.std.Out, "%s %-16s %s\n", mark, name, text)
}

// short is a duration for people.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// took is how long a deployment took.
func took(d landfast.Deployment) string { return short(d.Ended.Sub(d.Started)) }
