package jinja

import (
	"errors"
	"fmt"
)

// shapeFilters look at what a value is, not at what it holds.
func shapeFilters() builtins {
	orElse := define("default_value boolean", defaultFilter).looking(careful)
	return builtins{
		"default":   orElse,
		"d":         orElse,
		"mandatory": define("msg", mandatory).looking(careful),
		"ternary":   define("true_val! false_val! none_val", ternary).looking(careful),
		"type_debug": define("", func(a *args) (Value, error) {
			if u, ok := a.in.(Unknown); ok {
				return u, nil
			}
			return str(a.in.typeName()), nil
		}).looking(careful),
		"attr": define("name!", func(a *args) (Value, error) {
			return a.attribute(&nameExpr{name: a.text("name", "")}, a.in, a.text("name", ""))
		}).looking(shape),
	}
}

func defaultFilter(a *args) (Value, error) {
	otherwise := a.get("default_value")
	if otherwise == nil {
		otherwise = str("")
	}
	switch v := a.in.(type) {
	case Unknown:
		return v, nil
	case Undefined:
		return otherwise, nil
	}
	if truth, known := Truth(a.in); a.flag("boolean", false) && known && !truth {
		return otherwise, nil
	}
	return a.in, nil
}

func mandatory(a *args) (Value, error) {
	u, ok := a.in.(Undefined)
	if !ok {
		return a.in, nil
	}
	if a.given("msg") {
		return nil, errors.New(a.text("msg", ""))
	}
	if u.about == nil || u.about.path == "" || u.about.cause != nil {
		return nil, &undefinedError{u}
	}
	return nil, fmt.Errorf("%q is mandatory and not defined", u.about.path)
}

// ternary does not use the argument that it does not choose.
func ternary(a *args) (Value, error) {
	if u, ok := a.in.(Undefined); ok {
		return nil, &undefinedError{u}
	}
	if a.in == (None{}) && a.given("none_val") {
		return a.get("none_val"), nil
	}
	truth, known := Truth(a.in)
	switch {
	case !known:
		u, _ := FindUnknown(a.in)
		return u, nil
	case truth:
		return a.get("true_val"), nil
	}
	return a.get("false_val"), nil
}

// unsupportedFilters are known and refused; the text says what to do.
var unsupportedFilters = map[string]string{
	"json_query":      "use map, select and selectattr",
	"ipaddr":          "write the network down as a variable",
	"ipv4":            "write the network down as a variable",
	"ipv6":            "write the network down as a variable",
	"ipwrap":          "write the brackets down",
	"ipsubnet":        "write the network down as a variable",
	"ipmath":          "write the address down as a variable",
	"nthhost":         "write the address down as a variable",
	"password_hash":   "it gives another answer every time; put the hash into a vaulted variable",
	"shuffle":         "it gives another answer every time, so that a plan could not be kept",
	"vault":           "encrypt with ansible-vault",
	"unvault":         "give the file to a task's src, or to vars_files",
	"fileglob":        "name the files",
	"realpath":        "only the machine knows what a link leads to",
	"relpath":         "write the path down",
	"expanduser":      "only the machine knows the home directory",
	"expandvars":      "only the machine knows its environment",
	"strftime":        "it gives another answer every time",
	"to_datetime":     "compare the texts, if they are written year first",
	"wordwrap":        "",
	"urlize":          "",
	"xmlattr":         "",
	"striptags":       "",
	"pprint":          "use to_nice_json",
	"rekey_on_member": "use items2dict",
	"win_basename":    "",
	"win_dirname":     "",
	"win_splitdrive":  "",
	"commonpath":      "",
	"from_yaml_all":   "use from_yaml for each document",
}
