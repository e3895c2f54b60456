package stack

import (
	"path"
	"regexp"
	"strings"
)

// Go and Java.

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

func guessGo(p project, g *Guess) {
	module := p.find("go.mod", `(?m)^module\s+"?([^\s"]+)`)
	if base := path.Base(module); majorVersion.MatchString(base) {
		module = path.Dir(module)
	}
	if module != "" {
		g.Name = path.Base(module)
	}
	name, pkg := appName(g.Name), "."
	if p.first("*.go") == "" || p.find("main.go", `(?m)^(package main)$`) == "" {
		if main := p.first("cmd/"+name+"/*.go", "cmd/*/main.go", "cmd/*/*.go"); main != "" {
			name, pkg = path.Base(path.Dir(main)), "./"+path.Dir(main)
			if p.first("cmd/*/main.go") != "" && pkg != "./cmd/"+appName(g.Name) {
				g.Name = name
			}
		}
	}
	where := pkg + " is the main package"
	if pkg == "." {
		where = "the main package is at the top"
	}
	g.run(where, "bin/"+name)
	g.source, g.built = "build", "as `go build -o build/bin/"+name+" "+pkg+"` fills it"
	p.port(g, `Getenv\("PORT"\)`, "8080", "main.go", strings.TrimPrefix(pkg, "./")+"/main.go", strings.TrimPrefix(pkg, "./")+"/*.go")
}

// port sets PORT, and a health check with it, if one of the files asks for it.
func (p project) port(g *Guess, pattern, port string, files ...string) {
	for _, f := range files {
		name := p.first(f)
		if name == "" || p.find(name, "("+pattern+")") == "" {
			continue
		}
		g.set("PORT", port, "")
		g.because("env.PORT", port, name+" asks for it")
		g.health = "/"
		return
	}
}

func guessJava(p project, g *Guess) {
	name := p.find("pom.xml", `(?s)^(?:.*</parent>)?.*?<artifactId>\s*([^<\s]+)\s*</artifactId>`)
	if name == "" {
		name = p.find("settings.gradle", `rootProject\.name\s*=\s*['"]([^'"]+)`)
	}
	if name == "" {
		name = p.find("settings.gradle.kts", `rootProject\.name\s*=\s*"([^"]+)`)
	}
	if name != "" {
		g.Name = name
	}
	g.source, g.built = "target", "where Maven puts it"
	jar, why := appName(g.Name)+".jar", "a guess: the build names it"
	switch {
	case p.first("build.gradle", "build.gradle.kts") != "":
		g.source, g.built = "build/libs", "where Gradle puts it"
	case p.first("pom.xml") == "" && p.first("*.jar") != "":
		g.source, g.built = ".", "the program lies here"
	}
	if found := p.first(path.Join(g.source, "*.jar")); found != "" {
		jar, why = path.Base(found), found+" is the program"
	}
	g.run(why, "java", "-jar", jar)
	build := p.read("pom.xml") + p.read("build.gradle") + p.read("build.gradle.kts")
	if strings.Contains(build, "spring-boot") {
		g.set("SERVER_PORT", "8080", "Spring Boot reads it.")
		g.because("env.SERVER_PORT", "8080", "the build has spring-boot")
		g.health = ":8080/"
	}
}
