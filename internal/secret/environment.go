package secret

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// parameters gives what is below a path of Systems Manager as variables: the name
// behind the path in capitals, with _ for what a variable cannot have.
func (g *getter) parameters(ctx context.Context, path string) (map[string]string, error) {
	c, err := g.cloud(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.Parameters(ctx, path)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "there are no parameters below " + path, Hint: "correct [env] ssm"}
	}
	from := map[string]string{}
	variables := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		variable := variableOf(strings.TrimPrefix(name, strings.TrimSuffix(path, "/")+"/"))
		if variable == "" {
			return nil, &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("the parameter %s cannot be a variable", name), Hint: "begin its name with a letter",
			}
		}
		if other := from[variable]; other != "" {
			return nil, &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("the parameters %s and %s would both be %s", other, name, variable), Hint: "rename one of them",
			}
		}
		from[variable], variables[variable] = name, found[name]
	}
	return variables, nil
}

// variableOf is the name of the variable for a name of a parameter; "": none.
func variableOf(name string) string {
	variable := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
	if variable == "" || variable[0] >= '0' && variable[0] <= '9' {
		return ""
	}
	return variable
}

// environment writes variables as systemd reads a file of them.
func environment(variables map[string]string) ([]byte, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		line, err := unit.VariableLine(name, variables[name])
		if err != nil {
			return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "the variable " + name, Err: err, Hint: "remove env = true and read it as a credential"}
		}
		b.WriteString(line + "\n")
	}
	return []byte(b.String()), nil
}
