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
# A query has no reader any more when the connection is gone; a step goes on.
# Twice, as busybox gives up when a command's files go at the same time.
trap 'rb_kills TERM q; rm -rf "$rb_dir" 2>/dev/null || rm -rf "$rb_dir"' 0
trap 'exit 1' 1 15

# A line in this pipe is the right to print.
mkfifo "$rb_dir/turn" || rb_fail 'mkfifo does not work'
exec 8<>"$rb_dir/turn"
echo >&8

# What the shell says goes here, wherever a command's own output goes.
exec 9>&1

# With setsid a command and its children are one process group. Without it
# only the command itself can be ended.
rb_sign=-
rb_group=$(command -v setsid) || rb_sign=

# rb_wait FILE: note the command that was just started, and wait for it.
rb_wait() {
	echo "$rb_sign$!" >"$rb_dir/$1"
	wait "$!" 2>/dev/null # which tells of signals
}

# rb_end NUMBER MARK CODE CAP: print a command's frame. It is what a command's
# subshell does at its end, whatever that end was.
rb_end() {
	rb_code=$3
	[ -e "$rb_dir/e$1" ] || rb_code=lost
	[ -e "$rb_dir/b$1" ] && rb_code=flood
	read -r rb_turn <&8
	{
		printf '\n%s %s\n' "$2" "$rb_code"
		[ -s "$rb_dir/o$1" ] && head -c "$4" "$rb_dir/o$1"
		printf '\n%s\n' "$2"
		[ -s "$rb_dir/e$1" ] && head -c "$4" "$rb_dir/e$1"
		printf '\n%s\n' "$2"
	} >&9
	echo >&8
	rm -f "$rb_dir/o$1" "$rb_dir/e$1" "$rb_dir/i$1" "$rb_dir/b$1" "$rb_dir/q$1" "$rb_dir/s$1"
}

# rb_kill SIGNAL FILE: end the command that rb_wait noted in the file.
rb_kill() {
	rb_pid=
	{ read -r rb_pid <"$rb_dir/$2"; } 2>/dev/null
	[ -n "$rb_pid" ] && kill "-$1" "$rb_pid" 2>/dev/null
}

# rb_kills SIGNAL KIND...: end every command of the kinds (q queries, s steps).
rb_kills() {
	rb_signal=$1
	shift
	for rb_kind; do
		for rb_file in "$rb_dir/$rb_kind"[0-9]*; do
			[ -e "$rb_file" ] && rb_kill "$rb_signal" "${rb_file##*/}"
		done
	done
}

# rb_flood NUMBER FILE BLOCKS: end the command if it has printed more than that.
rb_flood() {
	[ -n "$(find "$rb_dir/o$1" "$rb_dir/e$1" -size "+$3" 2>/dev/null)" ] || return 0
	: >"$rb_dir/b$1"
	rb_kill KILL "$2"
}

# rb_take NUMBER MARK COUNT: append that many of the next bytes to the standard
# input of a command to come. Bytes that were left unread would be run as
# commands, so anything but having read them all ends the shell.
rb_take() {
	read -r rb_turn <&8
	printf '\n%s ready\n' "$2"
	echo >&8
	: >"$rb_dir/whole"
	{ head -c "$3" && echo y >"$rb_dir/whole"; } | {
		cat >>"$rb_dir/i$1"
		rb_code=$?
		cat >/dev/null
		exit "$rb_code"
	}
	rb_code=$?
	[ -s "$rb_dir/whole" ] || exit 1
	read -r rb_turn <&8
	printf '\n%s %s\n' "$2" "$rb_code"
	echo >&8
}
