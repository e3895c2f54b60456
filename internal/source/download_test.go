package source_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/source/hostile"
)

// server answers with archives and with everything that goes wrong.
func server(t *testing.T, archive []byte) (*httptest.Server, *url.URL) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("/web.tar.gz", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" && r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("asks for the encoding %q", r.Header.Get("Accept-Encoding"))
		}
		_, _ = w.Write(archive)
	})
	mux.Handle("/moved", http.RedirectHandler("/web.tar.gz", http.StatusFound))
	mux.Handle("/circle", http.RedirectHandler("/circle", http.StatusFound))
	mux.Handle("/insecure", http.RedirectHandler(plain.URL+"/web.tar.gz", http.StatusFound))
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/secret", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(archive)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for _, err := w.Write(archive); err == nil; _, err = w.Write(make([]byte, 1<<20)) {
		}
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(archive)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	must(t, err)
	return s, u
}

func TestDownload(t *testing.T) {
	archive := hostile.Gzip(hostile.Tar(hostile.Entry{Name: "f", Body: "text"}))
	s, _ := server(t, archive)
	for path, want := range map[string]struct {
		kind landfast.Kind
		says string
	}{
		"/web.tar.gz": {},
		"/moved":      {},
		"/gone":       {landfast.NotFound, "404"},
		"/busy":       {landfast.Unavailable, "503"},
		"/secret":     {landfast.Invalid, "401"},
		"/circle":     {landfast.Unavailable, "more than 10 times"},
		"/insecure":   {landfast.Invalid, "other than https"},
		"/cut":        {landfast.Unavailable, "unexpected EOF"},
		"/endless":    {landfast.Invalid, "larger than"},
		"/silent":     {landfast.Unavailable, "nothing came for 1s"},
	} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			o := source.Options{Client: s.Client(), Stall: 1, Limits: tree.Limits{Bytes: hostile.MaxBytes, Files: 10}}
			var last source.Progress
			o.Progress = func(p source.Progress) {
				if p.Phase == "download" {
					last = p
				}
			}
			a, sum, err := fetch(t, c, landfast.Source{Kind: landfast.SourceArchive, Location: s.URL + path, Digest: digestOf(archive)}, o)
			if want.kind != "" {
				if landfast.KindOf(err) != want.kind || !strings.Contains(err.Error(), want.says) {
					t.Errorf("got %v, want %s: ...%s...", err, want.kind, want.says)
				}
				return
			}
			if err != nil || sum.Files != 1 || a.Digest != digestOf(archive) || last.Done != int64(len(archive)) {
				t.Errorf("got %+v, %+v, %v, progress %+v", a, sum, err, last)
			}
		})
	}
}

func TestDownloadVerifiesBeforeItUnpacks(t *testing.T) {
	archive := hostile.Gzip(hostile.Tar(hostile.Entry{Name: "f", Body: "text"}))
	s, u := server(t, archive)
	u.User = url.UserPassword("me", "s3cret")
	for digest, says := range map[string]string{"": "needs a digest", digestOf(nil): "has the digest " + digestOf(archive)} {
		c := newCage(t)
		_, _, err := fetch(t, c, landfast.Source{Kind: landfast.SourceArchive, Location: u.String() + "/web.tar.gz", Digest: digest},
			source.Options{Client: s.Client()})
		if landfast.KindOf(err) != landfast.Invalid || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", digest, err)
		}
		if unpacked, err := os.ReadDir(c.inner()); len(unpacked) != 0 || err != nil {
			t.Errorf("unpacked all the same: %v, %v", unpacked, err)
		}
	}
}

func TestDownloadFails(t *testing.T) {
	s, _ := server(t, nil)
	for location, kind := range map[string]landfast.Kind{
		"http://127.0.0.1/x":        landfast.Invalid,
		"ftp://127.0.0.1/x":         landfast.Invalid,
		"https:///x":                landfast.Invalid,
		"https://127.0.0.1:1/x":     landfast.Unavailable,
		"https://me:pw@127.0.0.1:1": landfast.Unavailable,
		s.URL + "/web.tar.gz":       landfast.Unavailable, // its certificate is not trusted
	} {
		_, _, err := fetch(t, newCage(t), landfast.Source{Kind: landfast.SourceArchive, Location: location, Digest: digestOf(nil)}, source.Options{})
		if landfast.KindOf(err) != kind || strings.Contains(err.Error(), "me:pw") {
			t.Errorf("%s: %v", location, err)
		}
	}
}

func TestDownloadEndsWithItsContext(t *testing.T) {
	s, _ := server(t, []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	work := t.TempDir()
	_, err := source.Open(ctx, landfast.Source{Kind: landfast.SourceArchive, Location: s.URL + "/silent", Digest: digestOf(nil)},
		source.Options{Client: s.Client(), Work: work, Progress: func(source.Progress) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Open() = %v", err)
	}
	checkEmpty(t, work)
}
