package serve_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/serve"
)

// site writes files and serves them until the test ends. It gives the URL and
// what stops the server and waits for it.
func site(t *testing.T, files map[string]string, change func(*serve.Options)) (url string, stop func() error, states chan string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	states = make(chan string, 8)
	o := serve.Options{Dir: dir, Listeners: []net.Listener{l}, Timeout: 10 * time.Second, Notify: func(s string) { states <- s }}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve.Run(ctx, o) }()
	stop = func() error { cancel(); return <-ended }
	if got := <-states; got != "READY=1" {
		t.Fatalf("told %q, want READY=1", got)
	}
	return "http://" + l.Addr().String(), stop, states
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
}

// ask gives the answer to one request that no client changes on the way.
func ask(t *testing.T, url, request string) (answer, string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line, headers, _ := strings.Cut(request, "\n")
	text := line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + strings.ReplaceAll(headers, "\n", "\r\n")
	if headers != "" {
		text += "\r\n"
	}
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(line, " ")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header}, string(body)
}

func files() map[string]string {
	return map[string]string{
		"index.html": "home", "about.html": "about", "docs/index.html": "docs", "empty/file.txt": "text",
		"app-4f3a9c21.js": "js", "report-20241101.pdf": "pdf", "jquery-fancybox.js": "js", "app.BzQ1xY2k.css": "css",
		".env": "SECRET", ".git/config": "SECRET", "docs/.hidden": "SECRET", ".well-known/security.txt": "contact",
		"big.svg": "plain", "big.svg.gz": "gzipped", "big.svg.br": "brotlied", "a b?.txt": "odd", "x y/index.html": "xy",
		"404.html": "lost",
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	url, stop, _ := site(t, files(), nil)
	defer stop()
	for _, test := range []struct {
		request string
		status  int
		body    string
		headers map[string]string
	}{
		{"GET /", 200, "home", map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Last-Modified": ""}},
		{"HEAD /", 200, "", map[string]string{"Content-Length": "4"}},
		{"GET /about.html?x=1", 200, "about", nil},
		{"GET /docs", 301, "", map[string]string{"Location": "./docs/"}},
		{"GET /docs?a=b", 301, "", map[string]string{"Location": "./docs/?a=b"}},
		{"GET /x%20y", 301, "", map[string]string{"Location": "./x%20y/"}},
		{"GET /docs/", 200, "docs", nil},
		{"GET /empty/", 404, "lost", map[string]string{"Cache-Control": "no-cache"}},
		{"GET /empty", 404, "lost", nil},
		{"GET /about.html/", 404, "lost", nil},
		{"GET /nothing", 404, "lost", nil},
		{"HEAD /nothing", 404, "", nil},
		{"GET /a%20b%3F.txt", 200, "odd", nil},
		{"GET /app-4f3a9c21.js", 200, "js", map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "text/javascript; charset=utf-8"}},
		{"GET /app.BzQ1xY2k.css", 200, "css", map[string]string{"Cache-Control": "public, max-age=31536000, immutable"}},
		{"GET /report-20241101.pdf", 200, "pdf", map[string]string{"Cache-Control": "no-cache"}},
		{"GET /jquery-fancybox.js", 200, "js", map[string]string{"Cache-Control": "no-cache"}},
		{"GET /.env", 404, "lost", nil},
		{"GET /.git/config", 404, "lost", nil},
		{"GET /docs/.hidden", 404, "lost", nil},
		{"GET /%2eenv", 404, "lost", nil},
		{"GET /docs/../.env", 404, "lost", nil},
		{"GET /../../../../etc/passwd", 404, "lost", nil},
		{"GET /%2e%2e/%2e%2e/etc/passwd", 404, "lost", nil},
		{"GET /docs/..%2f..%2fetc/passwd", 404, "lost", nil},
		{"GET //etc/passwd", 404, "lost", nil},
		{"GET /.well-known/security.txt", 200, "contact", nil},
		{"GET /big.svg", 200, "plain", map[string]string{"Vary": "Accept-Encoding", "Content-Encoding": ""}},
		{"GET /big.svg\nAccept-Encoding: gzip, br", 200, "brotlied", map[string]string{"Content-Encoding": "br", "Content-Type": "image/svg+xml"}},
		{"GET /big.svg\nAccept-Encoding: gzip, br;q=0", 200, "gzipped", map[string]string{"Content-Encoding": "gzip"}},
		{"GET /big.svg\nRange: bytes=1-2", 206, "la", nil},
		{"POST /", 405, "this server only has files\n", map[string]string{"Allow": "GET, HEAD"}},
		{"DELETE /index.html", 405, "this server only has files\n", nil},
	} {
		r, body := ask(t, url, test.request)
		if r.status != test.status || body != test.body {
			t.Errorf("%q: %d %q, want %d %q", test.request, r.status, body, test.status, test.body)
		}
		for name, want := range test.headers {
			if got := r.header.Get(name); got != want {
				t.Errorf("%q: %s: %q, want %q", test.request, name, got, want)
			}
		}
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(secret, []byte("SECRET"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := ""
	url, stop, _ := site(t, map[string]string{"real.txt": "real"}, func(o *serve.Options) { dir = o.Dir })
	defer stop()
	for name, target := range map[string]string{"out.txt": secret, "up": "../..", "in.txt": "real.txt"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for request, want := range map[string]int{"GET /out.txt": 404, "GET /up/": 404, "GET /up/etc/passwd": 404, "GET /in.txt": 200} {
		if r, body := ask(t, url, request); r.status != want || strings.Contains(body, "SECRET") {
			t.Errorf("%q: %d %q, want %d", request, r.status, body, want)
		}
	}
}

// The tag of a file is made of its content: what two releases share is not sent
// again, what differs is, whatever the times of the files.
func TestTags(t *testing.T) {
	t.Parallel()
	tag := func(text, tag string) (string, int) {
		url, stop, _ := site(t, map[string]string{"index.html": text}, nil)
		defer stop()
		r, _ := ask(t, url, "GET /\nIf-None-Match: "+tag)
		return r.header.Get("ETag"), r.status
	}
	first, _ := tag("one", `"none"`)
	if first == "" {
		t.Fatal("there is no tag")
	}
	if same, status := tag("one", first); same != first || status != 304 {
		t.Errorf("the same content: %s, %d, want %s, 304", same, status, first)
	}
	if other, status := tag("two", first); other == first || status != 200 {
		t.Errorf("other content: %s, %d, want another tag and 200", other, status)
	}
}

func TestFallback(t *testing.T) {
	t.Parallel()
	url, stop, _ := site(t, files(), func(o *serve.Options) { o.Fallback = "index.html" })
	defer stop()
	for request, want := range map[string]string{"GET /orders/17": "home", "GET /old.html": "home", "GET /gone.js": "lost"} {
		if _, body := ask(t, url, request); body != want {
			t.Errorf("%q: %q, want %q", request, body, want)
		}
	}
}

// TestDrain stops the server with an open connection: the next answer on it asks
// to open another one, and Run ends behind it.
func TestDrain(t *testing.T) {
	t.Parallel()
	const linger = time.Minute // it ends with the connection, long before
	url, stop, states := site(t, files(), func(o *serve.Options) { o.Linger = linger })
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := bufio.NewReader(c)
	// get reports whether the answer asks to open another connection.
	get := func() bool {
		t.Helper()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(read, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
		return r.Close
	}
	if get() {
		t.Fatal("the connection is closed although nothing stops")
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	if got := <-states; got != "STOPPING=1" {
		t.Errorf("told %q, want STOPPING=1", got)
	}
	// Telling comes before draining begins, so the first answer may still be of before.
	for !get() {
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNoDirectory(t *testing.T) {
	t.Parallel()
	err := serve.Run(t.Context(), serve.Options{Dir: filepath.Join(t.TempDir(), "nothing"), Notify: func(string) {}})
	if err == nil {
		t.Error("Run serves a directory that is not there")
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	address := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	serve.Notify("", "READY=1")
	serve.Notify(address, "READY=1")
	buf := make([]byte, 64)
	n, err := l.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func TestInheritedIsForThisProcess(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{
		{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "x", "LISTEN_PID": "1"},
	} {
		got, err := serve.Inherited(func(name string) string { return env[name] })
		if got != nil || err != nil {
			t.Errorf("Inherited with %v = %v, %v", env, got, err)
		}
	}
}
