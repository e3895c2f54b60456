package stack

import "strings"

// Elixir and Erlang.

func signDistillery(p project) string {
	if p.find("mix.exs", `(:distillery)\b`) != "" {
		return "mix.exs with distillery"
	}
	return ""
}

func guessElixir(p project, g *Guess) {
	guessMix(p, g)
	g.built = "where `MIX_ENV=prod mix release` puts it"
	if p.find("mix.exs", `(:phoenix)\b`) != "" {
		g.set("PHX_SERVER", `"true"`, "Phoenix serves only when it is told to.")
		g.set("PORT", "4000", "")
		g.files, g.health = true, "/"
		g.because("env.PHX_SERVER", "true", "mix.exs has phoenix")
		return
	}
	p.port(g, `System\.(?:get_env|fetch_env!)\("PORT"`, "4000", "config/runtime.exs", "config/releases.exs")
}

func guessDistillery(p project, g *Guess) {
	guessMix(p, g)
	g.built = "where `MIX_ENV=prod mix distillery.release` puts it"
	if p.find("mix.exs", `(:phoenix)\b`) != "" {
		g.set("PORT", "4000", "")
		g.files, g.health = true, "/"
	}
}

// guessMix takes the names from mix.exs.
func guessMix(p project, g *Guess) {
	app := p.find("mix.exs", `\bapp:\s*:(\w+)`)
	if app != "" {
		g.Name = app
	}
	release := p.find("mix.exs", `\breleases:\s*\[\s*(\w+):`)
	if release == "" {
		release = p.find("rel/config.exs", `(?m)^\s*release\s+:(\w+)`)
	}
	if release == "" {
		release = app
	}
	if release != underscored(appName(g.Name)) && release != "" {
		g.release = release
		g.because("release_name", release, "the release in mix.exs is called so")
	}
	if release == "" {
		release = underscored(appName(g.Name))
	}
	g.source = "_build/prod/rel/" + release
}

// guessRebar is for releases of rebar3, whose scripts have names of their own
// for what those of Elixir do.
func guessRebar(p project, g *Guess) {
	name := p.find("rebar.config", `\{\s*release\s*,\s*\{\s*'?(\w+)'?`)
	if name == "" {
		name = underscored(appName(g.Name))
	}
	g.Name = name
	g.run("the script of a release, in the foreground; rebar.config has its name", "bin/"+name, "foreground")
	g.source, g.built = "_build/prod/rel/"+name, "where `rebar3 as prod release` puts it"
	g.dirs = append(g.dirs, setting{"runtime", "true", "The release is read-only, and its script writes the configuration it boots with."})
	g.set("RELX_OUT_FILE_PATH", `"${runtime_dir}"`, "")
	g.set("RELX_REPLACE_OS_VARS", `"true"`, "")
	g.set("ERL_EPMD_ADDRESS", `"127.0.0.1"`, "epmd would listen on all addresses.")
}

// underscored is a name as languages like it.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }
