package trigger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/landfast/landfast/internal/atomicfile"
)

// CacheDir is where what was fetched is kept: written by the worker, read by the
// listener.
const CacheDir = "/var/cache/landfast"

// Cache keeps what was fetched, one file each. A nil Cache is empty.
type Cache struct{ dir string }

// OpenCache is the cache in dir, which need not be there to be read from.
func OpenCache(dir string) *Cache { return &Cache{dir} }

// The kinds of what is kept; files are named by kind and what was fetched.
const (
	kindCertificate = "sns"
	kindKeys        = "oidc"
	kindRanges      = "ranges"
)

// gitHubRanges is the entry of the ranges that GitHub publishes.
const gitHubRanges = "github"

// file is the name of an entry. The key is hashed, as others choose it.
func file(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	return kind + "-" + hex.EncodeToString(sum[:16])
}

// maxEntry is the size of the largest entry, in bytes.
const maxEntry = 1 << 20

// get reads an entry and when it was written; fs.ErrNotExist when there is none.
func (c *Cache) get(kind, key string) ([]byte, time.Time, error) {
	if c == nil {
		return nil, time.Time{}, fs.ErrNotExist
	}
	name := filepath.Join(c.dir, file(kind, key))
	info, err := os.Stat(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	if info.Size() > maxEntry {
		return nil, time.Time{}, fmt.Errorf("%s is larger than what belongs there", name)
	}
	text, err := os.ReadFile(name)
	return text, info.ModTime(), err
}

// put replaces an entry; the former one stays if it cannot. All may read it: what
// is published is no secret.
func (c *Cache) put(kind, key string, text []byte) error {
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return atomicfile.WriteFile(root, file(kind, key), text, atomicfile.Mode(0o644))
}

// inRanges reports whether an address is in the ranges that were fetched. Ranges
// that never were do not keep anybody out: the signature decides anyway, and an
// outage of the place that publishes them must not lose events.
func (c *Cache) inRanges(key string, a netip.Addr) bool {
	text, _, err := c.get(kindRanges, key)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	for line := range strings.Lines(string(text)) {
		if p, err := netip.ParsePrefix(strings.TrimSpace(line)); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}
