// Command calico-cni stands for the installer in Calico's cni image, which runs
// before calico-node. The lab's hosts have their CNI, so it has nothing to do.
package main

import "fmt"

func main() { fmt.Println("install: the hosts have their CNI already") }
