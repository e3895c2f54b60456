package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/landfast/landfast"

// pkg is a package of this module as the go command lists it.
type pkg struct {
	ImportPath   string
	Name         string
	Dir          string
	GoFiles      []string
	CgoFiles     []string
	IgnoredFiles []string `json:"IgnoredGoFiles"`
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// rel is the package's path below the module; "" for the root.
func (p pkg) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// file is a parsed source file.
type file struct {
	pkg   pkg
	name  string // relative to the module's root
	test  bool
	lines int
	ast   *ast.File
	fset  *token.FileSet
}

// tree is the whole module, loaded once.
type tree struct {
	root     string
	packages []pkg
	files    []file
}

var load = sync.OnceValues(func() (*tree, error) {
	root, err := run("go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	t := &tree{root: strings.TrimSpace(root)}
	list, err := run("go", "list", "-C", t.root, "-e",
		"-json=ImportPath,Name,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(strings.NewReader(list)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		t.packages = append(t.packages, p)
	}
	for _, p := range t.packages {
		if err := t.parse(p); err != nil {
			return nil, err
		}
	}
	return t, nil
})

func run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", errors.Join(err, errors.New(errs.String()))
	}
	return string(out), nil
}

func (t *tree) parse(p pkg) error {
	code := append(append(append([]string{}, p.GoFiles...), p.CgoFiles...), p.IgnoredFiles...)
	tests := append(append([]string{}, p.TestGoFiles...), p.XTestGoFiles...)
	for i, name := range append(code, tests...) {
		path := filepath.Join(p.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		short, err := filepath.Rel(t.root, path)
		if err != nil {
			return err
		}
		t.files = append(t.files, file{
			pkg: p, name: short, test: i >= len(code) || strings.HasSuffix(name, "_test.go"),
			lines: bytes.Count(text, []byte("\n")), ast: f, fset: fset,
		})
	}
	return nil
}

func loaded(t *testing.T) *tree {
	t.Helper()
	m, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.packages) < 5 {
		t.Fatalf("only %d packages were found; the rules would prove nothing", len(m.packages))
	}
	return m
}

// in tells whether a path is one of the directories, or below one. "" is the
// root package alone.
func in(path string, dirs ...string) bool {
	for _, d := range dirs {
		if path == d || d != "" && strings.HasPrefix(path, d+"/") {
			return true
		}
	}
	return false
}

// example tells whether a package is an app for people to deploy and read, which
// is held to its own field's habits.
func example(p pkg) bool { return in(p.rel(), "examples") }
