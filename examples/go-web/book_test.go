package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func add(t *testing.T, b *book, text string, want int) {
	t.Helper()
	if n, err := b.Add(entry{Text: text}); err != nil || n != want {
		t.Fatalf("Add(%q) = %d, %v; want %d", text, n, err, want)
	}
}

func TestTwoProcessesShareTheBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book")
	a, b := openBook(path), openBook(path)
	defer a.Close()
	defer b.Close()
	add(t, a, "one", 1)
	add(t, b, "two", 2)
	add(t, a, "three", 3)
	n, last, err := b.Read()
	if err != nil || n != 3 || last[2].Text != "three" {
		t.Fatalf("Read() = %d, %v, %v", n, last, err)
	}
}

func TestTornEntryIsCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book")
	whole := `{"time":"2026-01-02T03:04:05Z","text":"whole"}` + "\n"
	if err := os.WriteFile(path, []byte(whole+`{"time":"2026-01-02T03:04:06Z","text":"torn, and longer than what comes`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openBook(path)
	defer b.Close()
	add(t, b, "next", 2)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "torn") || strings.Count(string(text), "\n") != 2 {
		t.Fatalf("the file holds %q", text)
	}
}

func TestMissingDirectoryIsFoundOnceItIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	b := openBook(filepath.Join(dir, "book"))
	defer b.Close()
	if _, _, err := b.Read(); err == nil {
		t.Fatal("Read without a directory succeeded")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	add(t, b, "one", 1)
}
