package suite_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/landfast/landfast"
)

// post puts an event into the spool as the listener would: written aside, then named.
func (a *app) post(id string, ev landfast.Event) {
	a.t.Helper()
	ev.ID, ev.App, ev.Provider = id, a.name, "hand"
	text, err := json.Marshal(ev)
	if err != nil {
		a.t.Fatal(err)
	}
	spool := "/var/spool/landfast/" + a.name
	a.write("/tmp/event", string(text))
	a.sh(fmt.Sprintf("systemd-run -q --pipe --wait -p DynamicUser=yes -p SupplementaryGroups=landfast-listen -p ReadWritePaths=%[1]s sh -ec 'umask 022; cat >%[1]s/tmp/%[2]s.json; mv %[1]s/tmp/%[2]s.json %[1]s/new/' </tmp/event", spool, id))
}

// ended waits until an event has ended, and gives its journal.
func (a *app) journalOf(id, where string) string {
	a.t.Helper()
	file := "/var/spool/landfast/" + a.name + "/" + where + "/" + id + ".jsonl"
	a.eventually("event "+id+" is "+where, func() (bool, string) {
		return a.run("/", "test", "-e", file).code == 0, a.sh("find /var/spool/landfast -type f; cat /var/spool/landfast/*/failed/*.jsonl || true; journalctl --no-pager -n 30 -u 'landfast-*' -o cat")
	})
	return a.read(file)
}

// TestAnEventBecomesADeployment: an event in the spool starts the worker, which fetches
// just its commit and has root deploy it; a bad release comes back, and the event says
// why; nothing runs when nothing happens.
func TestAnEventBecomesADeployment(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080).manifest("[source]\ngit = \"http://127.0.0.1:9418/web.git/.git\"\nbranch = \"main\"")
		commits := strings.Fields(a.sh(`mkdir -p /srv/git; cd /srv/git
			export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
			git -c init.defaultBranch=main init -q web.git; cd web.git
			for r in '{"Version":"1"}' '{"Version":"2","Behave":"exit"}' '{"Version":"3"}'; do
				echo "$r" >release.json; cp /root/web/landfast.toml .; git add -A; git commit -qm one; git rev-parse HEAD
			done
			git update-server-info`))
		h.run("/", "landfast", "setup", "web").code0()
		a.landfast("apply").code0()
		// The worker sees nothing of /srv: it fetches over the network, as from a forge.
		h.sh("systemd-run -q --unit=forge python3 -m http.server --bind 127.0.0.1 --directory /srv/git 9418")
		id := func(n int) string { return fmt.Sprintf("20261125T120000.%06dZ", n) }
		a.post(id(1), landfast.Event{Action: landfast.ActionDeploy, Commit: commits[0], Actor: "ann", Repository: "shop/web"})
		if text := a.journalOf(id(1), "done"); !strings.Contains(text, "is live") || !strings.Contains(text, "fetched http://127.0.0.1") {
			t.Errorf("the journal of the event:\n%s", text)
		}
		a.answers("1")
		if d := a.deployments()[0]; d.Actor != "ann (hand)" || !strings.HasSuffix(d.To, commits[0][:7]) {
			t.Errorf("the history says %+v", d)
		}
		a.post(id(2), landfast.Event{Action: landfast.ActionDeploy, Commit: commits[1]})
		if text := a.journalOf(id(2), "failed"); !strings.Contains(text, "web.service") {
			t.Errorf("the journal does not say why:\n%s", text)
		}
		a.answers("1")
		// The forge is away: the event waits, and takes effect when it is back.
		h.sh("systemctl stop forge")
		a.post(id(3), landfast.Event{Action: landfast.ActionDeploy, Commit: commits[2]})
		h.eventually("the event is tried again", func() (bool, string) {
			out := a.sh("cat /var/spool/landfast/web/cur/*.jsonl || true")
			return strings.Contains(out, `"retrying"`), out
		})
		h.sh("systemd-run -q --unit=forge2 python3 -m http.server --bind 127.0.0.1 --directory /srv/git 9418")
		a.journalOf(id(3), "done")
		a.answers("3")
		a.post(id(4), landfast.Event{Action: landfast.ActionRollback})
		a.journalOf(id(4), "done")
		a.answers("1")
		a.isWell()
		h.eventually("nothing of Landfast runs", func() (bool, string) {
			out := h.sh("ps -eo args | grep '[l]andfast' || true")
			return out == "", out
		})
		h.sh("test -z \"$(ls -A /var/lib/landfast/web/incoming)\"; test -z \"$(systemctl list-units --plain --no-legend --state=failed 'landfast*')\"")
	})
}
