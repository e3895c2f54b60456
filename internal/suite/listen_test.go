package suite_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// forge is a git repository with three commits that a machine serves, as a forge does.
func (a *app) forge() (commits []string) {
	a.t.Helper()
	commits = strings.Fields(a.sh(`mkdir -p /srv/git; cd /srv/git
		export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		git -c init.defaultBranch=main init -q web.git; cd web.git
		for r in '{"Version":"1"}' '{"Version":"2","Behave":"exit"}' '{"Version":"3"}'; do
			echo "$r" >release.json; cp /root/web/landfast.toml .; git add -A; git commit -qm one; git rev-parse HEAD
		done
		git update-server-info`))
	a.sh("systemd-run -q --unit=forge python3 -m http.server --bind 127.0.0.1 --directory /srv/git 9418")
	return commits
}

// sent is the answer of the listener.
type sent struct {
	status int
	body   string
	ids    []string
}

// send sends a request to the listener with curl, inside of the machine.
func (a *app) send(path, body string, headers ...string) sent {
	a.t.Helper()
	a.write("/tmp/body", body)
	argv := []string{"curl", "-s", "-w", "\n%{http_code}", "--max-time", "60", "--data-binary", "@/tmp/body", "http://127.0.0.1:8420" + path}
	if body == "" {
		argv = []string{"curl", "-s", "-w", "\n%{http_code}", "--max-time", "60", "http://127.0.0.1:8420" + path}
	}
	for _, h := range headers {
		argv = append(argv, "-H", h)
	}
	out := a.run("/", argv...).code0().out
	i := strings.LastIndex(out, "\n")
	s := sent{body: out[:i]}
	s.status, _ = strconv.Atoi(strings.TrimSpace(out[i:]))
	var answer struct{ Events []struct{ ID string } }
	_ = json.Unmarshal([]byte(s.body), &answer) // not every answer lists events
	for _, e := range answer.Events {
		s.ids = append(s.ids, e.ID)
	}
	return s
}

// push is a push as GitHub sends it.
func (a *app) push(secret, commit, delivery string) sent {
	a.t.Helper()
	body := fmt.Sprintf(`{"ref":"refs/heads/main","before":"%040d","after":%q,"deleted":false,"repository":{"full_name":"shop/web"},"pusher":{"name":"ann"},"head_commit":{"id":%q,"message":"one","added":[],"modified":["release.json"],"removed":[]},"commits":[]}`, 1, commit, commit)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return a.send("/hooks/web", body, "Content-Type: application/json", "X-GitHub-Event: push", "X-GitHub-Delivery: "+delivery,
		"X-Hub-Signature-256: sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// TestPushToDeploy: a signed push reaches a listener that was not running, is on disk
// when it is answered, and becomes a deployment; what is forged is refused; when
// nothing happens nothing runs.
func TestPushToDeploy(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest("[source]\ngit = \"http://127.0.0.1:9418/web.git/.git\"\nbranch = \"main\"")
		commits := a.forge()
		a.landfast("apply").code0()
		var made struct{ Secret string }
		a.landfast("trigger", "add", "github", "web", "--repository", "shop/web", "--json").code0().decode(&made)
		var token struct{ Token string }
		a.landfast("token", "add", "ci", "--app", "web", "--action", "deploy", "--action", "rollback", "--action", "show", "--action", "cancel", "--json").code0().decode(&token)
		a.landfast("setup", "web").code0()
		a.landfast("setup", "web").code0().says("nothing to change")
		if out := h.sh("ps -eo args | grep '[l]andfast' || true"); out != "" {
			t.Errorf("an idle host runs %s", out)
		}
		if s := a.push("a secret that somebody guessed", commits[0], "d-0"); s.status != 403 {
			t.Errorf("a forged push: %+v", s)
		}
		first := a.push(made.Secret, commits[0], "d-1")
		if first.status != 202 || len(first.ids) != 1 {
			t.Fatalf("a push: %+v", first)
		}
		a.journalOf(first.ids[0], "done")
		a.answers("1")
		a.duplicates(made.Secret, commits, first.ids[0])
		bad := a.push(made.Secret, commits[1], "d-2")
		a.journalOf(bad.ids[0], "failed")
		a.answers("1")
		a.overTheAPI(token.Token, commits)
		a.inTheListener()
		h.eventually("nothing of Landfast runs", func() (bool, string) {
			out := h.sh("ps -eo args | grep '[l]andfast' || true")
			return out == "", out
		})
		if out := h.sh("systemctl list-units --plain --no-legend --state=failed 'landfast*'"); out != "" {
			t.Errorf("failed units: %s", out)
		}
		a.landfast("setup", "--remove").code0()
	})
}

// duplicates: what was sent before takes no effect, whatever the header calls it.
func (a *app) duplicates(secret string, commits []string, first string) {
	a.t.Helper()
	before := len(a.deployments())
	for _, delivery := range []string{"d-1", "d-other"} {
		again := a.push(secret, commits[0], delivery)
		if again.status != 202 || len(again.ids) != 1 || again.ids[0] == first {
			a.t.Fatalf("the same push again: %+v", again)
		}
		if text := a.journalOf(again.ids[0], "done"); !strings.Contains(text, "duplicate") {
			a.t.Errorf("the same push again:\n%s", text)
		}
	}
	if n := len(a.deployments()); n != before {
		a.t.Errorf("%d deployments of what was sent before", n-before)
	}
}

// overTheAPI deploys and rolls back as a CI does, and waits for the outcome.
func (a *app) overTheAPI(token string, commits []string) {
	a.t.Helper()
	path, auth := "/v1/apps/web/deployments", "Authorization: Bearer "+token
	if s := a.send(path, `{"commit":"`+commits[2]+`"}`); s.status != 401 {
		a.t.Errorf("without a token: %+v", s)
	}
	if s := a.send("/v1/apps/shop/deployments", `{}`, auth); s.status != 403 {
		a.t.Errorf("another app: %+v", s)
	}
	if s := a.send(path, `{"comit":"x"}`, auth); s.status != 400 || !strings.Contains(s.body, "comit") {
		a.t.Errorf("an unknown key: %+v", s)
	}
	s := a.send(path+"?wait=1", `{"commit":"`+commits[2]+`"}`, auth)
	if s.status != 200 || !strings.Contains(s.body, `"state":"done"`) {
		a.t.Fatalf("a deployment: %+v", s)
	}
	a.answers("3")
	s = a.send(path, `{"action":"rollback"}`, auth, "Accept: text/event-stream")
	if s.status != 200 || !strings.Contains(s.body, "event: progress") || !strings.Contains(s.body, `"state":"done"`) {
		a.t.Errorf("a rollback that is followed: %+v", s)
	}
	a.answers("1")
	if s = a.send(path+"?n=2", "", auth); s.status != 200 || strings.Count(s.body, `"event":`) != 2 {
		a.t.Errorf("the list: %+v", s)
	}
	a.landfast("queue", "list", "web").code0().says("rollback", "duplicate", "failed")
}

// inTheListener tries from inside of its sandbox what it must not be able to do.
func (a *app) inTheListener() {
	a.t.Helper()
	if score := a.sh("systemd-analyze security --no-pager landfast-listen.service | tail -1"); !strings.Contains(score, ": 0.") && !strings.Contains(score, ": 1.0 ") {
		a.t.Errorf("the listener: %s", score)
	} else {
		a.t.Log(score)
	}
	a.send("/healthz", "") // so that it runs
	pid := a.property("landfast-listen.service", "MainPID")
	uid := a.sh("stat -c %u /proc/" + pid)
	for _, try := range []string{
		"cat /etc/shadow", "ls /srv/web", "cat /etc/landfast/secrets/web.secret", "ls /var/lib/landfast/web",
		"touch /var/lib/x", "touch /etc/x", "ls /var/spool/landfast/web/cur", "touch /var/spool/landfast/web/done/x",
	} {
		r := a.run("/", "nsenter", "-t", pid, "-m", "-S", uid, "-G", uid, "--", "sh", "-c", try)
		if r.code == 0 {
			a.t.Errorf("the listener can: %s\n%s", try, r.all)
		}
	}
	if out := a.run("/", "nsenter", "-t", pid, "-n", "--", "curl", "-s", "--max-time", "2", "http://127.0.0.1:9418/").code; out == 0 {
		a.t.Error("the listener reaches others")
	}
	if out := a.sh("systemctl show -p SystemCallFilter landfast-listen.service"); strings.Contains(out, " connect ") {
		a.t.Errorf("the listener may connect: %s", out)
	}
	if out := a.sh("cat /proc/" + pid + "/status | grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):'"); !strings.Contains(out, "CapEff:\t0000000000000000") || !strings.Contains(out, "NoNewPrivs:\t1") {
		a.t.Errorf("the powers of the listener: %s", out)
	}
}
