package runner

import (
	"strconv"

	"runbook/playbooks"
)

// places says where each task stands in its play: tasks/2, tasks/0/rescue/1,
// handlers/0. The place names the task in journals and plans.
func places(written *playbooks.Play) map[*playbooks.Task]string {
	found := map[*playbooks.Task]string{}
	walk(found, "pre_tasks", written.PreTasks)
	walk(found, "tasks", written.Tasks)
	walk(found, "post_tasks", written.PostTasks)
	for i, h := range written.Handlers {
		found[h] = "handlers/" + strconv.Itoa(i)
	}
	return found
}

func walk(found map[*playbooks.Task]string, at string, nodes []playbooks.Node) {
	for i, n := range nodes {
		here := at + "/" + strconv.Itoa(i)
		switch n := n.(type) {
		case *playbooks.Task:
			found[n] = here
		case *playbooks.Block:
			walk(found, here+"/block", n.Tasks)
			walk(found, here+"/rescue", n.Rescue)
			walk(found, here+"/always", n.Always)
		}
	}
}

// factsPlace is the place of the task that gathers facts, which is not written.
const factsPlace = "facts"

func (p *play) place(t *playbooks.Task) string {
	if place, ok := p.places[t]; ok {
		return place
	}
	return factsPlace
}

// visitor counts how often a host has come to a task.
type visitor struct {
	place string
	host  *host
}

// visit is the key of a host's work on a task, which it now comes to.
func (p *play) visit(t *playbooks.Task, h *host) Key {
	v := visitor{p.place(t), h}
	n := p.visits[v]
	p.visits[v]++
	return Key{Play: p.number, Task: v.place, Host: h.name, Visit: n}
}

// next is the key that visit would give, without coming to the task.
func (p *play) next(t *playbooks.Task, h *host) Key {
	v := visitor{p.place(t), h}
	return Key{Play: p.number, Task: v.place, Host: h.name, Visit: p.visits[v]}
}
