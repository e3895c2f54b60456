package suite_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// cloud is built once in a test process.
var cloud = sync.OnceValues(func() (string, error) { return lab.Build(context.Background(), "./testdata/cloud") })

const cloudAddress = "127.0.0.1:9911"

// clouded runs a test on machines that have a cloud to ask: S3, Systems Manager and Vault.
func clouded(t *testing.T, f func(h *host)) {
	t.Helper()
	labtest.Require(t)
	program, err := cloud()
	if err != nil {
		t.Fatal(err)
	}
	eachHost(t, func(h *host) {
		text, err := os.ReadFile(program)
		if err == nil {
			err = h.WriteFile("/usr/local/bin/cloud", text, 0o755)
		}
		if err != nil {
			h.t.Fatal(err)
		}
		h.write("/root/.aws/config", "[default]\nregion = eu-central-1\nendpoint_url = http://"+cloudAddress+"\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = none\n")
		h.setCloud("one")
		h.sh("systemd-run -q --unit=cloud /usr/local/bin/cloud serve " + cloudAddress + " /root/cloud.json")
		h.eventually("the cloud answers", func() (bool, string) {
			status, body, err := h.get("http://" + cloudAddress + "/v1/sys/internal/ui/mounts/kv/x")
			return err == nil && status == 200, body
		})
		f(h)
	})
}

// oddValue has what a value of a variable can have, and nothing takes for itself.
const oddValue = "a \"b\" 'c' $d ${e} `f` \\g \\n %h\n#i\t=j "

// setCloud changes every value that the cloud gives.
func (h *host) setCloud(value string) {
	h.t.Helper()
	text, err := json.Marshal(map[string]any{
		"parameters": map[string]string{"/web/token": "token-" + value, "/web/vars/pool-size": "pool-" + value, "/web/vars/odd": oddValue},
		"vault":      map[string]any{"web/production": map[string]string{"url": "vault-" + value}},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("/root/cloud.json", string(text))
}

// secretsOf are the credentials that the app's process has, as it sees them.
func (a *app) secretsOf(set string) {
	a.t.Helper()
	want := map[string]string{
		"FILE": "file-" + set, "TOKEN": "token-" + set, "VAULT": "vault-" + set, "AGE": "hunter-age", "SEALED": "hunter-sealed",
	}
	if !a.seals() {
		delete(want, "SEALED")
	}
	for name, value := range want {
		for _, how := range []string{
			a.sh("cat /run/credentials/" + a.name + ".service/" + name),
			strings.TrimSpace(a.landfast("exec", a.name, "--", "/bin/sh", "-c", "cat $CREDENTIALS_DIRECTORY/"+name).code0().out),
		} {
			if how != value {
				a.t.Errorf("the secret %s is %q, want %q", name, how, value)
			}
		}
	}
	r := a.report()
	for _, v := range []string{"FILE=file-" + set, "POOL_SIZE=pool-" + set, "ODD=" + oddValue, "OF_S3=s3-" + set, "REGION=eu-central-1", "CREDENTIALS_DIRECTORY=/run/credentials/" + a.name + ".service", "FETCHED_DIR=/etc/web/fetched"} {
		if !slices.Contains(r.Env, v) {
			a.t.Errorf("the process lacks the variable %q: %q", v, r.Env)
		}
	}
	for _, v := range r.Env {
		if strings.HasPrefix(v, "TOKEN=") || strings.HasPrefix(v, "VAULT=") || strings.Contains(v, "hunter") {
			a.t.Errorf("a secret is a variable without being asked to: %q", v)
		}
	}
	if got := a.sh("runuser -u web -- cat /etc/web/fetched/deep/er.conf"); got != "deep-"+set {
		a.t.Errorf("the configuration is %q, want that of %s", got, set)
	}
}

// seals reports whether systemd has encrypted credentials.
func (a *app) seals() bool { return a.Suite.Systemd >= 250 }

func TestMIX11SecretsAndConfiguration(t *testing.T) {
	clouded(t, func(h *host) {
		a0 := h.app("web", 8080)
		service := "[service]\ncommand = \"" + wellKnown + "\"\ntype = \"notify\"\n"
		if h.Suite.Systemd >= 252 {
			service += `before_start = [["/bin/sh", "-c", "cat $CREDENTIALS_DIRECTORY/TOKEN >$STATE_DIR/before"]]`
		}
		a := a0.manifest(
			service, "[dirs]\nconfiguration = true\nstate = true",
			"[env]\nPORT = 8080\nssm = \"/web/vars\"\nfiles = \"${fetched_dir}/environment\"",
			"[environment]\ncloud_init = { REGION = \"v1.region\" }",
			"[config]\ns3 = \"s3://shop-config/production\"",
			`[hooks]
migrate = [["/bin/sh", "-c", "cat $CREDENTIALS_DIRECTORY/TOKEN >$STATE_DIR/migrated; cat $FETCHED_DIR/environment >>$STATE_DIR/migrated"]]`,
			strings.TrimSuffix(`[secrets]
FILE = { file = "/etc/landfast/secrets/web/file", env = true }
TOKEN = { ssm = "/web/token" }
VAULT = { vault = "kv/web/production#url" }
AGE = { age = "secrets/age" }
SEALED = { encrypted = "/etc/credstore.encrypted/sealed" }`, map[bool]string{false: "SEALED = { encrypted = \"/etc/credstore.encrypted/sealed\" }"}[a0.seals()]))
		// As cloud-init does at each boot.
		h.write("/etc/tmpfiles.d/cloud-init.conf", `f /run/cloud-init/instance-data.json 0644 - - - {"v1": {"region": "eu-central-1"}}`+"\n")
		h.sh("systemd-tmpfiles --create /etc/tmpfiles.d/cloud-init.conf")
		h.write("/etc/landfast/vault.toml", "address = \"http://"+cloudAddress+"\"\ntoken = \"s.token\"\n")
		h.sh("chmod 600 /etc/landfast/vault.toml")
		if a.seals() {
			h.sh("mkdir -p /etc/credstore.encrypted; echo -n hunter-sealed | systemd-creds encrypt --with-key=host --name=SEALED - /etc/credstore.encrypted/sealed")
		}
		h.sealForHost(a.dir+"/1/secrets/age", a.dir+"/2/secrets/age", a.dir+"/3/secrets/age")
		change := func(value string) {
			h.setCloud(value)
			h.sh("printf OF_S3=s3-" + value + " | cloud put " + cloudAddress + " shop-config/production/environment; " +
				"printf deep-" + value + " | cloud put " + cloudAddress + " shop-config/production/deep/er.conf")
			a.exec(lab.Cmd{Dir: a.dir, Argv: []string{"landfast", "secrets", "set", "./landfast.toml", "FILE"}, Stdin: strings.NewReader("file-" + value + "\n")}).code0()
		}
		change("one")
		a.deploy(a.release("1", "")).code0()
		a.secretsOf("one")
		a.nobodyElseSees("one")

		// A new release comes with what there is by then, and its hook has that before it counts.
		change("two")
		a.deploy(a.release("2", "")).code0()
		a.secretsOf("two")
		if got := h.sh("cat /var/lib/web/migrated"); got != "token-twoOF_S3=s3-two" {
			h.t.Errorf("the migration had %q", got)
		}
		if h.Suite.Systemd >= 252 && h.sh("cat /var/lib/web/before") != "token-two" {
			h.t.Error("the command before the start had another secret")
		}

		// A bad one leaves what was there.
		change("three")
		a.deploy(a.release("3", "exit")).exits(4)
		a.secretsOf("two")
		a.isWell()

		// The way back needs nobody, nor does a boot.
		h.sh("systemctl stop cloud")
		a.landfast("rollback", "web").code0()
		a.secretsOf("one")
		a.landfast("secrets", "refresh", "web").exits(7).says("secret VAULT", "secret TOKEN", "cannot reach Vault")
		if err := h.Restart(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		h.eventually("the app is back", func() (bool, string) {
			status, body, err := h.get("http://localhost:8080/healthz")
			return err == nil && status == 200, body
		})
		a.nobodyElseSees("one")

		a.landfast("uninstall", "web", "--purge").code0()
		if got := h.sh("ls -d /etc/web /var/lib/landfast/web /run/credentials/web.service 2>/dev/null || true"); got != "" {
			h.t.Errorf("left after a purge: %s", got)
		}
	})
}

// TestAReleaseOfS3 fetches it with its digest.
func TestAReleaseOfS3(t *testing.T) {
	clouded(t, func(h *host) {
		a := h.app("web", 8080).manifest()
		a.release("1", "")
		digest := h.sh("cd /root/web; tar -czf 1.tar.gz -C 1 .; cloud put " + cloudAddress + " shop-releases/web/1.tar.gz <1.tar.gz; sha256sum 1.tar.gz | cut -d' ' -f1")
		a.deploy("s3://shop-releases/web/1.tar.gz").exits(2).says("needs its digest")
		a.deploy("s3://shop-releases/web/1.tar.gz", "--digest", "sha256:"+strings.Repeat("0", 64)).exits(2).says("it was damaged or replaced")
		a.deploy("s3://shop-releases/web/2.tar.gz", "--digest", "sha256:"+digest).exits(2).says("NoSuchKey")
		a.deploy("s3://shop-releases/web/1.tar.gz", "--digest", "sha256:"+digest).code0()
		a.answers("1")
		if got := h.sh("ls /var/lib/landfast/web/work"); got != "" {
			h.t.Errorf("left of the downloads: %s", got)
		}
		h.write("/root/web/landfast.toml", h.read("/root/web/landfast.toml")+"\n[source]\narchive = \"s3://shop-releases/web/1.tar.gz\"\ndigest = \"sha256:"+digest+"\"\n")
		a.landfast("deploy").code0()
		a.answers("1")
		a.isWell()
	})
}

// TestEachReleaseHasItsOwnSecrets: where two releases run at once, each has what it
// came with, also when it is started again.
func TestEachReleaseHasItsOwnSecrets(t *testing.T) {
	clouded(t, func(h *host) {
		a := h.app("web", 8080).manifest(
			"[socket]\nlisten = \"8080\"", "[cutover]\nstrategy = \"handoff\"",
			"[dirs]\nconfiguration = true", "[config]\ns3 = \"s3://shop-config/production\"",
			"[env]\nfiles = \"${fetched_dir}/environment\"",
			"[secrets]\nTOKEN = { ssm = \"/web/token\", env = true }")
		change := func(value string) {
			h.setCloud(value)
			h.sh("printf OF_S3=s3-" + value + " | cloud put " + cloudAddress + " shop-config/production/environment")
		}
		has := func(value string) {
			h.t.Helper()
			r := a.report()
			unit := "web@" + a.current() + ".service"
			for _, v := range []string{"TOKEN=token-" + value, "OF_S3=s3-" + value} {
				if !slices.Contains(r.Env, v) {
					h.t.Errorf("%s lacks %s: %q", unit, v, r.Env)
				}
			}
			if got := h.sh("cat /run/credentials/" + unit + "/TOKEN"); got != "token-"+value {
				h.t.Errorf("%s has %q, want that of %s", unit, got, value)
			}
			a.landfast("exec", "web", "--", "/bin/sh", "-c", "cat $CREDENTIALS_DIRECTORY/TOKEN").code0().says("token-" + value)
		}
		change("one")
		a.deploy(a.release("1", "")).code0()
		has("one")
		change("two")
		a.deploy(a.release("2", "")).code0()
		has("two")
		change("three")
		a.deploy(a.release("3", "exit")).exits(1).says("rehearse")
		has("two")
		h.sh("systemctl restart web.service")
		has("two")
		a.landfast("secrets", "refresh", "web", "--restart").code0()
		has("three")
		a.landfast("rollback", "web").code0()
		has("three") // the world has changed: there is no way back behind a refresh
		a.isWell()
	})
}

// sealForHost encrypts a file for a key of the machine, which it makes, and puts it
// into releases.
func (h *host) sealForHost(files ...string) {
	h.t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.WriteFile("/etc/landfast/age.key", []byte(key.String()+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, key.Recipient())
	if err == nil {
		_, err = w.Write([]byte("hunter-age\n"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	for _, file := range files {
		h.write(file, sealed.String())
	}
}

// nobodyElseSees checks that a secret is nowhere but where it belongs.
func (a *app) nobodyElseSees(set string) {
	a.t.Helper()
	at := "/run/credentials/web.service"
	if got := a.sh("stat -c %a " + at + "/TOKEN; find /var/lib/landfast/web/settings -type f ! -perm 600 -o -type d ! -perm 700 -o ! -user root; " +
		"find -L /etc/web/fetched -type f ! -perm 640 -o -type d ! -perm 750 -o ! -user root -o ! -group web"); got != "400" && got != "440" {
		a.t.Errorf("modes: %s", got)
	}
	for _, who := range []string{"nobody", "landfast"} {
		for _, file := range []string{at + "/TOKEN", "/var/lib/landfast/web/settings/current/environment", "/etc/web/fetched/environment", "/etc/landfast/vault.toml"} {
			if r := a.run("/", "runuser", "-u", who, "--", "cat", file); r.code == 0 {
				a.t.Errorf("%s can read %s", who, file)
			}
		}
	}
	if r := a.run("/", "runuser", "-u", "web", "--", "sh", "-c", "cat /var/lib/landfast/web/settings/current/environment || echo x >/etc/web/fetched/environment"); r.code == 0 {
		a.t.Error("the account of the app gets at the files of root's")
	}
	// Not in the unit, the arguments, the journal or what landfast tells.
	for what, text := range map[string]string{
		"the unit":            a.sh("systemctl cat web.service; systemctl show web.service"),
		"the arguments":       a.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"),
		"the journal":         a.sh("journalctl --sync; journalctl -o cat -u web.service -u web-environment.service"),
		"what landfast says":  a.landfast("secrets", "list", "web").code0().all + a.landfast("config", "web").code0().all + a.landfast("show", "web", "last").code0().all,
		"what landfast keeps": a.sh("cat /etc/landfast/apps/web.toml /var/lib/landfast/web/deployments/* /var/lib/landfast/web/releases/*"),
	} {
		for _, value := range []string{"token-" + set, "vault-" + set, "file-" + set, "hunter-age", "hunter-sealed"} {
			if strings.Contains(text, value) {
				a.t.Errorf("%s tells the secret %s", what, value)
			}
		}
	}
}

// A root directory of its own, and an account that systemd makes up: the credentials
// are there as well, and a refresh reaches the app with its next start.
func TestSecretsInARootDirectoryAndOfADynamicUser(t *testing.T) {
	eachHost(t, func(h *host) {
		h.write("/run/cloud-init/instance-data.json", `{"v1": {"region": "eu-central-1"}}`)
		for name, more := range map[string]string{"chrooted": "[chroot]\n[environment]\ncloud_init = { REGION = \"v1.region\" }", "dynamic": ""} {
			a := h.app(name, map[string]int{"chrooted": 8081, "dynamic": 8082}[name]).manifest(more, "[secrets]\nDB = { file = \"/etc/landfast/secrets/"+name+"/db\", env = true }")
			if name == "dynamic" {
				a.write(a.dir+"/landfast.toml", strings.Replace(a.read(a.dir+"/landfast.toml"), "\n", "\ndynamic_user = true\n", 1))
			}
			set := func(value string) {
				a.exec(lab.Cmd{Dir: a.dir, Argv: []string{"landfast", "secrets", "set", "./landfast.toml", "DB"}, Stdin: strings.NewReader(value)}).code0()
			}
			has := func(value string) {
				h.t.Helper()
				out := a.landfast("exec", name, "--", "/bin/sh", "-c", "cat $CREDENTIALS_DIRECTORY/DB; echo; echo $DB").code0().out
				if out != value+"\n"+value+"\n" {
					h.t.Errorf("%s: a command has %q, want %q", name, out, value)
				}
				inside := "/proc/" + a.unit(name+".service", "MainPID") + "/root/run/credentials/" + name + ".service/DB"
				if got := a.sh("cat " + inside); got != value {
					h.t.Errorf("%s: the service has %q, want %q", name, got, value)
				}
				if r := a.report(); !slices.Contains(r.Env, "DB="+value) || name == "chrooted" && !slices.Contains(r.Env, "REGION=eu-central-1") {
					h.t.Errorf("%s: the environment lacks something: %q", name, r.Env)
				}
			}
			set("one")
			a.deploy(a.release("1", "")).code0()
			has("one")
			set("two")
			a.landfast("secrets", "refresh", name, "--restart").code0().says("the new set is", name+".service is active")
			has("two")
			a.isWell()
		}
	})
}

// TestSecretsFitTheReleaseWhereverItIsKilled kills deployments that change a secret
// before their changes to the disk, one after the other: what runs has the secret of
// its own release.
func TestSecretsFitTheReleaseWhereverItIsKilled(t *testing.T) {
	eachHost(t, func(h *host) {
		h.sh("mkdir -p -m 700 /etc/landfast/secrets; cd /etc/landfast/secrets; umask 077; echo one >1; echo two >2")
		s := h.swing("secrets", 9000)
		stride := 17
		if everything() {
			stride = 1
		}
		old, points, outcomes := s.version(), 0, tally{}
		for at := 1 + dice(h.t).IntN(stride); ; at += stride {
			target := other(old)
			r, failed, _ := s.faulty("-kill", at, target)
			if failed == 0 {
				h.t.Logf("killed before %d of %d changes: %s", points, at-1, outcomes)
				break
			}
			points++
			old = s.settled(r, old, target)
			outcomes[map[bool]string{true: "new", false: "old"}[old == target]]++
			want := map[string]string{"1": "one", "2": "two"}[old]
			if got := s.sh("cat /run/credentials/secrets.service/SECRET"); got != want || !slices.Contains(s.report().Env, "SECRET="+want) {
				h.t.Fatalf("version %s runs with the secret %q, want %q", old, got, want)
			}
			// A start by anybody is with the same.
			s.sh("systemctl restart secrets.service")
			if got := s.sh("cat /run/credentials/secrets.service/SECRET"); got != want {
				h.t.Fatalf("version %s starts with the secret %q, want %q", old, got, want)
			}
		}
		s.tidy()
		if got := s.sh("ls -A /var/lib/landfast/secrets/settings/sets | wc -l; ls -A /var/lib/landfast/secrets/settings/releases | wc -l"); got != "2\n2" {
			h.t.Errorf("sets and releases that are remembered: %s, want 2 each", got)
		}
	})
}
