package policy

// DefaultText is the policy that setup writes where there is none. It says what is so
// without it, for people to change.
const DefaultText = `# What the worker may have root do on this host: landfast.toml of a release comes
# from outside, and is held against this. docs/reference/policy.md has every key.
# A [app.NAME] table changes single keys for one app.

[default]
# May the worker deploy an app at all?
deploy = true
# Whose manifest counts: "release" the one that comes with the code, "host" the one
# that was applied here by hand.
manifest = "release"
# Accounts and groups of the services. ${app} stands for the name of the app.
users = ["${app}"]
groups = ["${app}"]
# Where the directory of an app may lie.
base = ["/srv"]
# The least sandbox, and the lines of it that a manifest may give back.
sandbox = "strict"
allow = ["jit", "proc", "resources", "personality", "host-users"]
# systemd's own directives that may be passed through, besides harmless ones.
directives = []
capabilities = []
# Ports below 1024.
ports = []
# Units of the system that an app may want or require.
units = ["network-online.target"]
# Hosts besides this one that a health check may ask.
probe_hosts = []
# Where secrets and settings may come from, fetched with the rights of root:
# "file:/etc/landfast/secrets/${app}/", "vault:kv/${app}#", "ssm:/${app}/",
# "identity:/etc/landfast/age.key", "config:s3://bucket/${app}/".
secrets = []
grants = false
chroot = false
nspawn = false
restart_flag = false
# May [build] of a manifest run, and with a network?
build = true
build_network = false
`
