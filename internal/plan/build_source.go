package plan

import "github.com/landfast/landfast"

// compiled are the stacks whose programs are built before they are deployed.
func compiled(stack string) bool {
	switch stack {
	case "go", "java", "elixir", "distillery":
		return true
	}
	return false
}

// source notes a release that would have to be built where it runs: it needs
// compilers and the network on the host, takes its processor from the app, and two
// hosts may come to different programs.
func (b *builder) source() {
	if b.app.Source.Kind == landfast.SourceGit && compiled(b.app.Stack) {
		b.notef("the source is a git repository, and a %s app has to be built: ship what the build makes, an archive or a package, instead of building on the target", b.app.Stack)
	}
}
