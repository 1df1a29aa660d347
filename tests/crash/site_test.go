package crash

import (
	"fmt"
	"slices"
)

// small has everything once that makes a run hard to resume: results that later
// tasks read, handlers called before and after a flush and by a rescue, a loop, a
// file, batches, a task for one host alone, a second play.
const small = `
- name: first
  hosts: web
  gather_facts: false
  serial: 2
  vars: {log: "{{ logs }}/{{ inventory_hostname }}"}
  handlers:
  - {name: restart, shell: "echo restart >> {{ log }}"}
  - {name: reload, shell: "echo reload >> {{ log }}"}
  tasks:
  - {name: one, shell: "echo one >> {{ log }}; echo said by {{ inventory_hostname }}", register: one, notify: restart}
  - {name: said, set_fact: {said: "{{ one.stdout }}"}}
  - {name: file, copy: {content: "{{ said }}\n", dest: "{{ log }}.file"}, notify: reload}
  - {name: items, shell: "echo item {{ item }} >> {{ log }}; echo {{ item }}", loop: [x, y], register: items}
  - meta: flush_handlers
  - {name: once, shell: "echo once >> {{ log }}", run_once: true}
  - block:
    - {name: breaks, shell: "echo breaks >> {{ log }}; test {{ inventory_hostname }} = h001"}
    rescue:
    - {name: mend, shell: "echo mend {{ ansible_failed_result.rc }} >> {{ log }}", notify: restart}
    always:
    - {name: always, command: "sh -c 'echo always {{ said }} >> {{ log }}'"}
- name: second
  hosts: web
  gather_facts: false
  vars: {log: "{{ logs }}/{{ inventory_hostname }}"}
  tasks:
  - {name: last, shell: "echo last {{ said }} {{ items.results[1].stdout }} >> {{ log }}"}
`

const smallHosts = 3

// smallEffects is every effect of small, sorted.
func smallEffects() []string {
	var all []string
	for i, h := range hostNames(smallHosts) {
		did := []string{"one", "item x", "item y", "restart", "reload", "breaks", "always said by " + h, "last said by " + h + " y"}
		if i > 0 {
			did = append(did, "mend 1", "restart") // the rescue notifies once more
		}
		if i%2 == 0 {
			did = append(did, "once") // the first of each batch
		}
		all = append(all, of(h, did)...)
	}
	slices.Sort(all)
	return all
}

func of(host string, did []string) []string {
	var all []string
	for _, d := range did {
		all = append(all, host+": "+d)
	}
	return all
}

// big is twenty tasks, with handlers.
func big() string {
	text := `
- name: big
  hosts: web
  gather_facts: false
  serial: 25
  vars: {log: "{{ logs }}/{{ inventory_hostname }}"}
  handlers:
  - {name: restart, shell: "echo restart >> {{ log }}"}
  - {name: reload, shell: "echo reload >> {{ log }}"}
  tasks:
  - {name: one, shell: "echo one >> {{ log }}; echo said by {{ inventory_hostname }}", register: one}
  - {name: said, set_fact: {said: "{{ one.stdout }}"}}
  - {name: three, shell: "echo three {{ said }} >> {{ log }}", notify: restart}
  - {name: file, copy: {content: "{{ said }}\n", dest: "{{ log }}.file"}, notify: reload}
  - {name: items, shell: "echo item {{ item }} >> {{ log }}; echo {{ item }}", loop: [x, y], register: items}
  - {name: six, shell: "echo six >> {{ log }}", when: "items.results[1].stdout == 'y'"}
  - meta: flush_handlers
  - {name: once, shell: "echo once >> {{ log }}", run_once: true}
  - block:
    - {name: breaks, shell: "echo breaks >> {{ log }}; test {{ inventory_hostname[3] }} != 7"}
    rescue:
    - {name: mend, shell: "echo mend {{ ansible_failed_result.rc }} >> {{ log }}", notify: restart}
    always:
    - {name: always, shell: "echo always >> {{ log }}"}
`
	for i := 12; i <= 20; i++ {
		notify := ""
		if i == 17 {
			notify = ", notify: reload"
		}
		text += fmt.Sprintf("  - {name: task %d, shell: \"echo task %d >> {{ log }}\"%s}\n", i, i, notify)
	}
	return text
}

const bigHosts = 50

// bigEffects is every effect of big, sorted.
func bigEffects() []string {
	var all []string
	for i, h := range hostNames(bigHosts) {
		did := []string{"one", "three said by " + h, "item x", "item y", "six", "restart", "reload", "breaks", "always", "reload"}
		if h[3] == '7' {
			did = append(did, "mend 1", "restart")
		}
		if i%25 == 0 {
			did = append(did, "once")
		}
		for task := 12; task <= 20; task++ {
			did = append(did, fmt.Sprint("task ", task))
		}
		all = append(all, of(h, did)...)
	}
	slices.Sort(all)
	return all
}
