package modules

import "encoding/json"

// kubectlMemory is what of kubectlSeen outlives the run that saw it. The
// restarts of pods do not: a state that must stay begins to stay anew.
type kubectlMemory struct {
	Looked bool         `json:"looked,omitempty"` // delete has selected, if only nothing
	Doomed []doomedSeen `json:"doomed,omitempty"`
	Mark   string       `json:"mark,omitempty"`
	Any    bool         `json:"any,omitempty"`
}

// doomedSeen is an object that delete has selected at its first look.
type doomedSeen struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// Seen is what the first Check saw: the objects that it would delete, or the
// mark of its restart.
func (k *kubectl) Seen() []byte {
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	m := kubectlMemory{Looked: k.seen.uids != nil, Mark: k.seen.mark, Any: k.seen.any}
	for _, ref := range k.seen.doomed {
		m.Doomed = append(m.Doomed, doomedSeen{ref.Kind, ref.APIVersion, ref.Namespace, ref.Name, k.seen.uids[ref]})
	}
	if !m.Looked && m.Mark == "" && !m.Any {
		return nil
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil // texts and truths cannot fail
	}
	return data
}

// Recall makes a resumed run mean the objects and the restart of the first.
func (k *kubectl) Recall(seen []byte) error {
	var m kubectlMemory
	if err := json.Unmarshal(seen, &m); err != nil {
		return err
	}
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	k.seen.mark, k.seen.any = m.Mark, m.Any
	if !m.Looked {
		return nil
	}
	k.seen.doomed, k.seen.uids = nil, map[Ref]string{}
	for _, d := range m.Doomed {
		ref := Ref{Kind: d.Kind, APIVersion: d.APIVersion, Namespace: d.Namespace, Name: d.Name}
		k.seen.doomed = append(k.seen.doomed, ref)
		k.seen.uids[ref] = d.UID
	}
	return nil
}
