package source

import (
	"fmt"
	"slices"
	"strings"
)

// Closest returns the known word that got most likely meant, or "". Silence
// beats a silly guess: at most two slips, and no more than half of the word.
func Closest(got string, known []string) string {
	best, least := "", 3
	for _, word := range slices.Sorted(slices.Values(known)) {
		if word == got {
			continue
		}
		d := distance([]rune(strings.ToLower(got)), []rune(strings.ToLower(word)))
		if d < least && d*2 <= len(got) {
			best, least = word, d
		}
	}
	return best
}

// DidYouMean is the hint that names the closest of the known words; "" where
// none is close.
func DidYouMean(got string, known []string) string {
	if word := Closest(got, known); word != "" {
		return fmt.Sprintf("did you mean %q?", word)
	}
	return ""
}

// suggest is DidYouMean, or else the list of what is allowed.
func suggest(got string, known []string) string {
	if hint := DidYouMean(got, known); hint != "" {
		return hint
	}
	if len(known) == 0 {
		return ""
	}
	return "allowed: " + strings.Join(known, ", ")
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b []rune) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
