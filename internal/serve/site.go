package serve

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"
)

// site answers requests for files below a directory.
type site struct {
	root     *os.Root
	fallback string
	tags     *tags
}

func newSite(root *os.Root, fallback string) *site {
	return &site{root: root, fallback: strings.TrimPrefix(path.Clean("/"+fallback), "/"), tags: &tags{}}
}

// index answers for a directory, notFound for what is not there.
const (
	index    = "index.html"
	notFound = "404.html"
)

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this server only has files", http.StatusMethodNotAllowed)
		return
	}
	name, ok := fileName(r.URL.Path)
	if !ok {
		s.missing(w, r)
		return
	}
	info, err := s.root.Stat(name)
	switch {
	case err != nil:
		s.missing(w, r)
	case !info.IsDir():
		if strings.HasSuffix(r.URL.Path, "/") {
			s.missing(w, r)
			return
		}
		s.file(w, r, name)
	case !s.has(path.Join(name, index)):
		s.missing(w, r)
	case !strings.HasSuffix(r.URL.Path, "/"):
		// Relative links in the page are relative to the directory.
		target := url.URL{Path: "./" + path.Base(r.URL.Path) + "/", RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusMovedPermanently)
	default:
		s.file(w, r, path.Join(name, index))
	}
}

// fileName is the name below the root that the path of a URL stands for, if any
// file could be meant. What begins with a dot is not for the public, but for
// /.well-known (RFC 8615).
func fileName(urlPath string) (string, bool) {
	if !strings.HasPrefix(urlPath, "/") || strings.ContainsRune(urlPath, 0) {
		return "", false
	}
	parts := strings.Split(strings.Trim(urlPath, "/"), "/")
	for i, p := range parts {
		if strings.HasPrefix(p, ".") && (i > 0 || p != ".well-known") || p == "" && len(parts) > 1 {
			return "", false
		}
	}
	return path.Join(".", path.Join(parts...)), true
}

func (s *site) has(name string) bool {
	info, err := s.root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// missing answers for what is not there.
func (s *site) missing(w http.ResponseWriter, r *http.Request) {
	page := path.Ext(r.URL.Path) == "" || path.Ext(r.URL.Path) == ".html"
	if s.fallback != "" && page && s.has(s.fallback) {
		s.file(w, r, s.fallback)
		return
	}
	text, err := fs.ReadFile(s.root.FS(), notFound)
	if err != nil {
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", contentType(notFound))
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusNotFound)
	if r.Method == http.MethodGet {
		_, _ = w.Write(text) // who does not read the answer does not want it
	}
}

// file answers with a file, or with a compressed copy of it that lies beside it.
func (s *site) file(w http.ResponseWriter, r *http.Request, name string) {
	kind, stored := contentType(name), name
	for _, c := range []struct{ encoding, suffix string }{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}} {
		if !s.has(name + c.suffix) {
			continue
		}
		w.Header().Set("Vary", "Accept-Encoding")
		if stored == name && accepts(r.Header.Get("Accept-Encoding"), c.encoding) {
			stored = name + c.suffix
			w.Header().Set("Content-Encoding", c.encoding)
		}
	}
	f, err := s.root.Open(stored)
	if err != nil {
		w.Header().Del("Content-Encoding")
		status := http.StatusInternalServerError
		if errors.Is(err, fs.ErrPermission) {
			status = http.StatusForbidden
		}
		http.Error(w, http.StatusText(status), status)
		return
	}
	defer func() { _ = f.Close() }()
	if tag, err := s.tags.of(stored, f); err == nil && tag != "" {
		w.Header().Set("ETag", tag)
	}
	w.Header().Set("Cache-Control", cacheControl(name))
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	// Without a time: those of the files of two releases say nothing about which
	// is newer, the tag does.
	http.ServeContent(w, r, name, time.Time{}, f)
}

// accepts reports whether an Accept-Encoding header takes an encoding (RFC 9110,
// 12.5.3). Being asked for nothing is being asked for no encoding.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q := strings.ReplaceAll(params, " ", "")
			return !strings.HasPrefix(q, "q=0") || strings.Trim(q, "q=0.") != ""
		}
	}
	return false
}
