package serve

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
)

// types are the types of files by their names, the same on every host.
const types = `
.html text/html; charset=utf-8
.htm text/html; charset=utf-8
.css text/css; charset=utf-8
.js text/javascript; charset=utf-8
.mjs text/javascript; charset=utf-8
.json application/json
.map application/json
.webmanifest application/manifest+json
.txt text/plain; charset=utf-8
.md text/plain; charset=utf-8
.xml text/xml; charset=utf-8
.svg image/svg+xml
.ico image/vnd.microsoft.icon
.avif image/avif
.webp image/webp
.woff font/woff
.woff2 font/woff2
.wasm application/wasm
.pdf application/pdf
`

// contentType is the type of a file by its name; "" has net/http look at the
// content.
func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if _, rest, ok := strings.Cut(types, "\n"+ext+" "); ok {
		kind, _, _ := strings.Cut(rest, "\n")
		return kind
	}
	return mime.TypeByExtension(ext)
}

// fingerprint is the part of a name by which build tools make it unique to the
// content: app-4f3a9c21.js, app.BzQ1xY2k.css.
var fingerprint = regexp.MustCompile(`[-.]([A-Za-z0-9_]{8,64})\.[a-z0-9]+(?:\.map)?$`)

// cacheControl says how long a file may be kept. A page is asked for again each
// time, which costs a few bytes when it is the same; what has its content's
// fingerprint in its name never changes. All digits may be a date, and all
// letters a word.
func cacheControl(name string) string {
	m := fingerprint.FindStringSubmatch(path.Base(name))
	if m == nil || !strings.ContainsAny(m[1], "0123456789") || strings.Trim(m[1], "0123456789_") == "" || path.Ext(name) == ".html" {
		return "no-cache"
	}
	return "public, max-age=31536000, immutable"
}

// tags are the entity tags of files, by name. A tag is made of the content: a
// file that is the same in the next release is not sent again.
type tags struct {
	known sync.Map // string → string
}

// maxTagged is the size of a file whose content the first request for it reads.
const maxTagged = 64 << 20

// of is the tag of the file f called name, "" for one that is too large. f is
// left at its beginning.
func (t *tags) of(name string, f *os.File) (string, error) {
	if tag, ok := t.known.Load(name); ok {
		if s, ok := tag.(string); ok {
			return s, nil
		}
	}
	if info, err := f.Stat(); err != nil || info.Size() > maxTagged {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	tag := `"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`
	t.known.Store(name, tag)
	return tag, nil
}
