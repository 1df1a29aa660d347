package jinja

import "errors"

// resultTests ask how a task ended, from what it registered.
func resultTests() builtins {
	failed := onResult(func(a *args, key func(string) (bool, Value)) (Value, error) {
		truth, unknown := key("failed")
		return either(truth, unknown)
	})
	succeeded := onResult(func(a *args, key func(string) (bool, Value)) (Value, error) {
		truth, unknown := key("failed")
		return either(!truth, unknown)
	})
	changed := onResult(changedTest)
	skipped := onResult(plainKey("skipped"))
	finished := onResult(plainKey("finished"))
	return builtins{
		"failed": failed, "failure": failed,
		"succeeded": succeeded, "success": succeeded, "successful": succeeded, "ok": succeeded,
		"changed": changed, "change": changed,
		"skipped": skipped, "skip": skipped,
		"finished": finished, "started": onResult(plainKey("started")),
		"unreachable": onResult(plainKey("unreachable")),
		"reachable": onResult(func(a *args, key func(string) (bool, Value)) (Value, error) {
			truth, unknown := key("unreachable")
			return either(!truth, unknown)
		}),
	}
}

func plainKey(name string) func(*args, func(string) (bool, Value)) (Value, error) {
	return func(a *args, key func(string) (bool, Value)) (Value, error) {
		return either(key(name))
	}
}

func either(truth bool, unknown Value) (Value, error) {
	if unknown != nil {
		return unknown, nil
	}
	return Bool(truth), nil
}

// onResult is a test of a registered result; key is the truth of an entry, or
// why it is not known.
func onResult(test func(a *args, key func(string) (bool, Value)) (Value, error)) *builtin {
	return define("", func(a *args) (Value, error) {
		var d *Dict
		switch v := a.in.(type) {
		case Undefined:
			return nil, &undefinedError{v}
		case Unknown:
			return v, nil
		case *Dict:
			d = v
		default:
			return nil, errors.New("wants the result that a task registered")
		}
		return test(a, func(name string) (bool, Value) {
			v, ok := d.Get(name)
			if !ok {
				return false, nil
			}
			truth, known := Truth(v)
			if !known {
				u, _ := FindUnknown(v)
				return false, u
			}
			return truth, nil
		})
	}).looking(careful)
}

// changedTest also asks the items of a loop, where the result itself does not
// say.
func changedTest(a *args, key func(string) (bool, Value)) (Value, error) {
	d := a.in.(*Dict)
	results, ok := d.Get("results")
	list, isList := results.(*List)
	if _, own := d.Get("changed"); own || !ok || !isList {
		return either(key("changed"))
	}
	for _, item := range list.Items {
		result, ok := item.(*Dict)
		if !ok {
			continue
		}
		v, _ := result.Get("changed")
		if v == nil {
			continue
		}
		truth, known := Truth(v)
		if !known || truth {
			if u, ok := FindUnknown(v); ok {
				return u, nil
			}
			return Bool(true), nil
		}
	}
	return Bool(false), nil
}

// unsupportedTests are known and refused; the text says what to do.
var unsupportedTests = map[string]string{
	"directory":    "it asks the controller; register the result of stat",
	"file":         "it asks the controller; register the result of stat",
	"link":         "it asks the controller; register the result of stat",
	"exists":       "it asks the controller; register the result of stat",
	"link_exists":  "it asks the controller; register the result of stat",
	"same_file":    "it asks the controller; register the result of stat",
	"mount":        "it asks the controller; look into ansible_facts.mounts",
	"urn":          "use match",
	"uri":          "use match",
	"url":          "use match",
	"timedout":     "look at the result's own keys",
	"escaped":      "",
	"vaulted_file": "",
}
