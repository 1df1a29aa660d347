// Command points prints the name of every failpoint of the program, sorted. Built
// without the tag failpoint it prints nothing.
package main

import (
	"fmt"

	_ "runbook/runner/cli" // with it come all packages that have points
	"runbook/runner/failpoint"
)

func main() {
	for _, name := range failpoint.Names() {
		fmt.Println(name)
	}
}
