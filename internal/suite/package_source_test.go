package suite_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAPackageIsASource deploys versions of a Debian package from a repository.
func TestAPackageIsASource(t *testing.T) {
	eachHost(t, func(h *host) {
		a := h.app("web", 8080)
		a.manifest("[service]\ncommand = \"usr/lib/shop/probe\"\ntype = \"notify\"", "[paths]\nworking = \"${current_dir}/usr/lib/shop\"", "[source]\npackage = \"shop\"")
		a.repository("1.0-1", "2.0-1")

		a.landfast("deploy").code0().says("is live")
		a.versionIs("2.0-1")
		a.landfast("deploy", "--from", "package:shop=1.0-1").code0()
		a.versionIs("1.0-1")
		a.landfast("rollback").code0()
		a.versionIs("2.0-1")
		if all := a.releases(); !strings.HasPrefix(all[0].Source, "package shop ") {
			t.Errorf("the source is %q", all[0].Source)
		}
		if installed := a.sh("dpkg-query -W -f '${db:Status-Abbrev}' shop 2>/dev/null || true"); strings.HasPrefix(installed, "ii") {
			t.Error("the package was installed")
		}
		a.landfast("deploy", "--from", "package:shop=9").exits(7).says("cannot fetch package shop=9", "apt-cache policy shop")
		a.landfast("deploy", "--from", "package:-o=x").exits(2)
		if left := a.sh("ls -A /var/lib/landfast/web/work"); left != "" {
			t.Errorf("left behind: %s", left)
		}
		a.isWell()
	})
}

// versionIs checks what runs.
func (a *app) versionIs(want string) {
	a.t.Helper()
	if r := a.report(); r.Version != want {
		a.t.Errorf("version %s runs, want %s", r.Version, want)
	}
}

// repository makes a repository of the package shop on the machine, and nothing else
// that apt knows.
func (a *app) repository(versions ...string) {
	a.t.Helper()
	for _, v := range versions {
		a.write("/root/shop-"+v+"/DEBIAN/control", fmt.Sprintf("Package: shop\nVersion: %s\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: a shop\n", v))
		a.write("/root/shop-"+v+"/usr/lib/shop/release.json", fmt.Sprintf("{\"Version\":%q}\n", v))
		a.sh(fmt.Sprintf(`cd /root && cp %s shop-%s/usr/lib/shop/probe && chmod 755 shop-%s/usr/lib/shop/probe
mkdir -p repo && dpkg-deb --root-owner-group --build shop-%s repo/shop_%s_amd64.deb >/dev/null
{ dpkg-deb --field repo/shop_%s_amd64.deb; echo "Filename: ./shop_%s_amd64.deb"
  echo "Size: $(stat -c %%s repo/shop_%s_amd64.deb)"; echo "SHA256: $(sha256sum repo/shop_%s_amd64.deb | cut -d' ' -f1)"; echo; } >>repo/Packages`,
			wellKnown, v, v, v, v, v, v, v, v))
	}
	a.sh(`rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/root/repo ./' >/etc/apt/sources.list
apt-get update -qq`)
}
