package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast"
)

// numbers prints what all of it cost.
func (d *demo) numbers(ctx context.Context) error {
	d.stopLoad()
	d.say("clients of web, from release 1 to the end: %s in %s", d.all, d.all.Took.Round(time.Second))
	if err := d.kept(ctx); err != nil {
		return err
	}
	for _, app := range []string{"web", "notes"} {
		if err := d.times(ctx, app); err != nil {
			return err
		}
	}
	return nil
}

// kept promises that every entry that was answered is in the guest book.
func (d *demo) kept(ctx context.Context) error {
	_, body, err := d.get(ctx, webURL)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(body, ", ")
	var entries int64
	if _, err := fmt.Sscanf(rest, "%d entries", &entries); err != nil {
		return fmt.Errorf("read %q: %w", rest, err)
	}
	posted := d.all.Methods["POST"]
	d.promise(entries >= posted && entries <= posted+d.all.Failed, "the guest book has %d entries; %d were answered as written", entries, posted)
	return nil
}

// times prints how long each deployment of an app took, step by step.
func (d *demo) times(ctx context.Context, app string) error {
	r, err := d.m.Exec(ctx, "landfast", "deployments", app, "--json")
	if err != nil {
		return err
	}
	var all []landfast.Deployment
	if err := json.Unmarshal([]byte(r.Stdout), &all); err != nil {
		return fmt.Errorf("read `landfast deployments %s --json`: %w\n%s%s", app, err, r.Stdout, r.Stderr)
	}
	slices.SortFunc(all, func(a, b landfast.Deployment) int { return a.Started.Compare(b.Started) })
	for _, dep := range all {
		var steps []string
		for _, s := range dep.Steps {
			if s.Took >= time.Millisecond {
				steps = append(steps, s.Name+" "+s.Took.Round(time.Millisecond).String())
			}
		}
		took := dep.Ended.Sub(dep.Started).Round(time.Millisecond)
		d.say("%-6s %-9s %-12s %7s: %s", dep.App, dep.Verb, dep.Status, took, strings.Join(steps, ", "))
	}
	return nil
}
