package suite_test

// runtimes are the packages of Debian that the stacks need. There is none of
// Distillery, which only its manifest is tested of.
var runtimes = []string{
	"bundler", "default-jre-headless", "ecj", "elixir", "gunicorn", "nodejs", "puma", "python3-uvicorn", "ruby-rack",
}

// stackProject is a small project of testdata/stacks, and what is to come of it.
type stackProject struct {
	name string // of the archive, and its stack but for "any"
	// build makes the release, in the directory of the project, on the machine.
	build string
	// more is what its maker adds to what init wrote.
	more    string
	moreEnv string // the same in the section [env] that init wrote
	port    int
	at      string // path of the page that tells the version; "": /
	version string // the file that holds the version; "": VERSION of the release
	source  string // the directory that is released
	// exposure is what "systemd-analyze security" says at most.
	exposure float64
	relaxed  []string // names in sandbox.allow
	needed   string   // succeeds where the runtime needs what is relaxed; "": everywhere
	env      []string // variables of the preset, as the process has them
	envAt    string   // page that tells them; "": the process leaves them where they are
	last     string   // what it logs when it is stopped in order
	check    func(a *app)
}

func stackProjects() []stackProject {
	return []stackProject{
		{
			name: "any", port: 8080, source: ".", at: "/VERSION", exposure: 1.5,
		},
		{
			name: "elixir", port: 4000, source: "_build/prod/rel/hello", exposure: 1.5,
			build: "export MIX_ENV=prod HOME=/root; mix release --overwrite --quiet; cp VERSION _build/prod/rel/hello/VERSION",
			env:   []string{"RELEASE_TMP=/run/hello", "RELEASE_NODE=hello@127.0.0.1", "RELEASE_DISTRIBUTION=name", "ERL_EPMD_ADDRESS=127.0.0.1", "HOME=/run/hello", "ERL_CRASH_DUMP_BYTES=0"},
			last:  "stopped in order", check: (*app).isAnErlangNode,
		},
		{
			name: "go", port: 8080, source: "build", exposure: 1.5,
			build: "cp VERSION build/", env: []string{"GOTRACEBACK=all"}, last: "stopped in order",
		},
		{
			name: "java", port: 8080, source: "target", exposure: 1.5, relaxed: []string{"jit"},
			// What Debian calls ecj looks for itself in the wrong archive since 13.
			build: `java -cp "$(echo /usr/share/java/eclipse-jdt-core*.jar | tr ' ' :)" \
					org.eclipse.jdt.internal.compiler.batch.Main -17 -proc:none -d target/classes src/main/java
				python3 - <<-'END'
				import zipfile, pathlib
				with zipfile.ZipFile("target/hello.jar", "w") as jar:
				    jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Hello\n")
				    for f in pathlib.Path("target/classes").glob("*.class"):
				        jar.write(f, f.name)
				END
				cp VERSION target/`,
			more: "[env]\nPORT = 8080\n\n[health]\nhttp = \"/\"\n", last: "stopped in order",
		},
		{
			name: "node", port: 3000, source: ".", exposure: 1.5, relaxed: []string{"jit"},
			env: []string{"NODE_ENV=production"}, last: "stopped in order",
		},
		{
			name: "python", port: 8000, source: ".", exposure: 1.5,
			env: []string{"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"}, last: "stopped in order",
		},
		{
			name: "ruby", port: 3000, source: ".", exposure: 1.5, relaxed: []string{"jit"},
			build: "bundle lock --local", envAt: "/env",
			// As Rails does where Ruby has it; Debian's has it in 12, and not in 13.
			moreEnv: `RUBYOPT = "--yjit"`, needed: "ruby --yjit -e 'exit RubyVM::YJIT.enabled?'",
			env: []string{"RACK_ENV=production", "RAILS_ENV=production", "RAILS_LOG_TO_STDOUT=1"}, last: "stopped in order",
		},
		{
			name: "static", port: 8080, source: "public", version: "public/index.html", exposure: 1.5, check: (*app).servesPages,
		},
	}
}
