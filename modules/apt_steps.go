package modules

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// aptEnv keeps apt from asking questions, from translating its answers, and
// from restarting services: needrestart would restart containerd or kubelet
// because of what somebody else upgraded earlier.
func aptEnv() map[string]string {
	return map[string]string{
		"DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "LC_ALL": "C.UTF-8", "LANGUAGE": "C",
		"NEEDRESTART_SUSPEND": "1", "APT_LISTCHANGES_FRONTEND": "none", "UCF_FORCE_CONFFOLD": "1",
		"PATH": systemPath,
	}
}

// systemPath is where root's tools are. The shells of services and of other
// users often lack the sbin folders.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// aptRunner is a shell function that runs apt-get and waits for the locks of
// the lists and of the downloads, which DPkg::Lock::Timeout does not cover:
// apt-get gives up at once there and has to be started again. Its first
// argument is for how many seconds; $said is what apt-get wrote to stderr.
const aptRunner = aptHolders + `tell() {
	holders ` + aptLocks + ` | while IFS='	' read -r lock pid age name; do
		echo "apt: $lock is held by $name (pid $pid), running for $age s" >&2
	done
}
apt_get() {
	until=$(($(date +%s) + $1)); told=; shift
	while :; do
		{ said=$(apt-get "$@" 2>&1 >&3 </dev/null); code=$?; } 3>&1
		case $said in
		*'E: Unable to lock directory /var/lib/apt/lists'* | *'E: Unable to lock directory /var/cache/apt/archives'* | *'E: Unable to lock the download directory'*)
			[ "$(date +%s)" -lt "$until" ] || break
			[ -n "$told" ] || { echo 'apt: waiting for a lock' >&2; tell; told=1; }
			sleep 1 ;;
		*) break ;;
		esac
	done
	[ -z "$said" ] || printf '%s\n' "$said" >&2
	case $said in *'nable to lock '* | *'nable to acquire the dpkg '*) tell ;; esac
	return "$code"
}
`

// How long apt may take when nobody holds a lock: bounds against a hanging
// mirror or maintainer script.
const (
	aptUpdateLimit = 10 * time.Minute
	aptActLimit    = time.Hour
)

// update fetches the package lists, and remembers when if all of them came.
// apt-get by itself ends well though every mirror is dead.
func (a *apt) update() Step {
	argv := []string{"-q", "-o", "APT::Update::Error-Mode=any", "update"}
	script := aptRunner + fmt.Sprintf(`mkdir -p "${stamp%%/*}"
apt_get %d %s
code=$? word=%s
`, int(a.LockTimeout.Seconds()), quoteAll(argv), aptClean)
	if a.UpdateErrors == "warn" {
		script += `case $code:$said in
0:*) ;;
*'Some index files failed to download'*) code=0 word=` + aptPartial + ` ;;
esac
`
	}
	script += `[ "$code" -eq 0 ] || exit "$code"
echo "$word $(date +%s.%N)" >"$stamp"
[ "$word" = ` + aptClean + ` ] || printf '%s\n' "$said" | sed -n 's/^E: Failed to fetch //p' >>"$stamp"
`
	return Run{
		Shell: "stamp=" + aptStamp + "\n" + script,
		Show:  "apt-get " + quoteAll(argv),
		Env:   aptEnv(),
		Limit: aptUpdateLimit + a.LockTimeout,
	}
}

// act lets apt do what it has planned, by the versions of the plan, and nothing
// worse: what a plan does not have, apt is not permitted either. The options that
// say how, not what, are left out of what is shown.
func (a *apt) act(plan aptPlan, words []string) Step {
	pinned := slices.Clone(words)
	for i, word := range words {
		if _, version := splitAptWord(word); a.State == aptAbsent || version != "" && !strings.Contains(version, "*") {
			continue
		}
		name, _ := splitAptWord(word)
		for _, c := range plan.installs {
			if c.name == name {
				pinned[i] = name + "=" + c.to
			}
		}
	}
	seconds := int(a.LockTimeout.Seconds())
	how := []string{"-q", "-o", "Dpkg::Use-Pty=0", "-o", fmt.Sprintf("DPkg::Lock::Timeout=%d", seconds),
		"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"}
	argv := []string{"-y"}
	if len(plan.removals) == 0 {
		argv = append(argv, "--no-remove")
	}
	if a.AllowDowngrade {
		argv = append(argv, "--allow-downgrades")
	}
	if a.AllowHeld {
		argv = append(argv, "--allow-change-held-packages")
	}
	argv = append(argv, a.order(pinned, a.Autoremove)...)
	return Run{
		Shell: aptRunner + fmt.Sprintf("apt_get %d %s\n", seconds, quoteAll(append(how, argv...))),
		Show:  "apt-get " + quoteAll(argv),
		Env:   aptEnv(),
		Limit: aptActLimit + 2*a.LockTimeout,
	}
}

func quoteAll(words []string) string { return Command(words...).String() }
