package runner

import "runbook/modules"

// theCluster is what predictions keep the cluster's things under: all machines
// of a run look at the same one. No host has an empty name.
const theCluster = ""

// homeOf is where the predictions of a thing are kept: with the machine that the
// task is on, or with the cluster, so that one host's namespace is there for the
// objects of the next.
func homeOf(machine string, thing modules.Thing) string {
	if modules.InCluster(thing) {
		return theCluster
	}
	return machine
}

// on is what is predicted of a machine, or of the cluster; p.mu is held.
func (p *predictions) on(home string) *foreseen {
	if p.machines == nil {
		p.machines = map[string]*foreseen{}
	}
	m := p.machines[home]
	if m == nil {
		m = &foreseen{things: map[modules.Thing]map[string]modules.Effect{}}
		p.machines[home] = m
	}
	return m
}
