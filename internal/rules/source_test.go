package rules_test

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	m := loaded(t)
	for _, p := range m.packages {
		var where []string
		var text string
		for _, f := range m.files {
			if f.pkg.ImportPath == p.ImportPath && !f.test && f.ast.Doc != nil {
				where = append(where, f.name)
				text = f.ast.Doc.Text()
			}
		}
		switch {
		case len(where) == 0:
			t.Errorf("%s has no package comment", p.ImportPath)
		case len(where) > 1:
			t.Errorf("%s has more than one package comment: %s", p.ImportPath, strings.Join(where, ", "))
		case p.Name != "main" && !strings.HasPrefix(text, "Package "+p.Name+" "):
			t.Errorf("%s: the package comment starts %q, want \"Package %s …\"", where[0], firstLine(text), p.Name)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func TestBudgets(t *testing.T) {
	const fileLines, funcLines = 400, 80
	for _, f := range loaded(t).files {
		if f.test || ast.IsGenerated(f.ast) {
			continue
		}
		if f.lines > fileLines {
			t.Errorf("%s has %d lines, at most %d: split it by noun", f.name, f.lines, fileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			from, to := f.fset.Position(fn.Pos()).Line, f.fset.Position(fn.End()).Line
			if n := to - from + 1; n > funcLines {
				t.Errorf("%s:%d: %s has %d lines, at most %d", f.name, from, fn.Name.Name, n, funcLines)
			}
		}
	}
}

// forbidden is a function that only named places may use.
type forbidden struct {
	pkg, name string
	may       []string
	tests     bool
	because   string
}

// mains are where programs begin and end.
var mains = []string{"cmd", "internal/lab/cmd", "internal/gen"}

var forbiddenCalls = []forbidden{
	{"time", "Sleep", nil, false, "wait for the thing itself, or for a ticker and the context"},
	// A test may: it runs itself again as the process that dies.
	{"os", "Exit", mains, true, "only main ends the process"},
	{"log", "Fatal", mains, false, "only main ends the process"},
	{"log", "Fatalf", mains, false, "only main ends the process"},
	{"syscall", "Exit", nil, false, "only main ends the process"},
}

// TestCallsReservedForNamedPlaces finds uses, not only calls: a function that is
// handed on is used as well.
func TestCallsReservedForNamedPlaces(t *testing.T) {
	for _, f := range loaded(t).files {
		if example(f.pkg) {
			continue
		}
		names := importNames(f.ast)
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, rule := range forbiddenCalls {
				if names[x.Name] != rule.pkg || sel.Sel.Name != rule.name {
					continue
				}
				if in(f.pkg.rel(), rule.may...) || f.test && rule.tests {
					continue
				}
				t.Errorf("%s:%d uses %s.%s: %s", f.name, f.fset.Position(n.Pos()).Line, rule.pkg, rule.name, rule.because)
			}
			return true
		})
	}
}

// importNames maps the name a file uses for an import to its path.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = path
	}
	return names
}

func TestNoInit(t *testing.T) {
	for _, f := range loaded(t).files {
		if example(f.pkg) {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: func init: what runs before main is found by no reader", f.name, f.fset.Position(fn.Pos()).Line)
			}
		}
	}
}

// TestTestsAreOutsideTheirPackage keeps tests to what others can use. Files that
// open a little of the inside for them are named export_test.go.
func TestTestsAreOutsideTheirPackage(t *testing.T) {
	for _, p := range loaded(t).packages {
		if example(p) {
			continue
		}
		inside := slices.DeleteFunc(slices.Clone(p.TestGoFiles), func(n string) bool {
			return n == "export_test.go" || strings.HasSuffix(n, "_internal_test.go")
		})
		if p.Name != "main" && len(inside) > 0 {
			t.Errorf("%s: tests inside the package: %s", p.ImportPath, strings.Join(inside, ", "))
		}
	}
}
