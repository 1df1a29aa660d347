package modules

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	grubEnvBlock     = "/boot/grub/grubenv"
	updateGrubWithin = 5 * time.Minute
	savedFile        = "# Of runbook's module kernel: what boots is what grub-set-default has chosen.\nGRUB_DEFAULT=saved\n"
)

// bootWish is what GRUB is to do from the next boot on.
type bootWish struct {
	release string   // that the wish is about
	file    string   // runbook's own; empty: there is none
	fixed   string   // the default of grub.cfg
	option  string   // on the line of the release; empty: none is needed
	next    string   // the path for the next boot only; empty: there is none
	saved   string   // the path that is saved
	after   string   // the release of that path
	drop    bool     // what is saved counts only until grub.cfg is written anew
	entries []string // the releases that grub.cfg must have
}

// once makes the next boot a trial of the expected kernel.
func (k *kernel) once(l kernelLook, expected string, c *Change) error {
	switch {
	case expected == l.running:
		return nil
	case expected == "":
		return errors.New("no kernel of this host's own packages is installed, so none can be booted")
	}
	if err := k.bootable(l, expected); err != nil {
		return err
	}
	if l.grub == nil {
		return k.withoutGrub(c, "the boot loader of this host is trusted to take "+expected+": there is no way back to "+l.running+" by itself")
	}
	if err := l.tryable(expected); err != nil {
		return err
	}
	old, err := l.grub.path(l.running)
	if err != nil {
		return err
	}
	trial, err := l.grub.path(expected)
	if err != nil {
		return err
	}
	l.grub.toward(bootWish{
		release: expected, file: k.trialFile(), fixed: grubSaved, option: k.panicOption(),
		next: trial, saved: old, after: l.running, entries: []string{expected, l.running},
	}, c)
	if len(c.Steps) > 0 {
		c.Vars["next"], c.Vars["default"], c.Vars["once"] = expected, l.running, true
		c.Effects = []Effect{{Thing: aKernel, State: Unforeseen{"whether " + expected + " runs when the host has booted"}}}
	}
	return nil
}

// confirm makes the expected kernel, which must run, what boots from now on.
// Where the user's own default does not boot it, runbook's file stays.
func (k *kernel) confirm(l kernelLook, expected string, c *Change) error {
	g := l.grub
	switch {
	case expected == "":
		return errors.New("no kernel of this host's own packages is installed, so none can be confirmed")
	case expected != l.running:
		return l.notBooted(expected)
	case g == nil:
		return k.withoutGrub(c, expected+" runs; what boots next only its boot loader knows")
	case g.stray != "" || g.ownFails:
		return fmt.Errorf("nobody can tell whether %s boots from now on: %s; set the default with GRUB_DEFAULT alone", expected,
			cmp.Or(g.stray, "/etc/default/grub and the files of /etc/default/grub.d cannot be read by a shell"))
	}
	entry, err := g.path(expected)
	if err != nil {
		return err
	}
	wish := bootWish{release: expected, fixed: g.own, saved: entry, after: expected, drop: true, entries: []string{expected}}
	switch {
	case g.own == "saved":
		wish.fixed, wish.drop = grubSaved, false
	case g.ownRelease() != expected:
		wish.fixed, wish.drop, wish.file = grubSaved, false, savedFile
		c.Notes = append(c.Notes, fmt.Sprintf("GRUB_DEFAULT=%s would boot %s, so %s stays and overrules it; set it to 0 and confirm again to be rid of that file",
			Quote(g.own), cmp.Or(g.ownRelease(), "no Linux"), kernelDropIn))
	}
	g.toward(wish, c)
	if len(c.Steps) > 0 {
		c.Vars["next"], c.Vars["default"], c.Vars["once"] = expected, expected, false
	}
	return nil
}

// toward adds what stands between GRUB and a wish. What is saved comes first, and
// the one-shot boot last: a host that goes down in between comes back with the
// kernel that is saved. grub-set-default also clears next_entry.
func (g *grubState) toward(w bootWish, c *Change) {
	next, is := g.env["next_entry"], w.release
	if w.next != "" {
		is += ", once"
	}
	if g.dropIn != w.file || g.hasDropIn != (w.file != "") {
		c.Diffs = append(c.Diffs, Diff{What: kernelDropIn, Have: g.dropIn, Want: w.file, Text: true})
	}
	have, want := g.stale(w)
	if have != "" {
		c.Diffs = append(c.Diffs, Diff{What: "/boot/grub/grub.cfg", Have: have, Want: want})
	}
	if next != w.next {
		c.Diffs = append(c.Diffs, Diff{What: "next boot", Have: g.boots(g.next(), next, is), Want: is})
	}
	saved := g.saves(w)
	if !saved {
		c.Diffs = append(c.Diffs, Diff{What: "default boot", Have: g.boots(g.usual(), "", w.after), Want: w.after})
		c.Steps = append(c.Steps, grubTool("grub-set-default", w.saved))
	}
	if next != "" && w.next == "" && saved {
		c.Steps = append(c.Steps, grubTool("grub-editenv", grubEnvBlock, "unset", "next_entry"))
	}
	c.Steps = append(c.Steps, g.write(w.file, have != "")...)
	if w.next != "" && (next != w.next || !saved) {
		c.Steps = append(c.Steps, grubTool("grub-reboot", w.next))
	}
	if w.drop && g.hasDropIn { // the trial has saved it, and nothing reads it any more
		c.Steps = append(c.Steps, grubTool("grub-editenv", grubEnvBlock, "unset", "saved_entry"))
	}
}

// stale says what grub.cfg has that is not as wished, and what it should have.
func (g *grubState) stale(w bootWish) (have, want string) {
	for _, release := range w.entries {
		if _, there := g.entry(release); !there {
			return "no entry for " + release, "an entry for " + release
		}
	}
	e, _ := g.entry(w.release)
	switch {
	case g.fixed != w.fixed:
		return "default " + inWords(g.fixed), "default " + inWords(w.fixed)
	case w.option != "" && !slices.Contains(strings.Fields(e.line), w.option):
		return "no " + w.option + " for " + w.release, w.option
	}
	return "", ""
}

// saves says that what is saved is as wished, or does not count.
func (g *grubState) saves(w bootWish) bool {
	return g.env["saved_entry"] == w.saved && g.env["prev_saved_entry"] == "" || w.drop && g.fixed != grubSaved
}

// boots is a release in a difference; where it is the wanted one already, with
// what decides on it.
func (g *grubState) boots(release, armed, want string) string {
	said := cmp.Or(release, "unknown")
	if armed != "" {
		said += ", once"
	}
	if said == want {
		said += " (by " + cmp.Or(armed, "default "+inWords(g.fixed)) + ")"
	}
	return said
}

func inWords(fixed string) string { return strings.ReplaceAll(fixed, grubSaved, "saved") }

// write puts runbook's file in place, or takes it away, and has grub.cfg made
// anew where that or its own state asks for it. grub.cfg keeps the host's language,
// so no other is set.
func (g *grubState) write(file string, stale bool) []Step {
	var steps []Step
	switch {
	case file == g.dropIn && g.hasDropIn == (file != ""):
		if !stale {
			return nil
		}
	case file == "":
		steps = append(steps, Remove{Path: kernelDropIn})
	default:
		if !g.folder {
			steps = append(steps, Command("mkdir", "-p", path.Dir(kernelDropIn)))
		}
		steps = append(steps, Write{Path: kernelDropIn, Data: []byte(file), Mode: 0o644})
	}
	return append(steps, Run{Argv: []string{"update-grub"}, Env: map[string]string{"PATH": systemPath}, Limit: updateGrubWithin})
}

func grubTool(argv ...string) Run {
	return Run{Argv: argv, Env: map[string]string{"PATH": systemPath, "LC_ALL": "C"}}
}

// trialFile has GRUB go by what is saved, and a kernel that panics boot again. On
// the command line the initrd of Debian and Ubuntu heeds it too, where it finds
// no root (initramfs-tools(7)).
func (k *kernel) trialFile() string {
	if k.Panic == 0 {
		return savedFile
	}
	return savedFile + "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX " + k.panicOption() + "\"\n"
}

func (k *kernel) panicOption() string {
	if k.Panic == 0 {
		return ""
	}
	return "panic=" + strconv.Itoa(k.Panic)
}
