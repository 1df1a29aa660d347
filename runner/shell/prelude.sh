# The names that the requests use. They begin with rb_, so that no variable of
# the user's environment is in their way.
unset ENV BASH_ENV LANGUAGE

rb_fail() {
	printf '%s\n' "$1" >&2
	exit 1
}

# Were printf a program, what it prints would stand in the process list.
[ "$(command -v printf)" = printf ] || rb_fail 'the printf of /bin/sh is not a builtin'
[ "$(printf abc | head -c 2)" = ab ] || rb_fail 'head -c does not work'

# Memory first: a machine whose disk is full must still answer.
rb_dir=
for rb_base in /dev/shm "${TMPDIR:-/tmp}" /tmp /var/tmp; do
	[ -d "$rb_base" ] && [ -w "$rb_base" ] || continue
	rb_dir=$(mktemp -d "$rb_base/runbook.XXXXXXXX" 2>/dev/null) && break
done
[ -n "$rb_dir" ] || rb_fail 'no directory for command output can be made in /dev/shm, $TMPDIR, /tmp or /var/tmp'

# rb_leave: what the shell does at its end. A query has no reader any more when
# the connection is gone; a step goes on. The directory is removed twice, as
# busybox gives up when a command's files go at the same time.
rb_watch=
rb_entry=
rb_leave() {
	[ -z "$rb_watch" ] || kill "$rb_watch" 2>/dev/null
	rb_kills TERM query
	rm -rf "$rb_dir" "${rb_entry:-$rb_dir}" 2>/dev/null || rm -rf "$rb_dir"
}
trap rb_leave 0
trap 'exit 1' 1 15

# A line in this pipe is the right to print.
mkfifo "$rb_dir/turn" || rb_fail 'mkfifo does not work'
exec 8<>"$rb_dir/turn"
echo >&8

# What the shell says goes here, wherever a command's own output goes. Fd 7 is
# the lock (lock.sh): nothing but the shell and what changes the machine has it.
exec 9>&1

# With setsid a command and its children are one process group. Without it
# only the command itself can be ended.
rb_sign=-
rb_group=$(command -v setsid) || rb_sign=

# rb_wait FILE: note the command that was just started, and wait for it.
rb_wait() {
	echo "$rb_sign$!" >"$1"
	wait "$!" 2>/dev/null # which tells of signals
}

# rb_frame BASE MARK CODE CAP: print what a command came to. The names of its
# files begin with BASE.
rb_frame() {
	read -r rb_turn <&8
	{
		printf '\n%s %s\n' "$2" "$3"
		[ -s "$1out" ] && head -c "$4" "$1out"
		printf '\n%s\n' "$2"
		[ -s "$1err" ] && head -c "$4" "$1err"
		printf '\n%s\n' "$2"
	} >&9
	echo >&8
}

# rb_end CODE BASE MARK CAP: what the subshell of a command does at its end,
# whatever that end was.
rb_end() {
	rb_code=$1
	[ -e "$2err" ] || rb_code=lost
	[ -e "$2flood" ] && rb_code=flood
	rb_frame "$2" "$3" "$rb_code" "$4"
	rm -f "$2out" "$2err" "$2in" "$2flood" "$2query" "$2step"
}

# rb_kill SIGNAL FILE: end the command that is noted in the file.
rb_kill() {
	rb_pid=
	{ read -r rb_pid <"$2"; } 2>/dev/null
	[ -n "$rb_pid" ] && kill "-$1" "$rb_pid" 2>/dev/null
}

# rb_kills SIGNAL KIND...: end every command of the kinds (query, step).
rb_kills() {
	rb_signal=$1
	shift
	for rb_kind; do
		for rb_file in "$rb_dir"/[0-9]*".$rb_kind"; do
			[ -e "$rb_file" ] && rb_kill "$rb_signal" "$rb_file"
		done
	done
}

# rb_flood BASE FILE BLOCKS: end the command if it has printed more than that.
rb_flood() {
	[ -n "$(find "$1out" "$1err" -size "+$3" 2>/dev/null)" ] || return 0
	true >"$1flood"
	rb_kill KILL "$2"
}

# rb_beat: the controller lives. lock.sh looks for that.
rb_beat() { echo >"$rb_dir/beat"; }

# rb_take FILE MARK COUNT: append that many of the next bytes to the file. Bytes
# that were left unread would be run as commands, so anything but having read
# them all ends the shell. That may take long: it does not have the lock.
rb_take() {
	rb_beat
	read -r rb_turn <&8
	printf '\n%s ready\n' "$2"
	echo >&8
	true >"$rb_dir/whole"
	{ exec 7>&-; head -c "$3" && echo y >"$rb_dir/whole"; } | {
		exec 7>&-
		cat >>"$1"
		rb_code=$?
		cat >/dev/null
		exit "$rb_code"
	}
	rb_code=$?
	[ -s "$rb_dir/whole" ] || exit 1
	rb_beat
	read -r rb_turn <&8
	printf '\n%s %s\n' "$2" "$rb_code"
	echo >&8
}
