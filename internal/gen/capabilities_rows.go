package main

// of are lines of web.service.
func of(lines ...string) []shown { return []shown{{lines: lines}} }

// and adds lines of another file.
func and(s []shown, file string, lines ...string) []shown { return append(s, shown{file, lines}) }

func capabilityGroups() []group {
	return []group{
		{"Names and paths", namesAndPaths()},
		{"Directories", directories()},
		{"Process", process()},
		{"Environment", environment()},
		{"Several units", severalUnits()},
		{"Rights", rights()},
		{"Sandbox and root directory", confinement()},
		{"Stacks", stacks()},
		{"systemd's version, and systemd's own settings", versions()},
	}
}

func namesAndPaths() []capability {
	return []capability{
		{"MIX 1", "one name for unit, account, group, directory and log", `name = "shop"`, 0, and(nil, "shop.service", "User=", "Group=", "WorkingDirectory=", "ExecStart=", "SyslogIdentifier=")},
		{"MIX 1", "a name with `_` is `-` on the host", `name = "my_shop"`, 0, and(nil, "my-shop.service", "User=", "WorkingDirectory=")},
		{"MIX 1", "renaming the service: account, directories and log follow", "[service]\nname = \"shop\"\n[dirs]\nstate = true", 0, and(nil, "shop.service", "User=", "StateDirectory=", "SyslogIdentifier=")},
		{"MIX 1", "another account", `user = "shop"`, 0, of("User=", "Group=")},
		{"MIX 1", "another name in the log", "[service]\nidentifier = \"shop\"", 0, of("SyslogIdentifier=")},
		{"MIX 1", "what it is, in one line", `description = "The shop"`, 0, of("Description=")},
		{"MIX 2", "the base of all apps", "[paths]\nbase = \"/opt\"", 0, of("WorkingDirectory=", "ExecStart=")},
		{"MIX 2", "the directories of releases, the live release, …", "[paths]\ncurrent = \"${deploy_dir}/live\"", 0, of("WorkingDirectory=", "ExecStart=")},
		{"MIX 2", "the working directory", "[paths]\nworking = \"${shared_dir}\"", 0, of("WorkingDirectory=")},
	}
}

func directories() []capability {
	return []capability{
		{"MIX 2, NICE 3", "for sockets; kept over a restart", "[dirs]\nruntime = { mode = \"0755\", preserve = \"restart\" }", 0, of("RuntimeDirectory", "Environment=RUNTIME_DIR")},
		{"MIX 2", "configuration that the app can read and not write", "[dirs]\nconfiguration = true", 0, and(of("Environment=CONFIGURATION_DIR"), "tmpfiles.d", "d ")},
		{"MIX 2, NICE 3", "log files", "[dirs]\nlogs = true", 0, of("LogsDirectory", "Environment=LOGS_DIR")},
		{"MIX 2, NICE 3", "data, under another name", "[dirs]\nstate = \"shop\"", 0, of("StateDirectory", "Environment=STATE_DIR")},
		{"MIX 2, NICE 3", "cache", "[dirs]\ncache = { mode = \"0700\" }", 0, of("CacheDirectory", "Environment=CACHE_DIR")},
		{"MIX 2", "large temporary files, also where /tmp is private", "[dirs]\ntmp = true", 0, and(of("Environment=TMP_DIR", "BindPaths="), "tmpfiles.d", "d ")},
		{"MIX 2", "another base", "[dirs]\nstate = { base = \"/data\" }", 0, and(of("Environment=STATE_DIR", "ReadWritePaths="), "tmpfiles.d", "d ")},
	}
}

func process() []capability {
	return []capability{
		{"MIX 3", "the command, below the release", "[service]\ncommand = \"bin/web --port 80\"", 0, of("Type=", "ExecStart=")},
		{"MIX 3", "a program of the host", "[service]\ncommand = \"python3 app.py\"", 0, of("ExecStart=")},
		{"MIX 3", "simple, exec, notify, forking, oneshot", "[service]\ntype = \"notify\"", 0, of("Type=")},
		{"MIX 3", "stop with a command of the release that runs, not of the new one", "[service]\nstop = \"bin/web stop\"", 0, of("ExecStop=")},
		{"MIX 3", "commands before the start, with prefixes", "[service]\nbefore_start = [\"+/usr/bin/true\", \"-bin/web warm\"]", 0, of("ExecStartPre=")},
		{"MIX 3", "a wrapper", "[service]\nwrapper = \"/usr/bin/nice -n 5\"", 0, of("ExecStart=")},
		{"MIX 3", "restart", "[service]\nrestart = \"on-failure\"\nrestart_delay = \"5s\"", 0, of("Restart=", "RestartSec=")},
		{"MIX 3", "timeouts", "[service]\nstart_timeout = \"2min\"\nstop_timeout = \"30s\"", 0, of("TimeoutStartSec=", "TimeoutStopSec=")},
		{"MIX 3", "files and core dumps", "[service]\nlimit_nofile = 4096\nlimit_core = \"infinity\"", 0, of("LimitNOFILE=", "LimitCORE=")},
		{"MIX 3", "umask", "[service]\numask = \"0077\"", 0, of("UMask=")},
		{"MIX 3", "after and with other units", "[service]\nafter = [\"postgresql.service\"]\nwants = [\"redis.service\"]\nrequires = [\"postgresql.service\"]", 0, of("After=", "Wants=", "Requires=")},
		{"MIX 6", "restart by whoever may touch a file", "[service]\nrestart_flag = true", 0, and(and(nil, "web-restart.path", "PathExists="), "web-restart.service", "ConditionPathExists=", "ExecStart=")},
	}
}

func environment() []capability {
	return []capability{
		{"MIX 4", "variables, as they stand here", "[env]\nPORT = 4000\nGREETING = 'hello \"big\" world, 100% of $HOME'", 0, of("Environment=")},
		{"MIX 4", "another locale", "[env]\nLANG = \"de_CH.UTF-8\"", 0, of("Environment=LANG")},
		{"MIX 4", "references to paths, names and variables", "[env]\nPORT = 4000\nURL = \"http://localhost:${PORT}/${name}\"\nHOME = \"${shared_dir}\"", 0, of("Environment=URL", "Environment=HOME")},
		{"MIX 4", "files of variables; later ones override", "[env]\nfiles = [\"/etc/web/common\", \"-/etc/web/local\"]", 0, of("EnvironmentFile=")},
		{"MIX 11", "variables from what cloud-init knows of the instance", "[environment]\ncloud_init = { REGION = \"v1.region\" }", 0, and(of("EnvironmentFile="), "web-environment.service", "After=", "ExecStart=")},
		{"MIX 11", "variables from AWS Systems Manager, by path", "[env]\nssm = \"/web/production\"", 0, of("EnvironmentFile=")},
		{"MIX 11", "files from S3, as one set, in a directory of their own", "[dirs]\nconfiguration = true\n[config]\ns3 = \"s3://web-config/production\"", 0, of("Environment=FETCHED_DIR")},
		{"MIX 11", "secrets from files, Vault, SSM, age, sops", "[secrets]\nDB = { file = \"/etc/landfast/secrets/web/db\" }\nTOKEN = { vault = \"kv/web#token\" }\nKEY = { age = \"key.age\" }", 0, of("LoadCredential=")},
		{"MIX 11", "the same as a variable, for apps that read nothing else", "[secrets]\nDB = { ssm = \"/web/db\", env = true }", 0, of("LoadCredential=", "EnvironmentFile=")},
		{"MIX 11", "secrets that systemd alone decrypts", "[secrets]\nDB = { encrypted = \"/etc/credstore.encrypted/db\" }", 0, of("LoadCredentialEncrypted=")},
		{"MIX 5", "variables that a command finds out before each start", "[environment]\ncommand = \"bin/instance-data\"\nafter = [\"cloud-init.service\"]", 0, and(of("Requires=", "After=", "EnvironmentFile="), "web-environment.service", "Type=", "After=", "ExecStart=", "StandardOutput=")},
	}
}

func severalUnits() []capability {
	return []capability{
		{"", "a socket that systemd holds while the app restarts", "[socket]\nlisten = [\"8080\"]", 0, and(of("Requires=", "After="), "web.socket", "ListenStream=", "WantedBy=")},
		{"", "several services", "[services.worker]\ncommand = \"bin/worker\"\nenv = { QUEUE = \"mail\" }", 0, and(nil, "web-worker.service", "ExecStart=", "User=", "Environment=QUEUE")},
		{"", "instances", "[services.worker]\ncommand = \"bin/worker ${instance}\"\ninstances = 2", 0, and(nil, "web-worker@.service", "ExecStart=")},
		{"", "timers", "[timers.report]\ncommand = \"bin/report\"\ncalendar = \"Mon..Fri 03:30\"\npersistent = true\nrandom_delay = \"10min\"", 0, and(and(nil, "web-report.timer", "OnCalendar=", "Persistent=", "RandomizedDelaySec="), "web-report.service", "Type=", "ExecStart=")},
	}
}

func rights() []capability {
	return []capability{
		{"MIX 10, NICE 5", "accounts without login or home", `name = "web"`, 0, and(nil, "sysusers.d", "u ")},
		{"MIX 13", "exactly start, stop and restart for the deploy user, by sudo", `grants = ["sudoers"]`, 0, and(nil, "sudoers.d", "landfast ")},
		{"MIX 13", "the same by polkit", `grants = ["polkit"]`, 0, and(nil, "rules.d", "polkit.addRule", "if (", "return")},
		{"NICE 4", "an account that systemd makes up", "dynamic_user = true\n[dirs]\nstate = true", 0, of("DynamicUser=", "User=", "StateDirectory=")},
	}
}

func confinement() []capability {
	return []capability{
		{"MIX 7, NICE 7", "a sandbox by default", `name = "web"`, 0, of("NoNewPrivileges=", "CapabilityBoundingSet=", "ProtectSystem=", "SystemCallFilter=")},
		{"MIX 7", "less of it", "[sandbox]\nprofile = \"baseline\"", 0, of("NoNewPrivileges=", "ProtectSystem=", "PrivateTmp=", "!SystemCallFilter=")},
		{"MIX 7", "one power given back", "[sandbox]\nallow = [\"jit\"]", 0, of("NoNewPrivileges=", "!MemoryDenyWriteExecute=")},
		{"MIX 7", "paths to write, to read only, and to hide", "[chroot]\nread_only = [\"/opt/fonts\"]\nread_write = [\"/run/postgresql\"]\ninaccessible = [\"-/usr/share/doc\"]", 0, of("RootDirectory=", "BindPaths=", "InaccessiblePaths=")},
		{"NICE 1, NICE 2", "programs and libraries of the host, read-only, not copies", "[chroot]\nhost = [\"/usr\", \"-/lib64\"]", 0, of("RootDirectory=", "MountAPIVFS=", "BindReadOnlyPaths=")},
		{"NICE 8", "the journal reaches a service that does not see /run", "[service]\ntype = \"notify\"\n[chroot]\nhost = [\"/usr\"]", 0, of("BindReadOnlyPaths=")},
		{"NICE 9", "a root file system, run as a machine", "[service]\nkind = \"nspawn\"\n[machine]\nnetwork = \"private\"\nbinds = [\"/var/lib/web:/data\"]", 0, of("ExecStart=")},
	}
}

func stacks() []capability {
	return []capability{
		{"MIX 9", "Elixir, `mix release`", "stack = \"elixir\"", 0, of("ExecStart=", "Environment=RELEASE_TMP", "RuntimeDirectory=")},
		{"MIX 9", "Distillery", "stack = \"distillery\"", 0, of("ExecStart=", "Environment=RELEASE_MUTABLE_DIR", "Environment=REPLACE_OS_VARS")},
		{"MIX 9", "Go and other programs without a runtime", "stack = \"go\"\n[service]\ncommand = \"bin/web\"", 0, of("ExecStart=", "Environment=GOTRACEBACK")},
		{"MIX 9", "Node", "stack = \"node\"\n[service]\ncommand = \"node server.js\"", 0, of("ExecStart=", "Environment=NODE_ENV", "!MemoryDenyWriteExecute=")},
		{"MIX 9", "Python", "stack = \"python\"\n[service]\ncommand = \"python3 app.py\"", 0, of("ExecStart=", "Environment=PYTHON")},
		{"MIX 9", "Ruby", "stack = \"ruby\"\n[service]\ncommand = \"bundle exec puma\"", 0, of("ExecStart=", "Environment=RAILS_ENV", "!MemoryDenyWriteExecute=")},
		{"MIX 9", "Java", "stack = \"java\"\n[service]\ncommand = \"java -jar web.jar\"", 0, of("ExecStart=", "SuccessExitStatus=", "!MemoryDenyWriteExecute=")},
		{"MIX 9", "files alone", "stack = \"static\"", 0, and(of("ExecStart=", "Type="), "web.socket", "ListenStream=")},
	}
}

func versions() []capability {
	return []capability{
		{"MIX 8", "what the target does not know is replaced", "[dirs]\nstate = true", 219, and(of("!StateDirectory="), "tmpfiles.d", "d ")},
		{"MIX 8", "or left out, and the plan says so", `name = "web"`, 237, and(of("!PrivateIPC="), "note", "systemd 237 lacks")},
		{"NICE 6", "any directive of systemd, checked by name, section and version", "[systemd.Service]\nOOMScoreAdjust = -500\nNice = 5", 0, of("OOMScoreAdjust=", "Nice=")},
	}
}

// verbRows are number, capability, and how.
func verbRows() [][3]string {
	return [][3]string{
		{"MIX 8", "the version of systemd is asked of the host, found in a tree, or given", "`landfast plan`; `--root DIR`; `render --systemd N`"},
		{"MIX 10", "users, directories, units", "`landfast plan`, `apply`, `uninstall`"},
		{"MIX 10", "release, roll back, clean up", "`landfast deploy`, `rollback`, `releases`, `prune`"},
		{"MIX 10", "start, stop, restart, status, log", "`landfast start`, `stop`, `restart`, `status`, `logs`"},
		{"MIX 10", "migrate before the release takes over", "`[hooks] migrate`"},
		{"MIX 10", "one-off commands and a console, with the unit's user, environment and sandbox", "`landfast exec`, `console`, `run`; `[commands]`"},
		{"MIX 11", "secrets and configuration fetched anew, listed, set", "`landfast secrets refresh`, `list`, `set`, [how-to](../how-to/secrets.md)"},
		{"MIX 11", "cloud instance data as variables, by hand", "`landfast instance-data NAME=KEY`"},
		{"MIX 12", "AWS CodeDeploy", "`landfast render codedeploy`, [how-to](../how-to/codedeploy.md)"},
		{"MIX 14", "staging for a package or an image", "`landfast apply --root DIR`, `deploy --root DIR`, [how-to](../how-to/stage-for-an-image.md)"},
		{"NICE 6", "one description: diff, apply, drift", "`landfast plan`, `apply`, `status`"},
		{"NICE 10", "one static binary", "`make build`"},
		{"NICE 11", "a small set of dependencies, none of which is needed at run time", "`go.mod`"},
		{"NICE 12", "distribution package, static binary, root file system", "`[source] package`; `deploy --from`; `[service] kind = \"nspawn\"`"},
		{"NICE 13", "a Debian package of an app", "[how-to](../how-to/package.md)"},
	}
}
