package stack

import (
	"encoding/json"
	"path"
	"regexp"
	"strings"
)

// Node, Python, Ruby, and files alone.

// nodePackage is what matters of a package.json.
type nodePackage struct {
	Name            string            `json:"name"`
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
}

func (p project) nodePackage() nodePackage {
	var n nodePackage
	// What is no JSON has nothing to say.
	_ = json.Unmarshal([]byte(p.read("package.json")), &n)
	return n
}

// devServers are programs that serve a project to those who work on it, out of
// sources that are then built into plain files.
var devServers = regexp.MustCompile(`^(vite|react-scripts|webpack|webpack-dev-server|ng|parcel|astro|eleventy|gatsby|vue-cli-service)\b`)

// signPages tells projects that are nothing but files once they are built.
func signPages(p project) string {
	if n := p.nodePackage(); p.first("package.json") != "" {
		start := n.Scripts["start"]
		if start == "" {
			start = n.Scripts["dev"]
		}
		server := n.Main != "" && p.first(n.Main) != "" || p.first("server.js", "app.js", "index.js") != ""
		if devServers.MatchString(start) && !server {
			return "package.json with " + strings.Fields(start)[0]
		}
		return ""
	}
	return p.first("index.html", "public/index.html", "dist/index.html", "build/index.html", "_site/index.html", "site/index.html")
}

func guessStatic(p project, g *Guess) {
	if n := p.nodePackage(); n.Name != "" {
		g.Name = n.Name
		g.source, g.built = "dist", "where `npm run build` puts it"
		if n.Dependencies["react-scripts"]+n.DevDependencies["react-scripts"] != "" {
			g.source = "build"
		}
		return
	}
	index := p.first("index.html", "public/index.html", "dist/index.html", "build/index.html", "_site/index.html", "site/index.html")
	g.source, g.built = path.Dir(index), "index.html lies there"
	if index == "" {
		g.source, g.built = "public", "a guess: there is no index.html"
	}
}

// shellOnly is what a line of a script has that only a shell understands.
var shellOnly = regexp.MustCompile("[|&;<>()$`\"'\\\\*]|^\\w+=")

func guessNode(p project, g *Guess) {
	n := p.nodePackage()
	if n.Name != "" {
		g.Name = n.Name
	}
	g.source, g.built = ".", "the project as it is, with its node_modules"
	start := n.Scripts["start"]
	words := strings.Fields(start)
	entry := p.first("server.js", "app.js", "index.js", "src/index.js", "server.mjs", "index.mjs")
	switch {
	case len(words) > 0 && shellOnly.MatchString(start):
		g.run("the script start of package.json, which needs a shell", "npm", "run", "start")
		g.notes = append(g.notes, "npm stays between systemd and the app, and writes to a cache; naming the program itself is better")
	case len(words) > 1 && words[0] == "node":
		g.run("the script start of package.json", words...)
		entry = words[len(words)-1]
	case len(words) > 0:
		words[0] = "node_modules/.bin/" + words[0]
		g.run("the script start of package.json", words...)
	case n.Main != "" && p.first(n.Main) != "":
		entry = n.Main
		g.run("package.json has it as main", "node", n.Main)
	case entry != "":
		g.run("there is "+entry, "node", entry)
	}
	if n.Scripts["build"] != "" {
		g.notes = append(g.notes, "run `npm run build` before a deployment")
	}
	if n.Dependencies["next"] != "" {
		g.set("PORT", "3000", "")
		g.health = "/"
		return
	}
	if entry != "" {
		p.port(g, `process\.env\.PORT`, "3000", entry)
	}
}

func guessPython(p project, g *Guess) {
	if name := p.find("pyproject.toml", `(?m)^name\s*=\s*"([^"]+)"`); name != "" {
		g.Name = name
	}
	g.source, g.built = ".", "the project as it is, with its virtual environment"
	python := "python3"
	if venv := p.first(".venv/bin/python", "venv/bin/python"); venv != "" {
		python = venv
	}
	needs := p.read("requirements.txt") + p.read("pyproject.toml") + p.read("Pipfile") + p.read("setup.py")
	module, object := p.pythonModule(g)
	bind := ""
	switch {
	case module == "":
		return
	case strings.Contains(needs, "uvicorn") || strings.Contains(needs, "fastapi"):
		g.run("for uvicorn", python, "-m", "uvicorn", module+":"+object, "--port", "${PORT}")
		bind = "uvicorn"
	case strings.Contains(needs, "gunicorn") || p.first("manage.py") != "":
		g.run("for gunicorn", python, "-m", "gunicorn", "--bind", "127.0.0.1:${PORT}", module+":"+object)
		bind = "gunicorn"
	default:
		g.run("there is "+strings.ReplaceAll(module, ".", "/")+".py", python, module+".py")
		p.port(g, `environ(\.get\(|\[)["']PORT`, "8000", module+".py")
		return
	}
	g.set("PORT", "8000", "")
	g.because("env.PORT", "8000", bind+" listens on it")
	g.health = "/"
}

// pythonModule is the module with the app, and what the app is called in it; ""
// when there is none.
func (p project) pythonModule(g *Guess) (module, object string) {
	if p.first("manage.py") != "" {
		if settings := p.first("*/wsgi.py"); settings != "" {
			return path.Dir(settings) + ".wsgi", "application"
		}
		return underscored(appName(g.Name)) + ".wsgi", "application"
	}
	for _, name := range []string{"wsgi", "asgi"} {
		if p.first(name+".py") != "" {
			return name, "application"
		}
	}
	for _, name := range []string{"app", "main"} {
		if p.first(name+".py") != "" {
			return name, "app"
		}
	}
	return "", ""
}

func guessRuby(p project, g *Guess) {
	g.source, g.built = ".", "the project as it is, with its vendor/bundle"
	gems := p.read("Gemfile")
	rails := p.first("config/application.rb") != ""
	if rails {
		g.files = true
		g.because("env.files", "/etc/NAME/environment", "Rails wants SECRET_KEY_BASE")
		g.notes = append(g.notes, "Rails writes to tmp, log and storage in the release, which is read-only: have them in a directory of [dirs]")
	}
	switch {
	case p.first("config.ru") == "":
		if entry := p.first("app.rb", "main.rb", "server.rb"); entry != "" {
			g.run("there is "+entry, "bundle", "exec", "ruby", entry)
		}
		return
	case p.first("config/puma.rb") != "":
		g.run("config/puma.rb says how", "bundle", "exec", "puma", "-C", "config/puma.rb")
	case strings.Contains(gems, "puma") || rails:
		g.run("the Gemfile has puma", "bundle", "exec", "puma", "-b", "tcp://127.0.0.1:${PORT}")
	default:
		g.run("config.ru is for rack", "bundle", "exec", "rackup", "-o", "127.0.0.1", "-p", "${PORT}")
	}
	g.set("PORT", "3000", "")
	g.health = "/"
	if p.find("config/routes.rb", `(rails/health#show)`) != "" {
		g.health = "/up"
	}
}
