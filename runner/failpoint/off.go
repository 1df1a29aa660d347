//go:build !failpoint

package failpoint

// Enabled says whether this build has points.
const Enabled = false

// Point is a place where a test may end the process.
type Point struct{}

// Hit does nothing in this build.
func (Point) Hit() {}

func point(string) Point { return Point{} }
