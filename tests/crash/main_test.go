package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The programs under test: as its users have it, with failpoints, and the one
// that lists those.
var program, doomed, points string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "runbook-crash")
	if err == nil {
		program, doomed, points = filepath.Join(dir, "runbook"), filepath.Join(dir, "doomed"), filepath.Join(dir, "points")
		err = build(dir)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir) // whatever is left, the tests have said what they found
	os.Exit(code)
}

// build makes the programs as `make build` does, so that its work is used again.
func build(dir string) error {
	for _, b := range [][]string{
		{"-o", program, "../.."},
		{"-tags", "failpoint", "-o", doomed, "../.."},
		{"-tags", "failpoint", "-o", points, "./points"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags", "-s -w"}, b...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return nil
}
