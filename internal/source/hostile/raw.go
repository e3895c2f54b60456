package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// raw are archives that are wrong below the level of entries.
func raw() []Case {
	good := Tar(file("a"), file("b"))
	zipped := Gzip(good)
	damaged := bytes.Clone(zipped)
	damaged[len(damaged)-6] ^= 0xff // in the checksum
	return []Case{
		{Name: "nothing.tar", Entry: "known format"},
		{Name: "text.tar", Archive: []byte("this is no archive\n"), Entry: "known format"},
		{Name: "truncated.tar", Archive: good[:514], Entry: "damaged"},
		{Name: "truncated-in-padding.tar", Archive: good[:700], Entry: "damaged"},
		{Name: "truncated-between-entries.tar", Archive: good[:1024], Entry: "damaged"},
		{Name: "truncated.tar.gz", Archive: zipped[:len(zipped)/2], Entry: "damaged"},
		{Name: "checksum.tar.gz", Archive: damaged, Entry: "damaged"},
		{Name: "not-tar.gz", Archive: Gzip([]byte("this is no archive either, but it is compressed\n")), Entry: "damaged"},
		{Name: "bomb.tar.gz", Archive: Gzip(Tar(Entry{Name: "zeros", Body: strings.Repeat("\x00", 4*MaxBytes)})), Entry: "larger than"},
		{Name: "bomb-behind-the-end.tar.gz", Archive: Gzip(append(good, make([]byte, 4*MaxBytes)...)), Entry: "larger than"},
		{Name: "bomb-of-headers.tar.gz", Archive: Gzip(headers(40_000)), Entry: "larger than"},
		{Name: "lie-large.tar", Archive: claim(1 << 50), Entry: "larger than"},
		{Name: "lie-negative.tar", Archive: claim(-1), Entry: "damaged"},
		{Name: "sparse.tar", Archive: sparse(1 << 40), Entry: "larger than"},
		{Name: "pax-path.tar", Archive: extended(file("ok"), "path", "../canary"), Entry: "../canary"},
		{Name: "pax-link.tar", Archive: extended(symlink("l", "ok"), "linkpath", "../canary"), Entry: "../canary"},
		{Name: "pax-size.tar", Archive: extended(Entry{Name: "f"}, "size", "9999999999999"), Entry: "larger than"},
		{Name: "lie-small.zip", Archive: lyingZip(), Entry: "damaged"},
		{Name: "nul-name.zip", Archive: Zip(file("a\x00b")), Entry: `a\x00b`},
		{Name: "encrypted.zip", Archive: flagged(0x1), Entry: "encrypted"},
		{Name: "truncated.zip", Archive: Zip(file("a"))[:60], Entry: "damaged"},
		{Name: "as-if.zip", Archive: Tar(file("a")), Allowed: true}, // a tar by its content
	}
}

// headers is a tar of directories that all have the same name.
func headers(n int) []byte {
	one := Tar(dir("a/"))[:512]
	return append(bytes.Repeat(one, n), Tar(file("b"))...)
}

// claim is a tar of one file that says it has size bytes and has none.
func claim(size int64) []byte {
	header := Tar(Entry{Name: "huge"})[:512]
	if size < 0 {
		copy(header[124:136], "-0000000001\x00")
	} else {
		clear(header[124:136])
		header[124] = 0x80 // base-256, as GNU tar does for sizes from 8 GiB on
		binary.BigEndian.PutUint64(header[128:136], uint64(size))
	}
	checksum(header)
	return append(header, make([]byte, 1024)...)
}

// sparse is a file of size bytes with a hole as large as itself, in the format
// GNU tar calls sparse 0.1. Unpacked it is all zeros.
func sparse(size int64) []byte {
	n := strconv.FormatInt(size, 10)
	return extended(Entry{Name: "f"}, "GNU.sparse.size", n, "GNU.sparse.numblocks", "1", "GNU.sparse.map", n+",0")
}

// extended is a tar of one entry with pairs of PAX keys and values, which count
// for more than what the entry says itself.
func extended(e Entry, pairs ...string) []byte {
	var body strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		for n := len(pairs[i]) + len(pairs[i+1]) + 3; ; n++ {
			if line := fmt.Sprintf("%d %s=%s\n", n, pairs[i], pairs[i+1]); len(line) == n {
				body.WriteString(line)
				break
			}
		}
	}
	header := Tar(Entry{Name: "PaxHeaders/f", Body: body.String()})[:1024]
	header[156] = tar.TypeXHeader
	checksum(header[:512])
	return append(header, Tar(e)...)
}

// checksum writes the checksum of a tar header (tar(5)).
func checksum(header []byte) {
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// lyingZip has an entry that is larger than its directory says.
func lyingZip() []byte {
	data := Zip(Entry{Name: "f", Body: strings.Repeat("x", 4*MaxBytes)})
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(data[at+24:], 100)
	return data
}

// flagged has an entry with general purpose flags.
func flagged(flags uint16) []byte {
	data := Zip(file("f"))
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	data[at+8] |= byte(flags)
	if _, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil {
		must(err)
	}
	return data
}
