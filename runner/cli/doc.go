package cli

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"runbook/examples"
	"runbook/modules"
	"runbook/playbooks"
	"runbook/runner/source"
)

//go:embed topics/*.md
var topics embed.FS

// thePlaybooks is the word after which doc explains the shipped playbooks.
const thePlaybooks = "playbooks"

func newDoc(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "doc [MODULE|PLAYBOOK|TOPIC] | doc playbooks [PLAYBOOK]",
		Short: "Explain a module, a shipped playbook or a topic, or list them",
		Args:  cobra.MaximumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) == 0:
				return documented(), cobra.ShellCompDirectiveNoFileComp
			case len(args) == 1 && args[0] == thePlaybooks:
				return playbooks.Shipped(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return doc(env.Stdout, args) },
	}
}

// doc explains what the words name, or lists what there is to explain.
func doc(out io.Writer, words []string) error {
	switch {
	case len(words) == 0:
		return listDocs(out)
	case len(words) == 2 && words[0] != thePlaybooks:
		return fmt.Errorf("doc explains one thing at a time, or `doc playbooks NAME`: found %q", strings.Join(words, " "))
	case len(words) == 2:
		return playbookDoc(out, words[1])
	case words[0] == thePlaybooks:
		return listPlaybooks(out)
	}
	if def, ok := modules.Lookup(words[0]); ok {
		return moduleDoc(out, def)
	}
	if text, err := topics.ReadFile("topics/" + words[0] + ".md"); err == nil {
		_, err = out.Write(text)
		return err
	}
	if _, ok := playbooks.About(words[0]); ok {
		return playbookDoc(out, words[0])
	}
	return nothingCalled("module, playbook or topic", words[0], documented())
}

// nothingCalled says that there is no such thing, and which one has nearly that name.
func nothingCalled(thing, name string, names []string) error {
	err := fmt.Errorf("there is no %s %q", thing, name)
	if near := source.Closest(name, names); near != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, near)
	}
	return err
}

// playbookDoc is a shipped playbook's page.
func playbookDoc(out io.Writer, name string) error {
	about, ok := playbooks.About(name)
	if !ok {
		return nothingCalled("shipped playbook", name, playbooks.Shipped())
	}
	_, err := fmt.Fprint(out, about)
	return err
}

func listPlaybooks(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range playbooks.Shipped() {
		fmt.Fprintf(w, "  %s\t%s\n", name, playbooks.Summary(name))
	}
	return w.Flush()
}

// documented is everything that doc can explain.
func documented() []string {
	return slices.Concat(modules.Names(), playbooks.Shipped(), topicNames(), []string{thePlaybooks})
}

func topicNames() []string {
	entries, err := topics.ReadDir("topics")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".md"))
	}
	slices.Sort(names)
	return names
}

func listDocs(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Modules:")
	for _, name := range modules.Names() {
		def, _ := modules.Lookup(name)
		fmt.Fprintf(w, "  %s\t%s\n", name, def.Doc)
	}
	fmt.Fprintln(w, "Playbooks:")
	if err := w.Flush(); err != nil {
		return err
	}
	if err := listPlaybooks(out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "Topics:\n  %s\n", strings.Join(topicNames(), ", "))
	return err
}

// moduleDoc is what the argument struct says of itself, and the example.
func moduleDoc(out io.Writer, def modules.Def) error {
	fmt.Fprintf(out, "%s: %s\n\nArguments:\n", def.Name, def.Doc)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, a := range source.ArgsOf(def.New()) {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", a.Name, a.Type, argumentDoc(a))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	example, err := examples.Files.ReadFile(def.Name + ".yaml")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\nExample:\n\n%s", example)
	return err
}

func argumentDoc(a source.Arg) string {
	text := a.Doc
	if len(a.Enum) > 0 {
		text += " One of " + strings.Join(a.Enum, ", ") + "."
	}
	if a.Required {
		text += " Required."
	}
	if a.Default != "" {
		text += " Default " + a.Default + "."
	}
	if len(a.Aliases) > 0 {
		text += " Also " + strings.Join(a.Aliases, ", ") + "."
	}
	return text
}
