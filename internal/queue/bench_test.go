package queue_test

import (
	"testing"

	"github.com/landfast/landfast/internal/queue"
)

// BenchmarkEnqueue enqueues from many goroutines at once, on a disk.
func BenchmarkEnqueue(b *testing.B) {
	dir := b.TempDir()
	must(b, queue.Make(dir, app, -1, -1, -1))
	w, err := queue.OpenWriter(dir)
	must(b, err)
	defer w.Close()
	b.SetParallelism(32)
	ev := push(1, "main")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Enqueue(b.Context(), ev); err != nil {
				b.Error(err)
			}
		}
	})
}
