package cutover_test

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// plot draws p99 of the short requests, steady and during cutovers, as bars on a
// logarithmic scale. It is readable on light and on dark.
func plot(rows []row) []byte {
	const width, left, line = 860, 330, 18
	height := 50 + len(rows)*(2*line+10)
	x := func(d time.Duration) float64 {
		v := math.Log10(max(float64(d)/float64(time.Millisecond), 0.1)) + 1 // 0.1 ms … 10 s
		return left + v/5*(width-left-90)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<style>text{fill:#333}.s{fill:#5b8}.d{fill:#47c}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>
<text x="%d" y="20">p99 of short requests: <tspan class="s">steady</tspan>, <tspan class="d">during cutovers</tspan> (logarithmic)</text>
`, width, height, left)
	for i, r := range rows {
		y := 40 + i*(2*line+10)
		name := strings.ReplaceAll(r.app+", "+r.side, "`", "")
		if r.drain == "off" {
			name += ", drain off"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+line, name)
		for j, bar := range []struct {
			class string
			d     time.Duration
		}{{"s", r.steady.P99}, {"d", r.during.P99}} {
			fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/><text x="%.1f" y="%d">%s</text>`+"\n",
				bar.class, left, y+j*line, x(bar.d)-left, line-3, x(bar.d)+4, y+j*line+line-5, ms(bar.d))
		}
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
