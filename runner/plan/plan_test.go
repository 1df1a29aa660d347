package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/plan"
)

func TestCheckRefuses(t *testing.T) {
	failed := runner.Outcome{Key: runner.Key{Play: 1, Task: "tasks/2", Host: "node2"}, Name: "set up", Status: runner.Failed, Msg: "no"}
	ignored, rescued, away := failed, failed, failed
	ignored.Ignored, rescued.Rescued, away.Status = true, true, runner.Unreachable
	tests := map[string]struct {
		records []runner.Record
		sum     runner.Summary
		edit    func(*testing.T, *project, *plan.Plan)
		key     plan.Key
		now     func(*plan.Inputs)
		want    []string // none: it may be applied
	}{
		"nothing wrong": {},
		"another project": {key: theirs, want: []string{
			`of another project: it is signed with the key "` + ours.ID() + `", and the key of this one is "` + theirs.ID() + `"`, "plan again here"}},
		"signed by another": {edit: func(t *testing.T, p *project, made *plan.Plan) {
			_, err := plan.Write(p.path("x"), made, theirs)
			require.NoError(t, err)
		}, want: []string{"the plan was edited"}},
		"another major version": {now: func(now *plan.Inputs) { now.Version = "v2.0.1" }, edit: version("v1.9.0"), want: []string{"made by runbook v1.9.0, and this is v2.0.1: plan again"}},
		"another minor version": {now: func(now *plan.Inputs) { now.Version = "v1.0.1" }, edit: version("v1.9.0")},
		"no version":            {now: func(now *plan.Inputs) { now.Version = "(devel)" }, edit: version("v1.9.0")},
		"a failed host":         {records: []runner.Record{failed}, want: []string{`the plan is not complete: the task "set up" failed on node2: see to that`}},
		"an unreachable host":   {records: []runner.Record{away, away}, sum: runner.Summary{Unreachable: true}, want: []string{"the plan is not complete: node2 was unreachable: see to that"}},
		"nobody says who":       {sum: runner.Summary{Failed: true}, want: []string{"not complete: a host failed"}},
		"interrupted":           {sum: runner.Summary{Interrupted: true}, want: []string{"not complete: the planning was interrupted"}},
		"ignored":               {records: []runner.Record{ignored}},
		"rescued":               {records: []runner.Record{rescued}},
		"changed": {edit: func(t *testing.T, p *project, _ *plan.Plan) {
			p.write(t, "books/vars.yml", "which: motd\n")
			p.write(t, "books/files/motd", "bye\n")
			p.write(t, "hosts.yml", hostsAnd("node3: {}"))
			p.extra = append(p.extra, "mode=slow")
		}, want: []string{
			"something else than what is here now: plan again\n  books/files/motd changed\n  books/vars.yml changed\n  hosts.yml changed\n  inventory: host node3 is new\n  -e mode changed"}},
		"two things at once": {sum: runner.Summary{Interrupted: true}, edit: func(t *testing.T, p *project, _ *plan.Plan) {
			p.write(t, "books/setup.sh", "#!/bin/sh\nfalse\n")
		}, want: []string{"was interrupted", "books/setup.sh changed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProject(t)
			made := p.planned(t, p.gather(t, p.load(t).ran(t), ours), tt.sum, tt.records...)
			path := p.path("fix.plan")
			_, err := plan.Write(path, made, ours)
			require.NoError(t, err)
			if tt.edit != nil {
				tt.edit(t, p, made)
			}
			if _, err := plan.Read(p.path("x")); err == nil {
				path = p.path("x")
			}
			got, err := plan.Read(path)
			require.NoError(t, err)
			key := tt.key
			if key == nil {
				key = ours
			}
			now := p.gather(t, p.load(t), key)
			if tt.now != nil {
				tt.now(&now)
			}
			err = got.Check(key, now)
			if tt.want == nil {
				assert.NoError(t, err)
				return
			}
			for _, want := range tt.want {
				assert.ErrorContains(t, err, want)
			}
			_, err = got.Inputs(key)
			assert.Equal(t, got.Verify(key), err, "the seal is not opened where the signature is wrong")
		})
	}
}

// version makes another plan, of that version of the program.
func version(v string) func(*testing.T, *project, *plan.Plan) {
	return func(t *testing.T, p *project, made *plan.Plan) {
		made.Header.Version = v
		_, err := plan.Write(p.path("x"), made, ours)
		require.NoError(t, err)
	}
}

func TestCounts(t *testing.T) {
	p := newProject(t)
	in := p.gather(t, p.load(t), ours)
	at := func(host, task string, item int, status runner.Status) runner.Record {
		return runner.Outcome{Key: runner.Key{Play: 1, Task: task, Host: host, Item: item}, Status: status}
	}
	tests := map[string]struct {
		records []runner.Record
		want    plan.Counts
	}{
		"nothing":              {nil, plan.Counts{}},
		"each verdict":         {[]runner.Record{at("a", "1", 0, runner.OK), at("a", "2", 0, runner.WouldChange), at("a", "3", 0, runner.WouldRun), at("a", "4", 0, runner.WouldWait), at("a", "5", 0, runner.Unknown), at("a", "6", 0, runner.Skipped), at("a", "7", 0, runner.Failed), at("b", "7", 0, runner.Unreachable), at("a", "8", 0, runner.Changed)}, plan.Counts{OK: 1, Change: 1, Run: 1, Wait: 1, Unknown: 1, Skipped: 1, Failed: 1, Unreachable: 1, Done: 1}},
		"items are one task":   {[]runner.Record{at("a", "1", 1, runner.OK), at("a", "1", 2, runner.WouldChange), at("a", "1", 3, runner.Skipped), at("b", "1", 1, runner.Skipped), at("b", "1", 2, runner.OK)}, plan.Counts{OK: 1, Change: 1}},
		"items and the whole":  {[]runner.Record{at("a", "1", 1, runner.OK), at("a", "1", 2, runner.WouldChange), at("a", "1", 0, runner.WouldChange)}, plan.Counts{Change: 1}},
		"a status of no plan":  {[]runner.Record{at("a", "1", 0, "odd")}, plan.Counts{}},
		"hosts of two batches": {[]runner.Record{runner.BatchBegun{Hosts: []string{"a"}}, runner.BatchBegun{Hosts: []string{"b"}}, runner.BatchBegun{Hosts: []string{"a", "b"}}}, plan.Counts{Hosts: 2, Batches: 3}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var c plan.Collector
			for _, r := range tt.records {
				require.NoError(t, c.Put(t.Context(), r, true))
			}
			made, err := c.Plan(plan.Header{}, in, runner.Summary{}, nil, ours)
			require.NoError(t, err)
			assert.Equal(t, tt.want, made.Summary)
			assert.False(t, made.Header.Created.IsZero())
		})
	}
}
