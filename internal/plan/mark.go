package plan

import "strings"

// markStart begins the first line of every file that a plan makes, behind what
// begins a comment there.
const markStart = "Managed by landfast (app "

// comments are what a comment begins with in the files that we write.
func comments() []string { return []string{"# ", "// "} }

// Mark is the first line of a file of app's plan. The manifest that was last
// applied ends in other words, so that nobody is sent to where they are.
func Mark(app string) string { return markAs("# ", app) }

// markAs is Mark where a comment begins otherwise.
func markAs(comment, app string) string {
	return comment + markStart + app + "). Change /etc/landfast/apps/" + app + ".toml instead.\n"
}

// MarkOf is the app whose mark content carries in its first line, or "".
func MarkOf(content string) string {
	line, _, _ := strings.Cut(content, "\n")
	for _, c := range comments() {
		if rest, ok := strings.CutPrefix(line, c+markStart); ok {
			if app, _, ok := strings.Cut(rest, ")"); ok {
				return app
			}
		}
	}
	return ""
}

// Unmarked is content without the mark in its first line, if it carries one: the
// manifest as it was before it was applied.
func Unmarked(content string) string {
	if MarkOf(content) == "" {
		return content
	}
	_, rest, _ := strings.Cut(content, "\n")
	return rest
}
