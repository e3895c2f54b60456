package manifest

import (
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// chroot is [chroot].
type chroot struct {
	on                                      bool
	at                                      *node
	root                                    text
	host, readOnly, readWrite, inaccessible texts
}

// hostParts are what programs need of a host: themselves, their libraries, and
// the configuration that the C library and runtimes read. On a merged /usr,
// /bin and /lib are links, of which a bind takes what they lead to.
const hostParts = `["/usr", "-/bin", "-/sbin", "-/lib", "-/lib32", "-/lib64", "-/etc/alternatives", "-/etc/ca-certificates", "-/etc/group", ` +
	`"-/etc/host.conf", "-/etc/hosts", "-/etc/ld.so.cache", "-/etc/localtime", "-/etc/nsswitch.conf", "-/etc/passwd", "-/etc/pki", ` +
	`"-/etc/protocols", "-/etc/resolv.conf", "-/etc/services", "-/etc/ssl", "-/etc/timezone"]`

func (c *chroot) switchOn(at *node) { c.on, c.at = true, at }

func (c *chroot) keys() []key {
	return []key{
		{
			name: "root", directive: "RootDirectory", value: c.root.as(ownPath), def: `"${deploy_dir}/root"`, ref: "root_dir", example: `"/srv/shop/root"`,
			doc: "The directory that is / for the services. It is made if there is none, and what they may see is bound into it: the release, the directories of the app and the paths below. `\"${current_dir}\"` makes the release itself the root.",
		},
		{
			name: "host", value: c.host.as(maybePath), def: hostParts, example: `["/usr", "-/lib64", "/etc/ssl"]`,
			doc: "What of the host is seen inside, read-only at the same place: programs and libraries, so that updates of the host reach the app. One with a `-` in front may be absent.",
		},
		{
			name: "read_only", directive: "BindReadOnlyPaths", value: c.readOnly.as(maybePath), note: "none", example: `["/etc/java-17-openjdk"]`,
			doc: "More of the same.",
		},
		{
			name: "read_write", directive: "BindPaths", value: c.readWrite.as(maybePath), note: "none", example: `["/run/postgresql"]`,
			doc: "Paths of the host that are bound inside at the same place, and may be written as far as the account of the app may.",
		},
		{
			name: "inaccessible", directive: "InaccessiblePaths", value: c.inaccessible.as(maybePath), note: "none", example: `["-/usr/share/doc"]`,
			doc: "Paths inside that nobody may enter.",
		},
	}
}

func (c *chroot) build(d *decoder) *landfast.Chroot {
	if !c.on {
		return nil
	}
	built := &landfast.Chroot{
		Root: c.root.value, ReadOnly: c.host.values(), ReadWrite: c.readWrite.values(), Inaccessible: c.inaccessible.values(),
	}
	for _, p := range c.readOnly.values() {
		if !slices.Contains(built.ReadOnly, p) {
			built.ReadOnly = append(built.ReadOnly, p)
		}
	}
	for _, t := range c.readWrite.list {
		if p := strings.TrimPrefix(t.value, "-"); t.ok() && p == built.Root {
			d.flaw(t, &flaw{quote(p) + " is the root itself", ""})
		}
	}
	return built
}
