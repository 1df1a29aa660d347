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

func newDoc(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "doc [MODULE|PLAYBOOK|TOPIC]",
		Short: "Explain a module, a shipped playbook or a topic, or list them",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return documented(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listDocs(env.Stdout)
			}
			if def, ok := modules.Lookup(args[0]); ok {
				return moduleDoc(env.Stdout, def)
			}
			if text, err := topics.ReadFile("topics/" + args[0] + ".md"); err == nil {
				_, err = env.Stdout.Write(text)
				return err
			}
			if about, ok := playbooks.About(args[0]); ok {
				_, err := fmt.Fprint(env.Stdout, about)
				return err
			}
			err := fmt.Errorf("there is no module, playbook or topic %q", args[0])
			if near := source.Closest(args[0], documented()); near != "" {
				err = fmt.Errorf("%w; did you mean %q?", err, near)
			}
			return err
		},
	}
}

// documented is everything that doc can explain.
func documented() []string {
	return slices.Concat(modules.Names(), playbooks.Shipped(), topicNames())
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
	fmt.Fprintf(w, "Playbooks:\n  %s\n", strings.Join(playbooks.Shipped(), ", "))
	fmt.Fprintf(w, "Topics:\n  %s\n", strings.Join(topicNames(), ", "))
	return w.Flush()
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
