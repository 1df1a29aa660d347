package modules

import (
	"regexp"
	"strconv"
	"strings"
)

// cacheHeaders are those in which caches say where an answer is from, in the
// spelling of net/http.
var cacheHeaders = []string{"X-Cache", "X-Cache-Status", "X-Proxy-Cache", "Cf-Cache-Status", "Cache-Status"}

// fromCache are the words for an answer that was not asked for anew: HIT,
// TCP_HIT, "Hit from cloudfront", "MISS, HIT", STALE.
var fromCache = regexp.MustCompile(`(?i)(^|[^a-z])(hit|stale)([^a-z]|$)`)

// cached says by what an answer betrays that a cache gave it; empty where
// nothing does. Age is the seconds since the origin was asked: 0 is fresh.
func cached(header map[string]string) string {
	if age := strings.TrimSpace(header["Age"]); age != "" {
		if seconds, err := strconv.Atoi(age); err != nil || seconds > 0 {
			return "Age: " + age
		}
	}
	for _, name := range cacheHeaders {
		if value := header[name]; fromCache.MatchString(value) {
			return name + ": " + value
		}
	}
	return ""
}
