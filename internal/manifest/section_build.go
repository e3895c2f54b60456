package manifest

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/landfast/landfast"
)

// build is [build].
type build struct {
	on      bool
	steps   commands
	env     ownEnv
	output  text
	timeout text
	memory  text
	network boolean
}

func (b *build) switchOn(*node) { b.on = true }

func (b *build) keys() []key {
	return []key{
		{
			name: "steps", value: &b.steps, must: true, example: `[["make", "release"]]`,
			doc: "Commands that run one after the other in what was fetched. Each is an argument list; a program with a slash is relative to it.",
		},
		{name: "env", value: &table{section: &b.env}, doc: "Variables of the steps. Nothing of [env] reaches them."},
		{
			name: "output", value: b.output.as(outputPath), def: `"."`, example: `"dist"`,
			doc: "The directory that becomes the release.",
		},
		{
			name: "timeout", value: b.timeout.as(span), def: `"15min"`, example: `"1h"`,
			doc: "How long all steps together may take.",
		},
		{
			name: "memory", value: b.memory.as(size), def: `"2GiB"`, example: `"512MiB"`,
			doc: "How much memory all steps together may use.",
		},
		{
			name: "network", value: &b.network, note: "false", example: `true`,
			doc: "Whether the steps may use the network. The policy of the host must allow it, too.",
		},
	}
}

const outputPattern = `^\.$|^(\./)?([^/.]|\.[^/.])[^/]*(/([^/.]|\.[^/.])[^/]*)*/?$`

var (
	outputPath = &form{label: "relative path", pattern: outputPattern, check: checkOutput}
	outputs    = regexp.MustCompile(outputPattern)
)

// checkOutput takes a directory inside of what is built.
func checkOutput(s string) (string, *flaw) {
	if !outputs.MatchString(s) {
		return "", &flaw{quote(s) + " is no directory inside of what is built", `write a name such as "dist"`}
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "./"), "/"), nil
}

func (b *build) build(d *decoder) *landfast.Build {
	if !b.on {
		return nil
	}
	limit, _ := strconv.ParseInt(b.memory.value, 10, 64) // 0 only when reported already
	built := &landfast.Build{
		Steps: b.steps.build(d, landfast.BuildMark), Env: b.env.vars(), Output: b.output.value,
		Timeout: b.timeout.duration(), Memory: limit, Network: b.network.on,
	}
	if b.timeout.ok() && built.Timeout <= 0 {
		d.flaw(&b.timeout, &flaw{"no step ends in no time", "write how long the build may take"})
	}
	return built
}
