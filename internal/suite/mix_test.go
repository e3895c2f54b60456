package suite_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// shown is a manifest that a document shows, behind the comment <!-- name -->.
func (h *host) shown(document, name string) string {
	h.t.Helper()
	text, err := os.ReadFile("../../docs/" + document)
	if err != nil {
		h.t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- "+name+" -->\n```toml\n")
	manifest, _, ok2 := strings.Cut(rest, "\n```\n")
	if !ok || !ok2 {
		h.t.Fatalf("%s has no manifest %s", document, name)
	}
	return manifest + "\n"
}

// The three configurations that the how-to for people of mix_systemd translates,
// each deployed, and what the text says of them.
func TestMIX11TranslatedConfigurations(t *testing.T) {
	clouded(t, func(h *host) {
		a := h.app("shop", 4000)
		a.release("1", "")
		// What mix release leaves, as far as the unit sees it.
		h.sh(`cd /root/shop/1; mkdir bin; cp ` + wellKnown + ` bin/probe
			printf '#!/bin/sh\nset -eu\ncase $1 in start) exec "${0%%/*}/probe" ;; eval) echo "$2" >"$LOGS_DIR/evaluated" ;; *) exit 9 ;; esac\n' >bin/shop
			chmod +x bin/shop`)
		show := func(name string) {
			h.write("/root/shop/landfast.toml", h.shown("how-to/coming-from-mix_systemd.md", name))
			a.deploy("1").code0()
			a.isWell()
		}
		end := func() { a.landfast("uninstall", "shop", "--purge").code0() }

		show("phoenix")
		r := a.answers("1")
		for _, want := range []string{"SITE_TITLE=The corner shop", "PORT=4000", "RELEASE_TMP=/run/shop", "LANG=C.UTF-8", "CONFIGURATION_DIR=/etc/shop"} {
			if !slices.Contains(r.Env, want) {
				h.t.Errorf("the environment lacks %s: %q", want, r.Env)
			}
		}
		if got := h.sh("cat /var/log/shop/evaluated; stat -c '%U:%G %a' /etc/shop /srv/shop/releases; visudo -c -q -f /etc/sudoers.d/*shop* 2>&1 || test ! -x /usr/sbin/visudo"); got != "Shop.Release.migrate()\nroot:shop 750\ndeploy:shop 750" {
			h.t.Errorf("after the plain app: %s", got)
		}
		end()

		h.write("/root/cloud.json", `{"parameters": {"/shop/production/secret-key-base": "base"}}`)
		h.sh("echo POOL=of-the-bucket | cloud put " + cloudAddress + " shop-config/production/environment; " +
			"mkdir -p -m 700 /etc/landfast/secrets/shop; (umask 077; echo hunter2 >/etc/landfast/secrets/shop/database-password)")
		show("s3")
		if r := a.answers("1"); !slices.Contains(r.Env, "POOL=of-the-bucket") || !slices.Contains(r.Env, "SECRET_KEY_BASE=base") {
			h.t.Errorf("the variables of the bucket and of Systems Manager did not arrive: %q", r.Env)
		}
		if got := h.sh("stat -L -c '%U:%G %a' /etc/shop/fetched/environment; runuser -u shop -- cat /etc/shop/fetched/environment; runuser -u shop -- sh -c 'test ! -w /etc/shop/fetched/environment'; ! runuser -u nobody -- cat /etc/shop/fetched/environment 2>/dev/null; landfast exec shop -- /bin/sh -c 'cat $CREDENTIALS_DIRECTORY/DATABASE_PASSWORD'"); got != "root:shop 640\nPOOL=of-the-bucket\nhunter2" {
			h.t.Errorf("after the one with S3: %s", got)
		}
		end()

		show("chroot")
		r = a.report()
		if r.Version != "1" {
			h.t.Errorf("version %s answers", r.Version)
		}
		root := "/proc/" + h.unit("shop.service", "MainPID") + "/root"
		h.sh("for f in etc/passwd usr/bin/env srv/shop/current/bin/shop; do test -e " + root + "/$f; done; " +
			"for f in etc/shadow etc/landfast etc/systemd var/log opt; do test ! -e " + root + "/$f; done")
		if got := h.sh("ls /srv/shop/root"); got == "" {
			h.t.Error("the root directory holds no mount points")
		}
		h.sh("runuser -u landfast -- touch /srv/shop/flags/restart.flag")
		h.eventually("the flag restarts the app", func() (bool, string) {
			status, body, err := h.get("http://localhost:4000/")
			if err != nil || status != 200 {
				return false, body
			}
			var now report // of this answer: a second question may meet the restart
			err = json.Unmarshal([]byte(body), &now)
			return err == nil && now.PID != r.PID, body
		})
		h.sh("test ! -e /srv/shop/flags/restart.flag")
		a.isWell()
		end()
	})
}
