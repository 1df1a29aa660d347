// Package upgrade rolls real kernels through real boot loaders: the playbook
// kernel-upgrade on the lab of virtual machines.
package upgrade
