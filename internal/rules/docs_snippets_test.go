package rules_test

import (
	"regexp"
	"strings"
	"testing"
)

// shown is a block of code in a document, with the file it is from before it.
var shown = regexp.MustCompile("(?m)^<!-- from ([^ ]+) -->\n```[a-z]+\n((?s:.*?))^```$")

// TestCodeInDocumentsIsTested finds each block that says which file it is from in this
// file, word for word, and "…" on a line of its own for what is left out.
func TestCodeInDocumentsIsTested(t *testing.T) {
	n := 0
	for name, text := range documents(t) {
		if said, found := strings.Count(text, "<!-- from "), len(shown.FindAllString(text, -1)); said != found {
			t.Errorf("%s names a file %d times, %d times before a block of code", name, said, found)
		}
		for _, block := range shown.FindAllStringSubmatch(text, -1) {
			n++
			rest := read(t, block[1])
			for part := range strings.SplitSeq("\n"+block[2], "\n…\n") {
				part = strings.Trim(part, "\n")
				var ok bool
				if _, rest, ok = strings.Cut(rest, part); !ok {
					t.Errorf("%s shows what is not in %s, or not in this order:\n%s", name, block[1], part)
					break
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("found %d blocks only", n)
	}
}

// TestCopiesOfTheDrainAreEqual is about the file that people are told to copy, which
// an example has done.
func TestCopiesOfTheDrainAreEqual(t *testing.T) {
	if read(t, "examples/drain/go/drain.go") != read(t, "examples/go-web/drain.go") {
		t.Error("examples/go-web/drain.go is another than examples/drain/go/drain.go")
	}
}
