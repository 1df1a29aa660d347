package render

import (
	"fmt"
	"time"
)

// when is a time for people: in the zone of now, no longer than it must be,
// with its age.
func when(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	at = at.In(now.Location())
	layout := "2006-01-02"
	switch {
	case at.Year() == now.Year() && at.YearDay() == now.YearDay():
		layout = "15:04"
	case at.Year() == now.Year():
		layout = "2 Jan 15:04"
	}
	return at.Format(layout) + " (" + age(now.Sub(at)) + ")"
}

// age is how long ago something was. The clock of who wrote it down may be
// ahead of this one.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < -time.Minute:
		return "in the future"
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d/time.Minute))
	case d < 2*day:
		return fmt.Sprintf("%d h ago", int(d/time.Hour))
	case d < 60*day:
		return fmt.Sprintf("%d days ago", int(d/day))
	case d < 2*365*day:
		return fmt.Sprintf("%d months ago", int(d/(30*day)))
	}
	return fmt.Sprintf("%d years ago", int(d/(365*day)))
}

// took is a duration with no more digits than it is worth.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// now is what ages are counted from.
func (o Options) now() time.Time {
	if o.Now.IsZero() {
		return time.Now()
	}
	return o.Now
}
