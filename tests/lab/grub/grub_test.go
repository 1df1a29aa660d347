package grub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The files in testdata are what Debian 12's own update-grub, grub-set-default
// and grub-reboot made on a disk with these two kernels.
const (
	older = "6.1.0-40-lab"
	newer = "6.1.0-44-lab"
	uuid  = "5f5b7a0e-6f3f-4c57-9c1d-3a3e0c9a7f10"
	sub   = "Advanced options for Debian GNU/Linux"
)

// disk is a disk with both kernels, and with the files of testdata that are
// named; an empty name leaves the file out.
func disk(t *testing.T, config, env string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "boot/grub"), 0o755))
	for _, version := range []string{older, newer} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "boot/vmlinuz-"+version), []byte(version), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "boot/initrd.img-"+version), nil, 0o644))
	}
	for name, from := range map[string]string{"grub.cfg": config, "grubenv": env} {
		if from == "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join("testdata", from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "boot/grub", name), data, 0o644))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return root
}

// environment is what the disk's block holds.
func environment(t *testing.T, root *os.Root) map[string]string {
	t.Helper()
	data, err := root.ReadFile("boot/grub/grubenv")
	require.NoError(t, err)
	vars, err := ParseBlock(data)
	require.NoError(t, err)
	return vars
}

func setEnvironment(t *testing.T, root *os.Root, vars map[string]string) {
	t.Helper()
	data, err := FormatBlock(vars)
	require.NoError(t, err)
	require.NoError(t, root.WriteFile("boot/grub/grubenv", data, 0o644))
}

func TestChoose(t *testing.T) {
	const (
		simple  = "Debian GNU/Linux"
		inNewer = sub + ">Debian GNU/Linux, with Linux " + newer
		inOlder = sub + ">Debian GNU/Linux, with Linux " + older
		quiet   = "root=/dev/vda1 ro quiet"
		panics  = "root=/dev/vda1 ro panic=30 quiet"
		newerID = "gnulinux-advanced-" + uuid + ">gnulinux-" + newer + "-advanced-" + uuid
	)
	type vars = map[string]string
	tests := []struct {
		name, config, env     string
		set                   vars // into the block, before
		title, kernel, params string
		after                 vars // what the block holds then
	}{
		{"the first entry", "two-kernels.cfg", "empty.env", nil, simple, newer, quiet, vars{}},
		{"one kernel", "one-kernel.cfg", "empty.env", nil, simple, older, quiet, vars{}},
		{"without a block", "two-kernels.cfg", "", nil, simple, newer, quiet, nil},
		{"a number in a submenu", "numbers.cfg", "empty.env", nil, inOlder, older, quiet, vars{}},
		{"saved, but nothing is", "saved.cfg", "empty.env", nil, simple, newer, panics, vars{}},
		{"grub-set-default", "saved.cfg", "set-default.env", nil, inOlder, older, panics, vars{"saved_entry": inOlder}},
		{"grub-set-default without GRUB_DEFAULT=saved", "two-kernels.cfg", "set-default.env", nil, simple, newer, quiet, vars{"saved_entry": inOlder}},
		{"grub-reboot, by id, once", "saved.cfg", "reboot.env", nil, inNewer, newer, panics, vars{"saved_entry": inOlder, "next_entry": ""}},
		{"grub-reboot with savedefault leaves the saved entry", "savedefault.cfg", "reboot.env", nil, inNewer, newer, panics, vars{"saved_entry": inOlder, "next_entry": ""}},
		{"savedefault saves by id", "savedefault.cfg", "empty.env", vars{"saved_entry": inNewer}, inNewer, newer, panics, vars{"saved_entry": newerID}},
		{"a previous saved entry comes back", "saved.cfg", "empty.env", vars{"prev_saved_entry": inOlder, "next_entry": "0"}, simple, newer, panics,
			vars{"saved_entry": inOlder, "prev_saved_entry": "", "next_entry": ""}},
		{"no submenu", "saved-flat.cfg", "empty.env", vars{"saved_entry": "2"}, "Debian GNU/Linux, with Linux " + older, older, panics, vars{"saved_entry": "2"}},
		{"a submenu by number, its first entry", "saved.cfg", "empty.env", vars{"saved_entry": "1"}, inNewer, newer, panics, vars{"saved_entry": "1"}},
		{"an entry that is not there", "saved.cfg", "empty.env", vars{"saved_entry": "Windows"}, simple, newer, panics, vars{"saved_entry": "Windows"}},
		{"a number that is not there", "saved.cfg", "empty.env", vars{"saved_entry": "7"}, simple, newer, panics, vars{"saved_entry": "7"}},
		{"an entry that is not in the submenu", "saved.cfg", "empty.env", vars{"saved_entry": "1>Windows"}, inNewer, newer, panics, vars{"saved_entry": "1>Windows"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := disk(t, tt.config, tt.env)
			if tt.set != nil {
				setEnvironment(t, root, tt.set)
			}
			got, err := Choose(root)
			require.NoError(t, err)
			require.Equal(t, Boot{Title: tt.title, Linux: "boot/vmlinuz-" + tt.kernel, Initrd: "boot/initrd.img-" + tt.kernel, Args: strings.Fields(tt.params)}, got)
			if tt.after != nil {
				require.Equal(t, tt.after, environment(t, root))
			}
		})
	}
}

func TestOnceIsOnce(t *testing.T) {
	root := disk(t, "saved.cfg", "reboot.env")
	var kernels []string
	for range 2 {
		got, err := Choose(root)
		require.NoError(t, err)
		kernels = append(kernels, got.Linux)
	}
	require.Equal(t, []string{"boot/vmlinuz-" + newer, "boot/vmlinuz-" + older}, kernels)
}

// TestLanguage carries out scripts that nobody generated.
func TestLanguage(t *testing.T) {
	const boots = "\nmenuentry \"boots $x\" --unrestricted { linux /boot/vmlinuz-" + older + "\n}"
	tests := []struct{ name, script, title, err string }{
		{"a variable in quotes", "set x='a $b'\n" + boots, "boots a $b", ""},
		{"an unquoted one that is empty vanishes", "if [ $nothing ]; then x=1; else x=2; fi" + boots, "boots 2", ""},
		{"elif", "if false; then x=1; elif [ ! -e /boot/none -a -f /boot/vmlinuz-" + older + " ]; then x=2; else x=3; fi" + boots, "boots 2", ""},
		{"or", `if [ -s /boot/none -o "a" = "a" ]; then x=1; fi` + boots, "boots 1", ""},
		{"a device before a path", "if [ -f (hd0,gpt1)/boot/vmlinuz-" + older + " ]; then x=1; fi" + boots, "boots 1", ""},
		{"a function's argument", "function f {\n x=\"${1}!\" # why\n}\nf one" + boots, "boots one!", ""},
		{"a line that goes on", "set \\\n x=1" + boots, "boots 1", ""},
		{"escapes", `x="\$y \"z\" \n"` + boots, `boots $y "z" \n`, ""},
		{"another file", "source /boot/none; source $prefix/more.cfg" + boots, "boots more", ""},
		{"two > stand for one", `default="a>>b"; x=1` + boots + "\nmenuentry 'a>b' { linux /boot/vmlinuz-" + newer + "\n}", "a>b", ""},
		{"no menu", "set x=1", "", "the menu is empty"},
		{"no kernel", "menuentry a {\ntrue\n}", "", "a: it loads no kernel"},
		{"a kernel that is not there", "menuentry a {\nlinux /boot/none\n}", "", "no such file"},
		{"a loop", "for i in 1 2; do x=1; done", "", `line 1: "for" is not known here`},
		{"a pipe", "\na | b", "", `line 2: "|"`},
		{"an if without an end", "if true; then", "", "if has no fi"},
		{"else twice", "if true; then a; else b; else c; fi", "", "if has no fi"},
		{"an end without an if", "true\nfi", "", `line 2: "fi" has no beginning`},
		{"an open quote", "x='a", "", "has no end"},
		{"a call of itself", "function f {\nf\n}\nf", "", "without end"},
		{"an unknown test", "if [ a -nt b ]; then x=1; fi", "", "not known here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := disk(t, "", "empty.env")
			require.NoError(t, root.WriteFile(Config, []byte(tt.script), 0o644))
			require.NoError(t, root.WriteFile("boot/grub/more.cfg", []byte("x=more\n"), 0o644))
			got, err := Choose(root)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.title, got.Title)
		})
	}
}

func TestBlock(t *testing.T) {
	vars := map[string]string{"saved_entry": `a>b\c`, "next_entry": "", "two": "lines\nof it"}
	data, err := FormatBlock(vars)
	require.NoError(t, err)
	got, err := ParseBlock(data)
	require.NoError(t, err)
	require.Equal(t, vars, got)

	// grub-editenv writes the variables in the order in which they were set, we
	// write them by name: in all else the block is grub-editenv's.
	theirs, err := os.ReadFile("testdata/set-default.env")
	require.NoError(t, err)
	vars, err = ParseBlock(theirs)
	require.NoError(t, err)
	ours, err := FormatBlock(vars)
	require.NoError(t, err)
	require.Equal(t, string(theirs), string(ours))

	_, err = FormatBlock(map[string]string{"x": strings.Repeat("y", blockSize)})
	require.ErrorContains(t, err, "too many")
	for _, bad := range []string{"", "# GRUB Environment Block\n", strings.Repeat("#", blockSize)} {
		_, err = ParseBlock([]byte(bad))
		require.Error(t, err)
	}
}

func TestNoConfiguration(t *testing.T) {
	_, err := Choose(disk(t, "", "empty.env"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
