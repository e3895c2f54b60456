package load_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/lab/load"
)

func TestPagesAndStreams(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/app/stream", "/app/short":
			_, _ = io.WriteString(w, "tick\n")
			_ = http.NewResponseController(w).Flush()
			if r.URL.Path == "/app/stream" {
				_, _ = io.WriteString(w, "end\n")
			}
		case "/app/cut":
			_, _ = io.WriteString(w, "tick\nend\n")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler) // without the last chunk
		case "/app/":
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer s.Close()
	run := start(t, load.Options{URL: s.URL + "/app/", Record: true, Requests: 40, Ways: []load.Way{
		{Method: "GET", Keep: true},
		{Method: "GET", Path: "stream", End: "end\n", Keep: true, Workers: 2},
		{Method: "GET", Path: "short", End: "end\n"},
		{Method: "GET", Path: "cut", End: "end\n"},
	}})
	r := run.Wait()
	got := map[int]map[string]bool{}
	workers := 0
	last := time.Duration(0)
	for _, q := range run.Record() {
		if got[q.Way] == nil {
			got[q.Way] = map[string]bool{}
		}
		got[q.Way][q.Failure] = true
		workers++
		if q.Ended < last || q.Began >= q.Ended || q.Ended > run.Now() {
			t.Errorf("%+v is out of order", q)
		}
		last = q.Ended
	}
	if want := map[int]map[string]bool{0: {"": true}, 1: {"": true}, 2: {"closed": true}, 3: {"closed": true}}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if int64(workers) != r.Requests() || workers != 40 {
		t.Errorf("%d requests in the record, %d in the result", workers, r.Requests())
	}
	if now := run.Total(); now.OK != r.OK || now.Failed != r.Failed {
		t.Errorf("in total %s, stopped %s", now, r)
	}
}

func TestNoRecordUnlessAsked(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	run := start(t, load.Options{URL: s.URL, Requests: 4})
	run.Wait()
	if got := run.Record(); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
}

func TestWindow(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	record := []load.Request{
		{Began: ms(0), Ended: ms(9)},                      // before
		{Began: ms(5), Ended: ms(10)},                     // ends in it
		{Began: ms(2), Ended: ms(50), Way: 1},             // all through it
		{Began: ms(19), Ended: ms(22)},                    // begins in it
		{Began: ms(12), Ended: ms(13), Failure: "reset"},  // in it
		{Began: ms(20), Ended: ms(21), Failure: "closed"}, // behind it
	}
	tests := map[string]struct {
		ways []int
		want load.Times
	}{
		"all": {nil, load.Times{
			Requests: 4, Failed: 1, Failures: map[string]int{"reset": 1}, P50: ms(5), P99: ms(48), Max: ms(48),
		}},
		"one way": {[]int{0}, load.Times{
			Requests: 3, Failed: 1, Failures: map[string]int{"reset": 1}, P50: ms(3), P99: ms(5), Max: ms(5),
		}},
		"none": {[]int{7}, load.Times{Failures: map[string]int{}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := load.Window(record, ms(10), ms(20), test.ways); !cmp.Equal(got, test.want) {
				t.Error(cmp.Diff(test.want, got))
			}
		})
	}
}
