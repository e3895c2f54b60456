package manifest

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// spanPattern is for the schema; checkSpan knows more units.
const spanPattern = `^ *[0-9][0-9a-zµμ. ]*$`

var spanPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([a-zA-Zµμ]*) *`)

// spanUnit is how long a unit of systemd.time(7) is. Go's units mean the same
// in both.
func spanUnit(unit string) (time.Duration, bool) {
	const day = 24 * time.Hour
	switch unit {
	case "ns", "nsec":
		return time.Nanosecond, true
	case "us", "usec", "µs", "μs":
		return time.Microsecond, true
	case "ms", "msec":
		return time.Millisecond, true
	case "", "s", "sec", "second", "seconds":
		return time.Second, true
	case "m", "min", "minute", "minutes":
		return time.Minute, true
	case "h", "hr", "hour", "hours":
		return time.Hour, true
	case "d", "day", "days":
		return day, true
	case "w", "week", "weeks":
		return 7 * day, true
	}
	return 0, false
}

// parseSpan reads a time span as systemd writes it ("1min 30s", "5" for
// seconds) or as Go does ("1m30s", "1.5s").
func parseSpan(s string) (time.Duration, bool) {
	rest := strings.TrimSpace(s)
	if rest == "" {
		return 0, false
	}
	total := 0.0
	for rest != "" {
		m := spanPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, false
		}
		unit, ok := spanUnit(m[2])
		n, err := strconv.ParseFloat(m[1], 64)
		if !ok || err != nil {
			return 0, false
		}
		total += n * float64(unit)
		rest = rest[len(m[0]):]
	}
	// A year is longer than anything here can sensibly last.
	if total > float64(365*24*time.Hour) {
		return 0, false
	}
	return time.Duration(math.Round(total)), true
}

func checkSpan(s string) (string, *flaw) {
	if _, ok := parseSpan(s); !ok {
		return "", &flaw{quote(s) + " is not a duration", `write "30s", "1min 30s" or "500ms"`}
	}
	return s, nil
}

// duration is the value of a text of form span; 0 when it is not set or bad.
func (t *text) duration() time.Duration {
	v, _ := parseSpan(t.value)
	if !t.ok() {
		return 0
	}
	return v
}
