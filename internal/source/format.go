package source

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/landfast/landfast"
)

// format is what an archive is, as its first bytes say. Its name says nothing.
type format string

const (
	formatTar  format = "tar"
	formatGzip format = "tar.gz"
	formatZstd format = "tar.zst"
	formatXZ   format = "tar.xz"
	formatZip  format = "zip"
)

// maxWindow bounds the memory a compressed stream may ask for. `zstd --long`
// uses 128 MiB, `xz -9` uses 64 MiB.
const maxWindow = 128 << 20

// sniff finds out what an archive is.
func sniff(f *os.File) (format, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(head))), head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	for _, known := range []struct {
		format format
		magic  string
	}{
		{formatGzip, "\x1f\x8b"},
		{formatZstd, "\x28\xb5\x2f\xfd"},
		{formatXZ, "\xfd7zXZ\x00"},
		{formatZip, "PK\x03\x04"},
		{formatZip, "PK\x05\x06"}, // without any entry
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) {
			return known.format, nil
		}
	}
	// The first header decides, also for tar files older than the "ustar" magic.
	// An empty one starts with its end, a block of zeros.
	if _, err := tar.NewReader(bytes.NewReader(head)).Next(); err == nil || hasTarMagic(head) || isEnd(head) {
		return formatTar, nil
	}
	return "", &landfast.Error{
		Kind: landfast.Invalid, Msg: "it is not an archive of a known format",
		Hint: "use tar, tar.gz, tar.zst, tar.xz or zip",
	}
}

func hasTarMagic(head []byte) bool {
	return len(head) == 512 && bytes.Equal(head[257:262], []byte("ustar"))
}

// isEnd reports whether b is one block of the two that end a tar archive.
func isEnd(b []byte) bool { return len(b) == 512 && len(bytes.Trim(b, "\x00")) == 0 }

// decompress gives the tar stream inside r and a function that frees the
// decompressor.
func decompress(f format, r io.Reader) (io.Reader, func(), error) {
	switch f {
	case formatTar:
		return r, func() {}, nil
	case formatGzip:
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case formatZstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case formatXZ:
		z, err := xz.NewReader(r)
		return z, func() {}, err
	}
	return nil, nil, fmt.Errorf("no decompressor for %s", f)
}
