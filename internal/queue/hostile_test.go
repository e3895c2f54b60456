package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/queue"
)

var errStop = errors.New("that is enough")

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	return ctx
}

// What lies in new is the work of somebody who may be hostile. It is put aside
// with the reason, nothing is followed, and what is good is not held up.
func TestHostileEntries(t *testing.T) {
	w := newWorld(t, queue.Options{})
	dir := w.spool + "/web/new/"
	secret := quick(t) + "/secret"
	good, err := json.Marshal(push(1, "x"))
	must(t, err)
	must(t, os.WriteFile(secret, good, 0o600))
	write := func(name, text string) { must(t, os.WriteFile(dir+name, []byte(text), 0o644)) }
	id := func(i int) string { return "20261125T09000" + string(rune('0'+i)) + ".000000Z" }
	with := func(old, replaced string) string { return strings.Replace(string(good), old, replaced, 1) }

	must(t, os.Symlink(secret, dir+id(0)+".json"))
	must(t, os.Link(secret, dir+id(1)+".json"))
	must(t, unix.Mkfifo(dir+id(2)+".json", 0o666))
	must(t, os.Mkdir(dir+id(3)+".json", 0o755))
	write(id(4)+".json", strings.Repeat(" ", 300<<10)+string(good))
	write(id(5)+".json", "{")
	write(id(6)+".json", "")
	write(id(7)+".json", with(`"app":"web"`, `"app":"other"`))
	write(id(8)+".json", with(`"id":""`, `"id":"`+id(9)+`"`))
	write(id(9)+".json", string(good)+"{}")
	write("20261125T090010.000000Z.json", with(`"refs`, `"--refs`))
	write("20261125T090011.000000Z.json", with(`"app"`, `"new":1,"app"`))
	write("20261125T090012.000000Z.json", with(`refs`, "\xff\xfe"))
	write("foreign", "x")
	write(".hidden", "x")
	write("20261399T090010.000000Z.json", string(good))
	write("99991125T090010.000000Z.json", string(good))
	must(t, os.Mkdir(dir+"deep", 0o755))
	must(t, os.WriteFile(dir+"deep/x", nil, 0o644))
	must(t, os.Symlink("/nowhere", dir+"dangling"))
	if os.Geteuid() == 0 {
		write("20261125T090013.000000Z.json", string(good))
		must(t, os.Chown(dir+"20261125T090013.000000Z.json", 4711, 4711))
		write("20261125T090014.000000Z.json", with(`"x"`, `"fine"`))
		must(t, os.Chown(dir+"20261125T090014.000000Z.json", 61234, 4711))
		w.claims("20261125T090014.000000Z") // of a service with an account made up for it
		w.reopen()
		must(t, w.q.Drop(t.Context(), "20261125T090014.000000Z", "x"))
	}
	fine := w.enqueue(push(2, "main"))
	w.done(w.claims(fine))
	if names, err := os.ReadDir(dir); len(names) > 0 || err != nil {
		t.Errorf("left in new: %v, %v", names, err)
	}
	all, err := w.q.List()
	must(t, err)
	bad := 0
	for _, e := range all {
		if e.State == queue.Damaged {
			bad++
			if e.Reason == "" {
				t.Errorf("%+v has no reason", e)
			}
		} else if e.State != queue.Done && e.State != queue.Dropped {
			t.Errorf("%s is %s: %s", e.Event.ID, e.State, e.Reason)
		}
	}
	if want := 19; bad < want {
		t.Errorf("%d put aside, want %d:\n%s", bad, want, w.dump())
	}
	for i, why := range []string{"a link", "another name", "no regular file", "no regular file", "at most", "not the JSON", "not the JSON", `"other"`, "its id", "follows"} {
		w.is(id(i), queue.Damaged, why)
	}
	if text, err := os.ReadFile(secret); string(text) != string(good) || err != nil {
		t.Error("what a link led to has changed", err)
	}
}

// The worker has no rights over what a listener that was taken over makes. It works
// on, past a directory that it can neither move nor remove.
func TestHostileDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs accounts: run as root")
	}
	const worker, listener, group = 4711, 61234, 4712
	dir := quick(t)
	must(t, os.Chmod(dir, 0o755))
	must(t, queue.Make(dir+"/spool", app, worker, worker, group))
	bad := dir + "/spool/web/new/20261125T090000.000000Z.json"
	empty := dir + "/spool/web/new/20261125T090001.000000Z.json"
	must(t, os.Mkdir(bad, 0o700))
	must(t, os.WriteFile(bad+"/x", nil, 0o600))
	must(t, os.Mkdir(empty, 0o700))
	must(t, os.Chown(bad, listener, group))
	must(t, os.Chown(empty, listener, group))
	must(t, enqueueAndSay(dir, push(1, "main")))
	must(t, os.Chown(dir, worker, worker))
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(dir+"/worker", self, 0o755))
	cmd := exec.CommandContext(t.Context(), dir+"/worker")
	cmd.Env = crashtest.Env("work", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: worker, Gid: worker}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(applied(dir)) != 1 {
		t.Errorf("applied %v", applied(dir))
	}
	if _, err := os.Lstat(empty); err == nil {
		t.Error("an empty directory stays")
	}
	if names, err := os.ReadDir(dir + "/spool/web/failed"); len(names) > 0 || err != nil {
		t.Errorf("in failed: %v, %v", names, err)
	}
}

// A journal that the disk has damaged is put aside.
func TestDamagedJournal(t *testing.T) {
	w := newWorld(t, queue.Options{})
	a := w.enqueue(push(1, "main"))
	_, err := w.claims(a).Retry(t.Context(), "later")
	must(t, err)
	must(t, os.WriteFile(w.spool+"/web/cur/"+a+".jsonl", []byte("\x00\x00\x00"), 0o644))
	b := w.enqueue(push(2, "main"))
	w.done(w.claims(b))
	w.is(a, queue.Damaged, "cannot be read")
}

// Lines that a crash cut off do not count, and the next line stands alone.
func TestTornLines(t *testing.T) {
	w := newWorld(t, queue.Options{})
	a := w.enqueue(push(1, "main"))
	w.claims(a)
	for _, name := range []string{"/web/cur/" + a + ".jsonl", "/web/seen"} {
		f, err := os.OpenFile(w.spool+name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		must(t, err)
		_, err = f.WriteString(`{"time":"20`)
		must(t, err)
		must(t, f.Close())
	}
	w.reopen()
	w.done(w.claims(a))
	w.is(a, queue.Done, "")
	w.reopen()
	late := w.enqueue(push(1, "main"))
	w.claims("")
	w.is(late, queue.Duplicate, a)
}

func FuzzDecode(f *testing.F) {
	good, err := json.Marshal(push(1, "main"))
	must(f, err)
	const id = "20261125T090013.000000Z"
	for _, s := range []string{string(good), "", "{}", "null", `[]`, `{"app":"web","action":"cancel","of":"` + id + `"}`, string(good) + "x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ev, err := queue.Decode(app, id, b)
		if err != nil {
			return
		}
		// What is believed is an event of this queue, and can be written again.
		if ev.App != app || ev.ID != id || ev.Action == "" || strings.HasPrefix(ev.Ref, "-") {
			t.Errorf("%+v", ev)
		}
		text, err := json.Marshal(ev)
		must(t, err)
		if len(text) > 256<<10 {
			return // escapes make it longer
		}
		again, err := queue.Decode(app, id, text)
		if err != nil || again.Ref != ev.Ref || again.Action != ev.Action {
			t.Errorf("%v: %s", err, text)
		}
		_ = landfast.Event(again)
	})
}
