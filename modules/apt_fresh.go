package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// aptFresh fetches the package lists into a folder of its own, so that a plan
// can say what apt will do after an update that has not been made. What the
// host has already is not fetched again, and no hook of the host's runs.
const aptFresh = `dir=$(mktemp -d) && mkdir -p "$dir/lists/partial" || exit
cp -a /var/lib/apt/lists/. "$dir/lists/" 2>/dev/null
rm -f "$dir/lists/lock"
cat >"$dir/apt.conf" <<EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "$dir/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "root";
EOF
echo "@lists $dir"
said=$(apt-get -q -c "$dir/apt.conf" -o APT::Update::Error-Mode=any update 2>&1 >/dev/null </dev/null) || echo "@incomplete"
printf '%s\n' "$said" >&2
`

// aptCleanLimit bounds removing the folder, also when the run is being ended.
const aptCleanLimit = 10 * time.Second

func (a *apt) fresh() Run {
	return Run{Shell: aptFresh + a.policyScript(`-c "$dir/apt.conf" `) + "exit 0\n", Env: aptEnv(), Limit: aptUpdateLimit}
}

// refresh looks again at what depends on the package lists, by lists as they
// are now at their sources. The caller discards them.
func (a *apt) refresh(ctx context.Context, t Target, look *aptLook) ([]string, error) {
	out, err := t.Query(ctx, a.fresh())
	if err != nil {
		return nil, err
	}
	answer := aptLook{packages: map[string]aptPackage{}, policy: map[string]*aptPolicy{}}
	if err := answer.parse(out.Stdout); err != nil {
		return nil, err
	}
	if answer.lists == "" {
		return nil, fmt.Errorf("no folder for the package lists: %s", lastLine(out.Stderr))
	}
	look.lists, look.policy = answer.lists, answer.policy
	said := strings.Join(aptErrors(out.Stderr), "; ")
	switch {
	case !answer.incomplete:
		return nil, nil
	case a.UpdateErrors == "warn":
		return []string{"some package lists cannot be fetched: " + said}, nil
	}
	return nil, errors.New("the package lists cannot be fetched: " + said)
}

// discard removes the folder of fresh lists, if there is one.
func (l aptLook) discard(ctx context.Context, t Target) {
	if l.lists == "" {
		return
	}
	// What is left behind is a temporary folder, and whoever cleans those up has it.
	_, _ = t.Query(context.WithoutCancel(ctx), Run{Argv: []string{"rm", "-rf", "--", l.lists}, Env: aptEnv(), Limit: aptCleanLimit})
}

// options are what makes apt use these lists.
func (l aptLook) options() []string {
	if l.lists == "" {
		return nil
	}
	return []string{"-c", l.lists + "/apt.conf"}
}
