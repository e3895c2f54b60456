package load

import "time"

// Quantile is the quantile of some durations, as a Result would give it.
func Quantile(q float64, ds ...time.Duration) time.Duration {
	var h histogram
	for _, d := range ds {
		h.add(d)
	}
	return h.quantile(q)
}
