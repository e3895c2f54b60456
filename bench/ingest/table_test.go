package ingest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/bench/ingest"
)

func TestTable(t *testing.T) {
	var waits []time.Duration
	for i := range 100 {
		waits = append(waits, time.Duration(100-i)*time.Millisecond)
	}
	r := ingest.Row{Name: "one", Clients: 8, Took: 2 * time.Second, Waits: waits}
	if r.Rate() != 50 || r.Quantile(0.5) != 51*time.Millisecond || r.Quantile(0.99) != 100*time.Millisecond || r.Quantile(1) != 100*time.Millisecond {
		t.Errorf("%v/s, %v, %v, %v", r.Rate(), r.Quantile(0.5), r.Quantile(0.99), r.Quantile(1))
	}
	var b strings.Builder
	ingest.WriteTable(&b, []ingest.Row{r, {Name: "none"}})
	if got := b.String(); !strings.Contains(got, "| one  |       8 |       50 | 51.0 ms | 100.0 ms | 100.0 ms |") || strings.Count(got, "\n") != 4 {
		t.Error(got)
	}
}
