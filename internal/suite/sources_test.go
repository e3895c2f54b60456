package suite_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/lab"
)

// inRelease is a manifest whose program lies in the release, as with most apps.
const inRelease = "[service]\ncommand = \"bin/probe\"\ntype = \"notify\"\n"

// project makes a release with a program in it, as a build would leave it: with
// modes and owners of somebody's machine.
func (a *app) project(version string) string {
	a.t.Helper()
	a.release(version, "")
	a.sh(fmt.Sprintf(`cd %s/%s; mkdir -p bin 'assets/a b'; cp %s bin/probe; chmod 0775 bin/probe
		ln -s ../release.json assets/link; echo body >'assets/a b/style.css'; chmod 0666 'assets/a b/style.css'; chmod 0777 assets`, a.dir, version, wellKnown))
	return version
}

// sealed checks that a release is landfast's own, and that the app that runs from
// it can change nothing of it.
func (a *app) sealed(r report) {
	a.t.Helper()
	want := "drwxr-x--- landfast:" + a.name + ` .
drwxr-x--- landfast:` + a.name + ` ./assets
drwxr-x--- landfast:` + a.name + ` ./assets/a b
-rw-r----- landfast:` + a.name + ` ./assets/a b/style.css
lrwxrwxrwx landfast:` + a.name + ` ./assets/link
drwxr-x--- landfast:` + a.name + ` ./bin
-rwxr-x--- landfast:` + a.name + ` ./bin/probe
-rw-r----- landfast:` + a.name + ` ./release.json`
	got := a.sh("cd " + r.Release + "; find . -path ./.git -prune -o ! -name '.git*' -printf '%M %u:%g %p\n' | sort -k3")
	a.same("owners and modes of the release (before: wanted)", want, got)
	if uid := a.sh("id -u " + a.name); uid == "0" || uid != fmt.Sprint(r.UID) {
		a.t.Errorf("the app runs as %d, and %s is %s", r.UID, a.name, uid)
	}
	for what, err := range r.Written {
		if err == "" {
			a.t.Errorf("the app could write %s", what)
		}
	}
	// Outside of the sandbox its rights are no greater.
	for _, act := range []string{"echo x >>release.json", "rm release.json", "touch new", "chmod 0777 .", "touch ../new", "mv ../../current ../../gone"} {
		if r := a.run(r.Release, "setpriv", "--reuid="+a.name, "--regid="+a.name, "--clear-groups", "sh", "-c", act); r.code == 0 {
			a.t.Errorf("the account %s could: %s", a.name, act)
		}
	}
}

func TestEveryKindOfSourceMakesTheSameRelease(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest(inRelease)
		a.project("1")
		h.sh(`cd /root/web
			tar -czf web.tar.gz -C 1 .
			tar -c -C 1 . | zstd -q -f -o web.tar.zst
			tar -cJf web.tar.xz -C 1 .
			mkdir top; cp -a 1 top/web-1; tar -cf - -C top web-1 | gzip >stripped.tgz
			cd 1; python3 - <<-END
			import os, stat, zipfile
			z = zipfile.ZipFile("../web.zip", "w", zipfile.ZIP_DEFLATED)
			for d, dirs, files in os.walk("."):
			    for f in files:
			        p = os.path.join(d, f)
			        i = zipfile.ZipInfo.from_file(p)
			        if os.path.islink(p):
			            i.external_attr = (stat.S_IFLNK | 0o777) << 16
			            z.writestr(i, os.readlink(p))
			        else:
			            z.writestr(i, open(p, "rb").read())
			z.close()
			END`)
		contents := map[string]bool{}
		sources := [][]string{{"1"}, {"web.tar.gz"}, {"web.tar.zst"}, {"web.tar.xz"}, {"web.zip"}, {"stripped.tgz", "--strip", "1"}}
		for _, s := range sources {
			a.deploy(s[0], s[1:]...).code0()
			r := a.answers("1")
			a.sealed(r)
			contents[a.releases()[0].Content] = true
		}
		if len(contents) != 1 {
			h.t.Errorf("the same files from %d sources are %d contents", len(sources), len(contents))
		}
		if got := h.sh("ls /var/lib/landfast/web/work"); got != "" {
			h.t.Errorf("left of the downloads: %s", got)
		}
		a.isWell()
	})
}

func TestAGitCommitIsDeployedExactlyWithItsSubmodules(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest(inRelease)
		a.project("1")
		a.project("2")
		commits := strings.Fields(h.sh(`cd /root
			export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
			g() { git -c protocol.file.allow=always -c init.defaultBranch=main -c advice.detachedHead=false "$@" >&2; }
			g init -q assets.git; cp -a web/1/assets/. assets.git/; cd assets.git; g add -A; g commit -qm assets; cd ..
			g init -q web.git; cd web.git; cp -a ../web/1/bin ../web/1/release.json .; g submodule add -q /root/assets.git assets
			g add -A; g commit -qm one; git rev-parse HEAD; g tag v1
			cp ../web/2/release.json .; g commit -qam two; git rev-parse HEAD
			echo '{}' >release.json; g commit -qam three
			rm -rf /root/web/1 /root/web/2`))
		one, two := commits[0], commits[1]
		a.deploy("/root/web.git", "--revision", one).code0()
		r := a.answers("1")
		if !strings.HasSuffix(r.Release, "-"+one[:7]) {
			h.t.Errorf("the release %s does not carry the revision %s", r.Release, one)
		}
		a.sealed(r)
		if got := a.releases()[0].Revision; got != one {
			h.t.Errorf("the revision of the release is %q, want %s", got, one)
		}
		a.deploy("/root/web.git", "--revision", two).code0()
		a.answers("2")
		a.deploy("/root/web.git", "--revision", "v1").code0()
		a.answers("1")
		before := a.state()
		for _, revision := range []string{strings.Repeat("0", 40), "no-such-branch", "--upload-pack=touch /tmp/pwned"} {
			if r := a.deploy("/root/web.git", "--revision="+revision); r.code != 1 && r.code != 2 && r.code != 7 {
				h.t.Errorf("revision %s: exit code %d\n%s", revision, r.code, r.all)
			}
		}
		h.same("a revision that there is not changed something", before, a.state())
		h.sh("test ! -e /tmp/pwned")
		a.answers("1")
	})
}

func TestAnArchiveFromTheNetworkIsBelievedOnlyByItsDigest(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest(inRelease)
		a.project("1")
		a.project("2")
		h.sh("cd /root/web; mkdir pub; for v in 1 2; do tar -czf pub/web-$v.tar.gz -C $v .; done")
		a.serveTLS("/root/web/pub", 9443)
		url := func(v string) string { return "https://localhost:9443/web-" + v + ".tar.gz" }
		digest := func(v string) string {
			text, err := a.ReadFile("/root/web/pub/web-" + v + ".tar.gz")
			if err != nil {
				a.t.Fatal(err)
			}
			return fmt.Sprintf("sha256:%x", sha256.Sum256(text))
		}
		a.deploy(url("1"), "--digest", digest("1")).exits(7).says("certificate")
		h.sh("cp /root/ca.pem /usr/local/share/ca-certificates/lab.crt; update-ca-certificates >/dev/null 2>&1")
		a.deploy(url("1"), "--digest", digest("1")).code0()
		a.sealed(a.answers("1"))

		before := a.state()
		a.deploy(url("2")).exits(2).says("--digest")
		r := a.deploy(url("2"), "--digest", digest("1"))
		if r.code != 1 && r.code != 2 {
			h.t.Errorf("a wrong digest: exit code %d", r.code)
		}
		r.says("web-2.tar.gz", digest("1"), digest("2"))
		if r := a.deploy(url("3"), "--digest", digest("1")); r.code == 0 {
			h.t.Error("an archive that is not there was deployed")
		}
		a.deploy(strings.Replace(url("1"), "https", "http", 1), "--digest", digest("1"))
		h.same("a refused archive changed something", before, a.state())
		if got := h.sh("find /var/lib/landfast/web/work -mindepth 1"); got != "" {
			h.t.Errorf("left of the downloads: %s", got)
		}
		// Damaged on the way, before a byte of it is unpacked.
		h.sh("cd /root/web/pub; printf x | dd of=web-2.tar.gz bs=1 seek=1000 conv=notrunc 2>/dev/null")
		good := sha256Of(t, a, "/root/web/pub/web-1.tar.gz")
		a.deploy("/root/web/pub/web-2.tar.gz", "--digest", good).says("digest")
		a.answers("1")
		a.isWell()
	})
}

func sha256Of(t *testing.T, a *app, path string) string {
	t.Helper()
	text, err := a.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(text))
}

// serveTLS serves a directory of the machine as https://localhost, with a
// certificate of an authority in /root/ca.pem that the machine does not know yet.
func (h *host) serveTLS(dir string, port int) {
	h.t.Helper()
	ca, cert := h.certificates()
	h.write("/root/ca.pem", ca)
	h.write("/root/server.pem", cert)
	script := fmt.Sprintf(`
import http.server, os, ssl
os.chdir(%q)
s = http.server.ThreadingHTTPServer(("127.0.0.1", %d), http.server.SimpleHTTPRequestHandler)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain("/root/server.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()`, dir, port)
	ctx, cancel := context.WithCancel(h.t.Context())
	p, err := h.Start(ctx, lab.Cmd{Argv: []string{"python3", "-c", script}})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cancel()
		_, _ = p.Wait()
	})
	h.eventually("the TLS server listens", func() (bool, string) {
		c, err := h.Dial(h.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false, err.Error()
		}
		return c.Close() == nil, ""
	})
}

// certificates makes an authority, and the key and certificate of a server.
func (h *host) certificates() (ca, server string) {
	h.t.Helper()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	must(err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, caKey)
	must(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(err)
	var both bytes.Buffer
	must(pem.Encode(&both, &pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	must(pem.Encode(&both, &pem.Block{Type: "CERTIFICATE", Bytes: leafDER}))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})), both.String()
}

func TestPruneKeepsWhatItMust(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 9000).manifest("[releases]\nkeep = 2", "[health]\nhttp = \"/healthz\"\ninterval = \"20ms\"\ntimeout = \"500ms\"")
		for _, v := range []string{"1", "2", "3", "4", "5"} {
			a.deploy(a.release(v, "")).code0()
		}
		versions := func() string {
			return strings.Join(strings.Fields(h.sh("cd /srv/web/releases; for r in *; do sed 's/.*\"Version\":\"\\([^\"]*\\)\".*/\\1/' $r/release.json; done")), " ")
		}
		// The two newest good ones are the current one and the one before it.
		if got := versions(); got != "4 5" {
			h.t.Errorf("after five deployments with keep = 2 there are %s", got)
		}
		a.deploy(a.release("6", "sick")).exits(4)
		a.deploy(a.release("7", "exit")).exits(4)
		a.answers("5")
		if got := versions(); got != "4 5" {
			h.t.Errorf("bad releases count: there are %s", got)
		}
		a.landfast("rollback").code0()
		a.answers("4")
		a.landfast("prune", "--keep", "0").code0()
		a.answers("4")
		if got := versions(); !strings.Contains(got, "4") {
			h.t.Errorf("the current release was pruned: there are %s", got)
		}
		h.sh("mkdir -p /srv/web/releases/20200101T000000Z-abc.part/x /srv/web/releases/notes; touch /srv/web/releases/notes/mine")
		a.landfast("prune").code0()
		h.sh("test -e /srv/web/releases/notes/mine; test ! -e /srv/web/releases/20200101T000000Z-abc.part")
		a.isWell()
	})
}
