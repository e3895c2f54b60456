package manifest

import "github.com/landfast/landfast"

// ownEnv is the environment of one service besides that of the app.
type ownEnv struct {
	env env
}

func (e *ownEnv) keys() []key { return nil }

func (e *ownEnv) free(name string) (value, *flaw) {
	if name == "files" || name == "ssm" {
		return nil, &flaw{name + " is for all services", "set it in [env]; a variable of that name cannot be set"}
	}
	return e.env.free(name)
}

func (e *ownEnv) freeValue() (v value, pattern string) { return e.env.freeValue() }

func (e *ownEnv) freeDoc() (doc, example string) {
	return "A variable, as in [env].", `QUEUE = "mail"`
}

func (e *ownEnv) vars() []landfast.Var {
	var vars []landfast.Var
	for _, v := range e.env.list {
		vars = append(vars, landfast.Var{Name: v.name, Value: v.text.value})
	}
	return vars
}
