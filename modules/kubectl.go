package modules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "kubectl",
		Doc:  "Read, change and await objects of a Kubernetes cluster",
		New:  func() Module { return &kubectl{now: time.Now} },
	})
}

// kubectl acts through the API from the controller, whatever host the play is
// on. Exactly one verb is given; the other arguments say what it acts on.
type kubectl struct {
	Get      string `arg:"get" doc:"Read objects: a kind such as pods, or KIND/NAME; registers items, count and found, and the facts of pods as pods and of nodes as nodes."`
	Apply    any    `arg:"apply" doc:"Have these fields in the cluster (server-side apply): an object, a list of objects, or YAML text."`
	Src      Local  `arg:"src,file" doc:"Apply the objects of this YAML file of the controller."`
	URL      string `arg:"url" doc:"Apply the objects of the YAML behind this http or https URL, of at most 1 MiB; needs digest."`
	Digest   string `arg:"digest" doc:"What the manifest of url, or of src, must be: sha256: and its digest in hexadecimal."`
	Diff     bool   `arg:"diff" doc:"Compare the objects of src or url with the cluster, and change nothing; registers objects, differs, and differences with what, have and want."`
	Patch    string `arg:"patch" doc:"Change fields of one object, KIND/NAME, by merge, strategic or json."`
	SetImage string `arg:"set_image" doc:"Give containers of a daemonset, deployment or statefulset, KIND/NAME, the images that images says; wait with for: rollout awaits the pods."`
	Delete   string `arg:"delete" doc:"Have objects gone: KIND/NAME, or a kind with selector; what takes the place of a deleted object stays."`
	Restart  string `arg:"restart" doc:"Replace the pods of a daemonset, deployment or statefulset as its update strategy says, and wait until all are available."`
	Wait     string `arg:"wait" doc:"Wait until objects are as for says: a kind, or KIND/NAME."`
	Backup   string `arg:"backup" doc:"Keep objects, as they are now, in a YAML file of the task's host: a directory that is there, and how the name begins; a state that is kept already is not written again."`
	Logs     string `arg:"logs" doc:"Read the whole log of each selected pod since its container started: pods with selector, or pod/NAME."`
	Exec     string `arg:"exec" doc:"Run a command in each selected pod: pods with selector, or pod/NAME."`
	Run      string `arg:"run" doc:"Run a command in a new pod whose name begins like this; the pod is removed again."`
	Cordon   string `arg:"cordon" doc:"Keep new pods off a node, and note on it who does; a cordon that somebody else has set stays theirs."`
	Uncordon string `arg:"uncordon" doc:"Lift the cordon of a node that owner has set; one of anybody else stays."`
	Drain    string `arg:"drain" doc:"Have a node without pods: cordon it, and evict them as disruption budgets allow."`

	Namespace  string `arg:"namespace" doc:"The namespace; that of the kubeconfig where not given, and \"*\" to select in all."`
	Name       string `arg:"name" doc:"The name of one object, instead of KIND/NAME."`
	Selector   string `arg:"selector" doc:"Labels that the objects must have, such as k8s-app=calico-node."`
	Fields     string `arg:"fields" doc:"Fields that the objects must have, such as spec.nodeName=node001."`
	APIVersion string `arg:"api_version" doc:"The group and version of the kind, where the kind alone is ambiguous."`

	Merge      map[string]any    `arg:"merge" doc:"The fields to set; null removes one, and a list replaces the whole list."`
	Strategic  map[string]any    `arg:"strategic" doc:"The fields to set, with lists merged by their key; built-in kinds only."`
	JSON       []any             `arg:"json" doc:"A list of operations, each with op, path and value."`
	Images     map[string]string `arg:"images" doc:"The new image by the name of its container, init containers too; a container that is not there is an error."`
	Groups     []string          `arg:"groups" doc:"API groups of which backup keeps every custom resource definition, and every object of their kinds."`
	Objects    []string          `arg:"objects" doc:"More that backup keeps: each a KIND/NAME, where it is there."`
	Force      bool              `arg:"force" doc:"Whether apply takes over fields that others own, and drain evicts pods that nobody makes again."`
	AllowEmpty bool              `arg:"allow_empty" doc:"Whether it is right that nothing is selected."`
	Grace      *int64            `arg:"grace" doc:"Seconds that deleted pods have to end; their own setting where not given."`
	Only       string            `arg:"only" enum:"unready" doc:"With unready, restart only where a pod is not Ready or not up to date."`
	Mark       string            `arg:"mark" doc:"A word written beside the restart; a workload that has it already is not restarted again."`

	For     string         `arg:"for" doc:"What to wait for: ready, rollout, deleted, condition=NAME, condition=NAME=STATUS or jsonpath=PATH=VALUE; ready or rollout by kind where not given."`
	Stable  time.Duration  `arg:"stable" doc:"For how long it must hold without a pod starting anew, in seconds."`
	Expect  any            `arg:"expect" doc:"How many objects must be selected: a number, or desired of KIND/NAME for as many as that workload wants."`
	Timeout *time.Duration `arg:"timeout" doc:"How long to wait, in seconds: 300 for wait, delete and run, 600 for restart; logs and a read-only exec look once."`

	Owner               string `arg:"owner" doc:"In whose name a node is cordoned, one word, runbook where not given; uncordon lifts what the same owner has set, in this run or another."`
	IgnoreDaemonsets    bool   `arg:"ignore_daemonsets" doc:"Whether drain leaves the pods of daemonsets, which would come back at once; otherwise they are an error."`
	DeleteEmptydirData  bool   `arg:"delete_emptydir_data" doc:"Whether drain evicts pods with data in an emptyDir, which is lost; otherwise they are an error."`
	DisableEviction     bool   `arg:"disable_eviction" doc:"Whether drain deletes pods without asking disruption budgets."`
	AllowUnreadyNetwork bool   `arg:"allow_unready_network" doc:"Whether drain begins while the network plugin is not ready on every node."`

	Container string `arg:"container" doc:"The container; the pod's default one where not given."`
	Since     string `arg:"since" doc:"Read the log from this time on (RFC 3339, by the clock of the node)."`
	Previous  bool   `arg:"previous" doc:"Whether absent also looks at the log of the container's run before this one."`
	After     string `arg:"after" doc:"A regular expression: only the lines from the last one on that matches it count, as those since a program in the container has started anew."`
	Match     any    `arg:"match" doc:"Regular expressions to look for; registers for each pod how many lines each matched, and the last line that one did as last_match."`
	Require   any    `arg:"require" doc:"Regular expressions that each must match a line of every pod's log."`
	Absent    any    `arg:"absent" doc:"Regular expressions that must match no line of any pod's log."`

	Command     any               `arg:"command" doc:"The program and its arguments, as a list; no shell is involved."`
	Stdin       string            `arg:"stdin" doc:"What the command reads."`
	ReadOnly    bool              `arg:"read_only" doc:"Whether the command changes nothing; then plans run it too, and it must end with exit code 0."`
	Image       string            `arg:"image" doc:"The image of the new pod."`
	Node        string            `arg:"node" doc:"The node that the new pod runs on, whatever its taints; any node where not given."`
	HostNetwork bool              `arg:"host_network" doc:"Whether the new pod uses the network of its node."`
	Env         map[string]string `arg:"env" doc:"Environment variables of the new pod; not for secrets."`

	now  func() time.Time
	seen kubectlSeen
}

// kubectlVerb is one verb: what beside namespace it takes, and its work.
type kubectlVerb struct {
	takes    string
	validate func(*kubectl) error
	check    func(*kubectl, context.Context, outlook) (Change, error)
}

var kubectlVerbs = map[string]kubectlVerb{
	"get":       {"name selector fields api_version", (*kubectl).validSelection, (*kubectl).get},
	"apply":     {"src url digest force", (*kubectl).validManifest, (*kubectl).apply},
	"diff":      {"src url digest force", (*kubectl).validManifest, (*kubectl).diff},
	"patch":     {"name api_version merge strategic json", (*kubectl).validPatch, (*kubectl).patch},
	"set_image": {"name api_version images", (*kubectl).validSetImage, (*kubectl).setImage},
	"backup":    {"groups objects", (*kubectl).validBackup, (*kubectl).backup},
	"delete":    {"name selector fields api_version allow_empty grace timeout", (*kubectl).validChoice, (*kubectl).remove},
	"restart":   {"name selector only mark timeout", (*kubectl).validChoice, (*kubectl).restart},
	"wait":      {"name selector fields api_version for stable expect timeout", (*kubectl).validWait, (*kubectl).wait},
	"logs":      {"name selector fields container since previous after match require absent expect timeout", (*kubectl).validLogs, (*kubectl).logs},
	"exec":      {"name selector fields container command stdin read_only timeout", (*kubectl).validExec, (*kubectl).exec},
	"run":       {"image command node host_network env timeout", (*kubectl).validRun, (*kubectl).run},
	"cordon":    {"owner", (*kubectl).validNode, (*kubectl).cordon},
	"uncordon":  {"owner", (*kubectl).validNode, (*kubectl).uncordon},
	"drain": {"owner selector ignore_daemonsets delete_emptydir_data disable_eviction allow_unready_network force grace timeout",
		(*kubectl).validDrain, (*kubectl).drain},
}

// given lists the arguments that are set, in the order of the struct.
func (k *kubectl) given() []string {
	var names []string
	v := reflect.ValueOf(k).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("arg"), ",")
		if name != "" && !v.Field(i).IsZero() {
			names = append(names, name)
		}
	}
	return names
}

// verb is the one verb that is given. src or url alone means apply.
func (k *kubectl) verb() (string, error) {
	var verbs []string
	for _, name := range k.given() {
		if _, ok := kubectlVerbs[name]; ok {
			verbs = append(verbs, name)
		}
	}
	switch {
	case len(verbs) == 0 && (k.Src.Path != "" || k.URL != ""):
		return "apply", nil
	case len(verbs) == 0:
		return "", errors.New("no verb given; give one of get, apply, diff, patch, set_image, backup, delete, restart, wait, logs, exec, run, cordon, uncordon and drain")
	case len(verbs) > 1:
		return "", fmt.Errorf("%s exclude each other; use a task for each", strings.Join(verbs, " and "))
	}
	return verbs[0], nil
}

func (k *kubectl) Validate() error {
	verb, err := k.verb()
	if err != nil {
		return err
	}
	takes := append(strings.Fields(kubectlVerbs[verb].takes), verb, "namespace")
	for _, name := range k.given() {
		if !slices.Contains(takes, name) {
			return fmt.Errorf("%s does not take %q; it takes namespace and %s", verb, name, strings.Join(strings.Fields(kubectlVerbs[verb].takes), ", "))
		}
	}
	if k.Timeout != nil && *k.Timeout < 0 || k.Stable < 0 {
		return errors.New("timeout and stable cannot be negative")
	}
	return kubectlVerbs[verb].validate(k)
}

func (k *kubectl) Check(ctx context.Context, t Target) (Change, error) {
	verb, err := k.verb()
	if err != nil {
		return Change{}, err
	}
	cluster, err := t.Cluster(ctx)
	if err != nil {
		return Change{}, err
	}
	return kubectlVerbs[verb].check(k, ctx, outlook{Cluster: cluster, target: t})
}

// limit is the timeout, or what the verb takes where none is given.
func (k *kubectl) limit(otherwise time.Duration) time.Duration {
	if k.Timeout == nil {
		return otherwise
	}
	return *k.Timeout
}

// awaiting bounds the waiting for what no step brings about. Without time to
// wait that is an error at once, which keeps what was found for register.
func awaiting(c Change, limit time.Duration) (Change, error) {
	if len(c.Diffs) == 0 || len(c.Steps) > 0 || limit > 0 {
		c.Wait.Timeout = limit
		return c, nil
	}
	var missing []string
	for _, d := range c.Diffs {
		missing = append(missing, fmt.Sprintf("%s: is %s, want %s", d.What, d.Have, d.Want))
	}
	c.Diffs = nil
	return c, errors.New(strings.Join(missing, "; "))
}
