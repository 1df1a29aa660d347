# Commands that change the machine. Each has files in $rb_runs that begin with the
# name which the controller gave it: NAME.pid (of the supervisor: pid, start, boot),
# NAME.group (the command's), NAME.out, NAME.err and at the very end NAME.rc. To make
# NAME.pid where there is none (O_EXCL, which needs no process as mkdir would) is the
# claim to run the command, so that it runs once. The supervisor is the subshell that
# made the claim; it outlives the shell. As its last word is one line in one write,
# an rc without a whole line is none.

# rb_stat PID: what the kernel says of a process. In a subshell self is that subshell.
rb_stat() {
	rb_line=
	{ read -r rb_line <"/proc/$1/stat"; } 2>/dev/null || return 1
	rb_pid=${rb_line%% *}
	set -- ${rb_line##*) }
	rb_state=$1 rb_parent=$2 rb_pgrp=$3
	shift 19
	rb_start=$1
}

# rb_lives PID START BOOT: whether that very process is there.
rb_lives() {
	[ -n "$1" ] && [ "$3" = "$rb_boot" ] || return 1
	[ "$2" != - ] || { kill -0 "$1" 2>/dev/null; return; }
	rb_stat "$1" && [ "$rb_start" = "$2" ] && [ "$rb_state" != Z ]
}

# rb_home: find or make the directory for it all, which nobody else may enter.
# Without success rb_runs is empty and rb_why says what is wrong.
rb_runs=
rb_home() {
	[ -z "$rb_runs" ] || return 0
	rb_uid=$(id -u)
	rb_boot=-
	{ read -r rb_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
	rb_born=-
	rb_stat "$$" && rb_born=$rb_start
	if [ -n "$RUNBOOK_RUNS" ]; then
		rb_place=$RUNBOOK_RUNS/runbook-$rb_uid
	elif [ "$rb_uid" = 0 ] && [ -d /run ]; then
		rb_place=/run/runbook
	else
		rb_place=/var/tmp/runbook-$rb_uid
	fi
	rb_why=$(umask 077 && mkdir "$rb_place" 2>&1)
	set -- $(LC_ALL=C ls -ldn "$rb_place" 2>/dev/null)
	case "$1 $3" in
	drwx------*" $rb_uid") rb_runs=$rb_place ;;
	" ") ;;
	*)
		rb_why="$rb_place must be a directory of user $rb_uid with mode 0700 (drwx------), and is $1 of user $3: remove it"
		return 1
		;;
	esac
	[ -n "$rb_runs" ]
}

# rb_claim ID NUMBER: claim the command of that name, or wait for what it came to.
rb_claim() {
	rb_at=$rb_runs/$1
	set -C # true, as a shell ends when its : cannot be redirected
	if { true >"$rb_at.pid"; } 2>/dev/null; then
		set +C
		rb_mine=yes
		trap '' 1 15 # the command takes that back
		rb_start=-
		rb_stat self || rb_pid=$(exec sh -c 'echo "$PPID"')
		echo "$rb_pid $rb_start $rb_boot" >"$rb_at.pid"
		return
	fi
	[ -e "$rb_at.pid" ] && rb_await "$2"
	return 1
}

# rb_done CODE MARK CAP: what a supervisor does at its end, or the subshell of
# one who waited. The lock goes before the frame, which may find no reader.
rb_done() {
	if [ -n "$rb_mine" ]; then
		rb_code=$1
		[ -e "$rb_at.err" ] || rb_code=lost
		[ -e "$rb_at.flood" ] && rb_code=flood
		if [ "$1" -gt 128 ] && rb_leads; then
			rb_code=gone # the part that waited was killed, the command was not
		else
			echo "$rb_code" >"$rb_at.rc"
		fi
		exec 7>&-
	fi
	rb_frame "$rb_at." "$2" "$rb_code" "$3"
}

# rb_leads: whether the command itself is still there.
rb_leads() {
	rb_g=
	{ read -r rb_g <"$rb_at.group"; } 2>/dev/null
	rb_stat "${rb_g#-}" && [ "$rb_state" != Z ]
}

# rb_came: whether the command has come to its end: rb_code.
rb_came() {
	{ read -r rb_code <"$rb_at.rc"; } 2>/dev/null && [ -n "$rb_code" ]
}

# rb_busy: whether anything of the command's process group is still there.
rb_busy() {
	rb_g=
	{ read -r rb_g <"$rb_at.group"; } 2>/dev/null
	[ -n "$rb_g" ] || return 1
	[ -r /proc/self/stat ] || { kill -0 "$rb_g" 2>/dev/null; return; }
	for rb_file in /proc/[0-9]*; do
		rb_stat "${rb_file#/proc/}" && [ "$rb_state" != Z ] || continue
		[ "$rb_pgrp" = "${rb_g#-}" ] || [ "$rb_pid" = "$rb_g" ] || continue
		return 0
	done
	return 1
}

# rb_nap: a tenth of a second, or what the machine has. It counts them in rb_naps.
rb_nap() {
	rb_naps=$((rb_naps + 1))
	if [ "$rb_naps" -gt 100 ]; then # from ten seconds on, half a second
		sleep 0.5 2>/dev/null || sleep 1
	else
		sleep 0.1 2>/dev/null || { sleep 1 && rb_naps=$((rb_naps + 9)); }
	fi
}

# rb_await NUMBER: wait for the end of the command at $rb_at: its code, never or
# gone in rb_code; enough when the controller or this shell has had enough.
rb_await() {
	exec 7>&-
	rb_naps=0
	while [ -d "$rb_dir" ] && [ ! -e "$rb_dir/$1.enough" ]; do
		[ -e "$rb_at.pid" ] || { rb_code=never; return; }
		rb_came && return
		rb_p= rb_b=
		{ read -r rb_p rb_s rb_b <"$rb_at.pid"; } 2>/dev/null
		if [ -z "$rb_p" ]; then
			[ "$rb_naps" -lt 50 ] || { rb_code=gone; return; }
		elif ! rb_lives "$rb_p" "$rb_s" "$rb_b"; then
			rb_came && return
			[ "$rb_b" = "$rb_boot" ] && rb_busy || { rb_code=gone; return; }
		fi
		rb_nap
	done
	rb_code=enough
}

# rb_collect ID NUMBER MARK CAP: say what became of a command.
rb_collect() {
	rb_at=$rb_runs/$1
	rb_code=refused
	[ -z "$rb_runs" ] || rb_await "$2"
	[ "$rb_code" != refused ] || { rb_answer "$3" refused "$rb_why"; return; }
	rb_frame "$rb_at." "$3" "$rb_code" "$4"
	rm -f "$rb_dir/$2.enough" "$rb_dir/$2.minded"
}

# rb_mind ID NUMBER MARK CAP: see to it that a command whose supervisor was killed
# has a frame all the same.
rb_mind() {
	rb_at=$rb_runs/$1 rb_p=
	{ read -r rb_p rb_s rb_b <"$rb_at.pid"; } 2>/dev/null
	[ -z "$rb_p" ] || rb_lives "$rb_p" "$rb_s" "$rb_b" || [ -e "$rb_dir/$2.minded" ] && return
	true >"$rb_dir/$2.minded"
	(rb_collect "$@") &
}

# rb_answer MARK CODE TEXT: a frame without files.
rb_answer() {
	read -r rb_turn <&8
	printf '\n%s %s\n%s\n%s\n\n%s\n' "$1" "$2" "$3" "$1" "$1" >&9
	echo >&8
}

# rb_drop MARK ID...: forget commands.
rb_drop() {
	rb_mark=$1
	shift
	[ -n "$rb_runs" ] || { rb_answer "$rb_mark" refused "$rb_why"; return; }
	for rb_id; do
		set -- "$@" "$rb_runs/$rb_id".*
		shift
	done
	rb_why=$(rm -f "$@" 2>&1) && rb_answer "$rb_mark" 0 || rb_answer "$rb_mark" refused "$rb_why"
}

# rb_sweep: forget commands that ended more than a week ago, a few hundred at a
# time. Of one whose supervisor was killed the beginning counts.
rb_sweep() {
	find "$rb_runs/." ! -name . -prune -type f \( -name '*.rc' -o -name '*.pid' \) -mtime +7 2>/dev/null |
		head -n 512 | while read -r rb_file; do
		rb_at=${rb_file%.*}
		if [ "$rb_file" = "$rb_at.pid" ]; then
			rb_p=
			{ read -r rb_p rb_s rb_b <"$rb_file"; } 2>/dev/null
			[ ! -e "$rb_at.rc" ] && ! rb_lives "$rb_p" "$rb_s" "$rb_b" || continue
		fi
		rm -f "$rb_at".*
	done
	for rb_file in "$rb_runs"/lock.shell.*; do
		rb_read "$rb_file"
		[ -z "$rb_p" ] || rb_lives "$rb_p" "$rb_s" "$rb_b" || rm -f "$rb_file"
	done
}
