package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// parsers is what the parsers of some versions know.
type parsers struct {
	versions []int // ascending
	by       map[id][]int
}

func readParsers(name string) (*parsers, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p := &parsers{by: map[id][]int{}}
	seen := map[int]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("%s: %q is no line of it", name, line)
		}
		d := id{f[0], f[1]}
		for _, word := range f[2:] {
			v, err := strconv.Atoi(word)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			seen[v] = true
			p.by[d] = append(p.by[d], v)
		}
	}
	p.versions = slices.Sorted(maps.Keys(seen))
	return p, nil
}

// all lists what a parser knows, and what facts say was gone before the first of
// them.
func (p *parsers) all(f *facts) []id {
	set := map[id]bool{}
	for d := range p.by {
		set[d] = true
	}
	for _, x := range f.list {
		if x.of.section != "" && x.kind == "gone" {
			set[x.of] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b id) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.name, b.name))
	})
}

// check compares an entry with every parser.
func (p *parsers) check(e entry) error {
	for _, v := range p.versions {
		claimed := v >= e.since && (e.gone == 0 || v < e.gone)
		if knows := slices.Contains(p.by[e.id], v); knows != claimed {
			return fmt.Errorf("%s: since %d, gone %d: but the parser of %d says %t", e.id, e.since, e.gone, v, knows)
		}
	}
	return nil
}
