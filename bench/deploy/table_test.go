package deploy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/bench/deploy"
)

func ms(ns ...int) []time.Duration {
	var ds []time.Duration
	for _, n := range ns {
		ds = append(ds, time.Duration(n)*time.Millisecond)
	}
	return ds
}

func TestMedian(t *testing.T) {
	for _, test := range []struct{ in, want []time.Duration }{
		{nil, ms(0, 0, 0)},
		{ms(7), ms(7, 7, 7)},
		{ms(9, 1), ms(9, 1, 9)},
		{ms(9, 1, 4), ms(4, 1, 9)},
		{ms(40, 10, 20, 30), ms(30, 10, 40)},
	} {
		m, shortest, longest := deploy.Median(test.in)
		if got := []time.Duration{m, shortest, longest}; !cmp.Equal(got, test.want) {
			t.Errorf("Median(%v) = %v, want %v", test.in, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	sample := func(whole, start, after int) deploy.Sample {
		return deploy.Sample{Whole: ms(whole)[0], Start: ms(start)[0], After: ms(after)[0]}
	}
	rows := []deploy.Row{
		{Name: "one", Samples: []deploy.Sample{sample(130, 30, 20), sample(115, 20, 5), sample(300, 30, 100)}},
		{Name: "another", Samples: []deploy.Sample{sample(1200, 200, 0)}},
	}
	var b strings.Builder
	if err := deploy.WriteTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := `
|         |    overhead |         from … to | until live | the app's own start |   whole |
| ------- | ----------: | ----------------: | ---------: | ------------------: | ------: |
| one     |  **100 ms** |    95 ms … 270 ms |      90 ms |               30 ms |  130 ms |
| another | **1000 ms** | 1000 ms … 1000 ms |    1000 ms |              200 ms | 1200 ms |
`
	if got := "\n" + b.String(); got != want {
		t.Error(cmp.Diff(want, got))
	}
}
