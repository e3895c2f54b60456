package manifest

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// timers is [timers]: commands that run at certain times, by name.
type timers struct {
	list []*timer
}

// timer is [timers.NAME].
type timer struct {
	id          string // NAME
	at          *node
	service     service
	working     text
	env         ownEnv
	systemd     directives
	calendar    texts
	every       text
	persistent  boolean
	randomDelay text
}

// minEvery keeps a timer from becoming a loop.
const minEvery = time.Second

func (s *timers) keys() []key { return nil }

func (s *timers) free(name string) (value, *flaw) {
	if f := partName(name); f != nil {
		return nil, f
	}
	t := &timer{id: name}
	s.list = append(s.list, t)
	return t, nil
}

func (s *timers) freeValue() (v value, pattern string) { return &timer{id: "NAME"}, partPattern }

func (s *timers) freeDoc() (doc, example string) {
	return "A command with its times.", `report = { command = "bin/report", calendar = "daily" }`
}

func (t *timer) keys() []key {
	keys := []key{
		{
			name: "calendar", directive: "OnCalendar", value: t.calendar.as(calendar), example: `"Mon..Fri 03:30"`,
			doc: "When it runs, as systemd.time(7) writes it: `daily`, `*-*-01 04:00`, `*:0/15`. Several times add up.",
		},
		{
			name: "every", directive: "OnUnitActiveSec", value: t.every.as(span), example: `"15min"`,
			doc: "How long after the last run the next one starts. The first is soon after the machine starts.",
		},
		{
			name: "persistent", directive: "Persistent", value: &t.persistent, note: "false", example: `true`,
			doc: "Whether a run of `calendar` that fell into a time when the machine was off is made up for.",
		},
		{
			name: "random_delay", directive: "RandomizedDelaySec", value: t.randomDelay.as(span), note: "none", example: `"10min"`,
			doc: "A random time, up to this, that is added to each, so that not all hosts run it at once.",
		},
	}
	for _, k := range slices.Concat(t.service.processKeys(`"${service_name}-`+t.id+`"`), []key{workingKey(&t.working)}, t.service.unitKeys()) {
		if k.name != "type" {
			keys = append(keys, k)
		}
	}
	return append(
		keys,
		key{name: "env", value: &table{section: &t.env}, doc: "Variables of this command alone; they override those of the app."},
		key{name: "systemd", value: &table{section: t.systemd.withTimer()}, doc: "Systemd's own settings for this command and its timer."},
	)
}

// constrain says that a timer needs a time.
func (t *timer) constrain(s *jsonschema.Schema) {
	s.AnyOf = []*jsonschema.Schema{{Required: []string{"calendar"}}, {Required: []string{"every"}}}
	s.Required = append(s.Required, "command")
}

// decode takes a table whose names come before those of the app.
func (t *timer) decode(d *decoder, key string, n *node) {
	t.at = n
	d.local = map[string]*text{}
	defer func() { d.local = nil }()
	d.section(key, t, n)
}

func (t *timer) label() string { return "table" }

func (t *timer) schema() *jsonschema.Schema { return sectionSchema(t) }

func (t *timer) build(d *decoder, current string) landfast.Service {
	t.service.requireCommand(d, "")
	built := t.service.build(d, current)
	built.Type, built.Restart = "oneshot", "no"
	built.Working = t.working.value
	built.Env = t.env.vars()
	built.Systemd = t.systemd.build(d, false)
	built.Timer = &landfast.Timer{
		Unit:        t.service.name.value + ".timer",
		Calendar:    t.calendar.values(),
		Every:       t.every.duration(),
		Persistent:  t.persistent.on,
		RandomDelay: t.randomDelay.duration(),
	}
	if t.at.kind == tableNode && len(t.calendar.list) == 0 && t.every.src == nil {
		d.at(t.at, "timers."+t.id, "has no time", `write calendar = "daily" or every = "1h"`)
	}
	if t.every.ok() && built.Timer.Every < minEvery {
		d.flaw(&t.every, &flaw{quote(t.every.value) + " is too short", "at least 1s"})
	}
	if t.persistent.on && t.calendar.src == nil {
		d.at(t.persistent.src, "timers."+t.id+".persistent", "is for calendar", "the first run after a start of the machine is soon after it anyway")
	}
	return built
}

var (
	calendarWords = strings.Fields("minutely hourly daily weekly monthly quarterly semiannually yearly annually")
	calendars     = calendarPattern()
)

// calendarPattern is the grammar of calendar events in systemd.time(7): days of
// the week, a date, a time and a time zone, each optional but for one of the
// first three.
func calendarPattern() *regexp.Regexp {
	const (
		day    = `(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)`
		days   = day + `(?:(?:\.\.|-|,)` + day + `)*,?`
		number = `[0-9]+(?:\.\.[0-9]+)?(?:/[0-9]+)?`
		part   = `(?:\*|` + number + `(?:,` + number + `)*)`
		date   = `(?:` + part + `-)?` + part + `[-~]` + part
		second = `(?:\*|[0-9.]+(?:/[0-9.]+)?(?:,[0-9.]+(?:/[0-9.]+)?)*)`
		clock  = part + `:` + part + `(?::` + second + `)?`
		zone   = `(?: +(?:utc|[a-z0-9_+-]+(?:/[a-z0-9_+-]+)+))?`
	)
	return regexp.MustCompile(`(?i)^(?:` + days + ` +` + date + ` +` + clock + `|` + days + ` +` + clock + `|` + days + ` +` + date + `|` +
		date + ` +` + clock + `|` + days + `|` + date + `|` + clock + `)` + zone + `$`)
}

func checkCalendar(s string) (string, *flaw) {
	if slices.Contains(calendarWords, s) || calendars.MatchString(s) {
		return s, nil
	}
	hint := didYouMean(s, calendarWords)
	if hint == "" {
		hint = "write \"daily\", \"Mon..Fri 03:30\" or \"*:0/15\"; `systemd-analyze calendar` explains it"
	}
	return "", &flaw{quote(s) + " is not a time of systemd's calendar", hint}
}
