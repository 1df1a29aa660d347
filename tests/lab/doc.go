// Package lab brings up the incident on one Linux machine, from real parts: eight
// hosts with their own sshd, a Kubernetes cluster with a kubelet in each of them,
// and the ipset fault that takes the cluster's network down, in one of the forms
// that it has in the world. Everything is a Debian package or a Go module;
// nothing is left behind when it goes down.
package lab
