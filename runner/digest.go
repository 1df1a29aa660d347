package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"

	"runbook/modules"
)

// digest names what a change is, with all that the steps carry, the content of
// files and standard input too. What a plan and its apply cannot have in common,
// the time in a restart, is left out. Env is the task's environment.
func (rn *run) digest(c modules.Change, env map[string]string) Digest {
	var d Digest
	for _, s := range c.Steps {
		d.Steps = append(d.Steps, rn.stepDigest(s, env))
	}
	for _, diff := range c.Diffs {
		if diff.Passing {
			diff.Have = ""
		}
		d.Diffs = append(d.Diffs, rn.digestOf("diff", "", diff, nil))
	}
	return d
}

func (rn *run) stepDigest(s modules.Step, env map[string]string) string {
	return rn.digestOf("step", fmt.Sprintf("%T", s), lasting(s), env)
}

// unborn is what a plan has for the delete of an object that the plan itself
// makes: the UID, to which an apply binds the delete, is the server's to give.
func (rn *run) unborn(s modules.Step, env map[string]string) string {
	if api, ok := s.(modules.APIStep); ok && api.Verb == modules.Delete {
		api.UID = ""
		s = api
	}
	return rn.stepDigest(s, env)
}

func (rn *run) digestOf(what, kind string, v any, env map[string]string) string {
	data, err := json.Marshal([]any{what, kind, v, env})
	if err != nil {
		data = fmt.Appendf(nil, "%s %s %#v %v", what, kind, v, env) // not reached: steps are plain data
	}
	if rn.Seal != nil {
		return rn.Seal.Digest(data)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// lasting is a step without what changes from one look to the next.
func lasting(s modules.Step) modules.Step {
	switch s := s.(type) {
	case modules.APIStep:
		if s.PartOf != "" {
			return modules.APIStep{PartOf: s.PartOf}
		}
		if s.Event {
			s.Body, s.JSONPatch = nil, nil
		}
		return s
	case modules.Write:
		if s.Event {
			s.Path, s.Data = path.Dir(s.Path), nil
		}
		return s
	case modules.Run:
		s.Limit = 0
		return s
	}
	return s
}
