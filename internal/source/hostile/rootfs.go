package hostile

import "archive/tar"

// RootFSCases are the archives for a source that is the root file system of a
// machine: what leads out of the directory is refused there too, and links and
// modes that no other release may have are kept.
func RootFSCases() []Case {
	var all []Case
	for _, e := range rootFS() {
		all = append(all, Case{Name: "rootfs-" + e.name + ".tar", Archive: Tar(e.entries...), Entry: e.entry, Allowed: e.allowed})
	}
	return append(all, Case{Name: "rootfs.zip", Archive: Zip(file("etc/os-release")), Entry: "does not keep owners"})
}

func rootFS() []list {
	owned := func(e Entry, uid, gid int) Entry { e.UID, e.GID = uid, gid; return e }
	capable := func(value string) Entry {
		return Entry{Name: "ping", Mode: 0o755, Body: "x", PAX: map[string]string{"SCHILY.xattr.security.capability": value}}
	}
	return []list{
		{name: "absolute", entry: "/tmp/canary", entries: []Entry{file("ok"), file("/tmp/canary")}},
		{name: "up", entry: "../canary", entries: []Entry{file("ok"), file("../canary")}},
		{name: "dir-up", entry: "..", entries: []Entry{file("ok"), {Name: "../", Type: tar.TypeDir, Mode: 0o777}}},
		{name: "write-through-absolute-link", entry: "l/canary", entries: []Entry{symlink("l", "/tmp"), file("l/canary")}},
		{name: "write-through-link-up", entry: "l/canary", entries: []Entry{symlink("l", ".."), file("l/canary")}},
		{name: "dir-through-link", entry: "l/sub", entries: []Entry{symlink("l", ".."), dir("l/sub/"), file("ok")}},
		{name: "chmod-through-link", entry: "another entry", entries: []Entry{
			file("ok"), symlink("l", "../canary"), {Name: "l/", Type: tar.TypeDir, Mode: 0o4777},
		}},
		{name: "link-through-link", entry: "l/out", entries: []Entry{symlink("l", ".."), symlink("l/out", "/etc")}},
		{name: "file-over-link", entry: "l", entries: []Entry{symlink("l", "../canary"), file("l")}},
		{name: "link-over-dir", entry: "d", entries: []Entry{dir("d/"), symlink("d", "/etc")}},
		{name: "file-over-hard", entry: "h", entries: []Entry{file("f"), hard("h", "f"), file("h")}},
		{name: "hard-absolute", entry: "h", entries: []Entry{file("ok"), hard("h", "/etc/passwd")}},
		{name: "hard-up", entry: "h", entries: []Entry{file("ok"), hard("h", "../canary")}},
		{name: "hard-through-link", entry: "h", entries: []Entry{symlink("l", ".."), hard("h", "l/canary")}},
		{name: "hard-to-dir", entry: "h", entries: []Entry{dir("d/"), hard("h", "d")}},
		{name: "hard-to-later", entry: "h", entries: []Entry{hard("h", "f"), file("f")}},
		{name: "hard-to-link-and-write", entry: "h", entries: []Entry{symlink("l", "../canary"), hard("h", "l"), file("h")}},
		{name: "device", entry: "dev/null", entries: []Entry{file("ok"), {Name: "dev/null", Type: tar.TypeChar}}},
		{name: "block-device", entry: "sda", entries: []Entry{file("ok"), {Name: "sda", Type: tar.TypeBlock, Mode: 0o666}}},
		{name: "pipe", entry: "pipe", entries: []Entry{file("ok"), {Name: "pipe", Type: tar.TypeFifo}}},
		{name: "name-newline", entry: `a\nb`, entries: []Entry{file("a\nb")}},
		{name: "link-newline", entry: "l", entries: []Entry{file("ok"), symlink("l", "a\nb")}},
		{name: "too-many", entry: "more than 1000", entries: many(1200)},
		{name: "too-large", entry: "larger than", entries: large(10, 1<<20)},
		{name: "foreign-owner", entry: "100000", entries: []Entry{owned(file("f"), 100000, 0)}},
		{name: "capability-of-a-host-user", entry: "capabilities", entries: []Entry{capable("\x01\x00\x00\x03aaaabbbbccccddddeeee")}},
		{name: "capability-broken", entry: "capabilities", entries: []Entry{capable("x")}},
		{name: "empty", entry: "holds no file", entries: []Entry{dir("etc/")}},

		{name: "links-anywhere", allowed: true, entries: []Entry{
			file("ok"), symlink("a", "/etc/passwd"), symlink("b", "../../canary"), symlink("c", "c"), hard("d", "a"),
		}},
		{name: "special-modes", allowed: true, entries: []Entry{
			{Name: "su", Mode: 0o4755, Body: "x"},
			owned(Entry{Name: "sg", Mode: 0o2755, Body: "x"}, 0, 8),
			{Name: "tmp/", Type: tar.TypeDir, Mode: 0o1777},
			hard("su2", "su"),
		}},
		{name: "hard-is-no-bomb", allowed: true, entries: hardBomb(12, 1<<20)},
	}
}
