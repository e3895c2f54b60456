package manifest

import "strings"

// closest is the candidate that is word but for a slip of the keyboard, or "".
func closest(word string, candidates []string) string {
	best, bestDistance := "", max(len(word)/4, 1)+1
	for _, c := range candidates {
		if d := distance(plain(word), plain(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// nearest is the candidate that word was most likely meant to be, or "": the
// closest, or the only one that has the other as a part.
func nearest(word string, candidates []string) string {
	best := closest(word, candidates)
	if best != "" {
		return best
	}
	for _, c := range candidates {
		a, b := plain(word), plain(c)
		if min(len(a), len(b)) < 3 || !strings.Contains(b, a) && !strings.Contains(a, b) {
			continue
		}
		if best != "" {
			return ""
		}
		best = c
	}
	return best
}

// plain is word without the ways of writing that people mix up.
func plain(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
}

// distance is the number of characters to add, drop, change or swap with their
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := rows[i-1][j-1]
			if x[i-1] != y[j-1] {
				change++
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(x)][len(y)]
}

// didYouMean is the hint that names the nearest candidate, or "".
func didYouMean(word string, candidates []string) string {
	if c := nearest(word, candidates); c != "" {
		return `did you mean "` + c + `"?`
	}
	return ""
}
