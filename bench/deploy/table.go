// Package deploy measures what a deployment costs besides the app's own start,
// on a booted machine and beside the shell commands that people write instead.
//
// It asserts no time: a number is for reading, in docs/reference/bench.md or on
// the terminal of whoever ran it. "make bench" runs it.
package deploy

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Sample is one deployment.
type Sample struct {
	Whole time.Duration // from the start of the command to its end
	Start time.Duration // of it, the app's own: from systemd's start of the unit to READY=1
	After time.Duration // of it, behind the point where the new release is live for good
}

// Overhead is what the deployment cost besides the app's own start.
func (s Sample) Overhead() time.Duration { return s.Whole - s.Start }

// UntilLive is the overhead before the new release was live for good.
func (s Sample) UntilLive() time.Duration { return s.Overhead() - s.After }

// Row is one way to deploy, with a sample for each round.
type Row struct {
	Name    string
	Samples []Sample
}

// Median is the middle one of some durations, and the shortest and the longest;
// of an even number, the upper one of the two in the middle. It is 0 for none.
func Median(ds []time.Duration) (median, shortest, longest time.Duration) {
	if len(ds) == 0 {
		return 0, 0, 0
	}
	s := slices.Sorted(slices.Values(ds))
	return s[len(s)/2], s[0], s[len(s)-1]
}

// of gives one property of every sample.
func (r Row) of(what func(Sample) time.Duration) []time.Duration {
	ds := make([]time.Duration, 0, len(r.Samples))
	for _, s := range r.Samples {
		ds = append(ds, what(s))
	}
	return ds
}

// Overhead is the median overhead of the samples.
func (r Row) Overhead() time.Duration {
	m, _, _ := Median(r.of(Sample.Overhead))
	return m
}

// WriteTable writes rows as a Markdown table that can be read as text.
func WriteTable(w io.Writer, rows []Row) error {
	cells := [][]string{{"", "overhead", "from … to", "until live", "the app's own start", "whole"}}
	for _, r := range rows {
		overhead, shortest, longest := Median(r.of(Sample.Overhead))
		live, _, _ := Median(r.of(Sample.UntilLive))
		start, _, _ := Median(r.of(func(s Sample) time.Duration { return s.Start }))
		whole, _, _ := Median(r.of(func(s Sample) time.Duration { return s.Whole }))
		cells = append(cells, []string{
			r.Name, "**" + Millis(overhead) + "**", Millis(shortest) + " … " + Millis(longest), Millis(live), Millis(start), Millis(whole),
		})
	}
	return writeCells(w, cells)
}

// Millis is a duration in whole milliseconds.
func Millis(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// writeCells pads the cells of every column: the first to the left, the others
// to the right.
func writeCells(w io.Writer, cells [][]string) error {
	width := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, c := range row {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	rule := make([]string, len(width))
	for i, n := range width {
		rule[i] = strings.Repeat("-", n-1) + ":"
	}
	rule[0] = strings.Repeat("-", width[0])
	for i, row := range slices.Insert(slices.Clone(cells), 1, rule) {
		line := "|"
		for j, c := range row {
			pad := strings.Repeat(" ", width[j]-len([]rune(c)))
			if j == 0 {
				line += " " + c + pad + " |"
			} else {
				line += " " + pad + c + " |"
			}
		}
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return fmt.Errorf("write row %d of the table: %w", i, err)
		}
	}
	return nil
}
