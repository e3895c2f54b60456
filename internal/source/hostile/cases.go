package hostile

import (
	"archive/tar"
	"strings"
)

// list is an archive as a list of entries.
type list struct {
	name    string
	entry   string // in the message; "" and not allowed: anything
	allowed bool
	entries []Entry
}

// Shorthands for entries.

func file(name string) Entry          { return Entry{Name: name, Body: "pwned"} }
func dir(name string) Entry           { return Entry{Name: name, Type: tar.TypeDir} }
func symlink(name, link string) Entry { return Entry{Name: name, Type: tar.TypeSymlink, Link: link} }
func hard(name, link string) Entry    { return Entry{Name: name, Type: tar.TypeLink, Link: link} }

// both are the archives that make sense as tar and as zip.
func both() []list {
	return []list{
		{name: "absolute", entry: "/tmp/canary", entries: []Entry{file("ok"), file("/tmp/canary")}},
		{name: "up", entry: "../canary", entries: []Entry{file("ok"), file("../canary")}},
		{name: "up-inside", entry: "a/../../canary", entries: []Entry{file("a/../../canary")}},
		{name: "up-and-back", entry: "a/../b", entries: []Entry{file("a/../b")}},
		{name: "up-many", entry: "canary", entries: []Entry{file(strings.Repeat("../", 30) + "tmp/canary")}},
		{name: "only-dotdot", entry: "..", entries: []Entry{file("ok"), dir("../")}},
		{name: "link-absolute", entry: "l", entries: []Entry{file("ok"), symlink("l", "/etc/passwd")}},
		{name: "link-up", entry: "l", entries: []Entry{file("ok"), symlink("l", "../canary")}},
		{name: "link-up-deep", entry: "a/b/l", entries: []Entry{file("ok"), symlink("a/b/l", "../../../canary")}},
		{name: "link-to-top-and-up", entry: "l", entries: []Entry{file("a/ok"), symlink("l", "a/../../canary")}},
		// "a/d" is the top's "b/c": one ".." less than it looks.
		{name: "link-chained", entry: "out", entries: []Entry{
			file("x/y/ok"), symlink("s", "x/.."), symlink("out", "s/../canary"),
		}},
		{name: "link-chained-dirs", entry: "d/e/out", entries: []Entry{
			dir("d/e/"), symlink("d/e/up", ".."), symlink("d/e/out", "up/up/../../canary"), symlink("d/up", ".."), file("ok"),
		}},
		// Lexically inside, but "flat" is no directory below another one.
		{name: "link-shortcut", entry: "out", entries: []Entry{
			file("a/b/c/ok"), symlink("out", "a/b/c/flat/../../../../canary"), symlink("a/b/c/flat", "../../../a"),
		}},
		{name: "link-later", entry: "out", entries: []Entry{
			symlink("out", "in/../../canary"), dir("in/"), file("ok"),
		}},
		{name: "link-circle", entry: "leads in a circle", entries: []Entry{file("ok"), symlink("a", "b"), symlink("b", "a")}},
		{name: "write-through-link", entry: "l/canary", entries: []Entry{symlink("l", ".."), file("l/canary")}},
		{name: "write-through-link-inside", entry: "l/file", entries: []Entry{dir("d/"), symlink("l", "d"), file("l/file")}},
		{name: "write-through-dir-link", entry: "l/sub", entries: []Entry{symlink("l", "."), dir("l/sub/"), file("l/sub/canary")}},
		{name: "file-over-link", entry: "l", entries: []Entry{symlink("l", "target"), file("l")}},
		{name: "file-over-link-spelt-otherwise", entry: "l", entries: []Entry{symlink("l", "target"), file(".//l")}},
		{name: "file-over-file", entry: "f", entries: []Entry{file("f"), file("f")}},
		{name: "link-over-dir", entry: "d", entries: []Entry{dir("d/"), symlink("d", "e"), file("d/f")}},
		{name: "link-over-implied-dir", entry: "d", entries: []Entry{file("d/f"), symlink("d", "e")}},
		{name: "dir-over-link", entry: "another entry", entries: []Entry{symlink("l", "d"), dir("l/"), file("ok")}},
		{name: "dir-over-file", entry: "another entry", entries: []Entry{file("f"), dir("f/")}},
		{name: "below-file", entry: "f/g", entries: []Entry{file("f"), file("f/g")}},
		{name: "name-newline", entry: `a\nb`, entries: []Entry{file("ok"), file("a\nb")}},
		{name: "link-newline", entry: "l", entries: []Entry{file("ok"), symlink("l", "a\nb")}},
		{name: "name-long", entry: "255 are allowed", entries: []Entry{file(strings.Repeat("n", 256))}},
		{name: "name-deep", entry: "128 are allowed", entries: []Entry{file(strings.Repeat("d/", 200) + "f")}},
		{name: "name-huge", entry: "bytes long", entries: []Entry{file(strings.Repeat(strings.Repeat("d", 200)+"/", 25) + "f")}},
		{name: "device", entry: "dev", entries: []Entry{{Name: "dev", Type: tar.TypeChar}}},
		{name: "block-device", entry: "dev", entries: []Entry{{Name: "dev", Type: tar.TypeBlock}}},
		{name: "pipe", entry: "pipe", entries: []Entry{{Name: "pipe", Type: tar.TypeFifo}}},
		{name: "setuid", entry: "su", entries: []Entry{{Name: "su", Mode: 0o4755}}},
		{name: "setgid", entry: "sg", entries: []Entry{{Name: "sg", Mode: 0o2755}}},
		{name: "sticky", entry: "st", entries: []Entry{{Name: "st", Mode: 0o1644}}},
		{name: "sticky-dir", entry: "t/", entries: []Entry{{Name: "t/", Type: tar.TypeDir, Mode: 0o1777}, file("ok")}},
		{name: "too-many", entry: "more than 1000", entries: many(1200)},
		{name: "too-many-implied", entry: "more than 1000", entries: manyDeep(20)},
		{name: "too-large", entry: "larger than", entries: []Entry{{Name: "big", Body: strings.Repeat("\x00", MaxBytes+1)}}},
		{name: "too-large-together", entry: "larger than", entries: large(10, 1<<20)},
		{name: "empty", entry: "holds no file"},
		{name: "only-dirs", entry: "holds no file", entries: []Entry{dir("a/"), dir("a/b/")}},

		{name: "plain", allowed: true, entries: []Entry{dir("./"), dir("a/"), file("./a/f"), {Name: "run", Mode: 0o755, Body: "x"}}},
		{name: "dir-twice", allowed: true, entries: []Entry{dir("a/"), file("a/f"), dir("a/")}},
		{name: "dots-in-names", allowed: true, entries: []Entry{file("..a/b..c/..."), file(".hidden")}},
		{name: "shared-dir", allowed: true, entries: []Entry{{Name: "a/", Type: tar.TypeDir, Mode: 0o2775}, file("a/f")}},
		{name: "links-inside", allowed: true, entries: []Entry{
			file("a/b/f"), symlink("a/b/l", "../../c"), symlink("c", "a/b/f"), symlink("top", "a/.."), symlink("dangling", "nowhere/../at/all"),
		}},
	}
}

func tars() []list {
	return append(both(), []list{
		{name: "hard-absolute", entry: "h", entries: []Entry{file("ok"), hard("h", "/etc/passwd")}},
		{name: "hard-up", entry: "h", entries: []Entry{file("ok"), hard("h", "../canary")}},
		{name: "hard-to-link", entry: "h", entries: []Entry{symlink("l", "../canary"), hard("h", "l"), file("h")}},
		{name: "hard-through-link", entry: "h", entries: []Entry{symlink("l", ".."), hard("h", "l/canary")}},
		{name: "hard-to-dir", entry: "h", entries: []Entry{dir("d/"), hard("h", "d")}},
		{name: "hard-to-later", entry: "h", entries: []Entry{hard("h", "f"), file("f")}},
		{name: "hard-to-itself", entry: "h", entries: []Entry{hard("h", "h")}},
		{name: "hard-over-link", entry: "l", entries: []Entry{file("f"), symlink("l", "../canary"), hard("l", "f")}},
		{name: "hard-bomb", entry: "larger than", entries: hardBomb(12, 1<<20)},
		{name: "link-empty", entry: "l", entries: []Entry{file("ok"), symlink("l", "")}},
		{name: "unknown-type", entry: "odd", entries: []Entry{{Name: "odd", Type: 'Z'}}},
		{name: "setuid-dir", entry: "d/", entries: []Entry{{Name: "d/", Type: tar.TypeDir, Mode: 0o4755}, file("ok")}},

		{name: "hard-inside", allowed: true, entries: []Entry{file("a/f"), hard("g", "a/f"), hard("./h", "./a/f")}},
		{name: "pax-global", allowed: true, entries: []Entry{
			{Name: "pax_global_header", Type: tar.TypeXGlobalHeader, PAX: map[string]string{"comment": "4be1c9a"}}, file("f"),
		}},
	}...)
}

func zips() []list {
	return append(both(), []list{
		{name: "backslashes", entry: `canary`, entries: []Entry{{Name: `..\canary`, Body: "x", System: 10}}},
		{name: "backslash-of-unix", allowed: true, entries: []Entry{file(`dev-disk\x2dby.mount`)}},
	}...)
}

func many(n int) []Entry {
	var entries []Entry
	for range n {
		entries = append(entries, Entry{Name: "f" + strings.Repeat("x", len(entries)%7) + string(rune('a'+len(entries)%26)) + itoa(len(entries))})
	}
	return entries
}

// manyDeep are few entries that imply many directories.
func manyDeep(n int) []Entry {
	var entries []Entry
	for i := range n {
		entries = append(entries, file(strings.Repeat("d"+itoa(i)+"/", 100)+"f"))
	}
	return entries
}

func large(n, size int) []Entry {
	var entries []Entry
	for i := range n {
		entries = append(entries, Entry{Name: "f" + itoa(i), Body: strings.Repeat("x", size)})
	}
	return entries
}

func hardBomb(n, size int) []Entry {
	entries := []Entry{{Name: "f", Body: strings.Repeat("x", size)}}
	for i := range n {
		entries = append(entries, hard("h"+itoa(i), "f"))
	}
	return entries
}
