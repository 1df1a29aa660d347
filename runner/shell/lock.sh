# The lock: one run changes the machine at a time, as one user. Every shell of the
# run has a shared flock on $rb_runs/lock by its fd 7, and so has every supervisor
# that it started: the kernel frees it with the last of them. Who finds it free
# (an exclusive flock, asked for only behind the gate) writes lock.holder.
# lock.shell.PID is the same of every shell that has it: pid, start and boot; run;
# session; who; since.
#
# Without flock(1) those files are the lock: a shell first writes its own and then
# looks for others that live, so that of two at least one sees the other.
rb_flock=$(command -v flock)

# rb_grab: open the lock, and begin to mind the controller's silence.
rb_grab() {
	rb_home || return 0
	rb_entry=$rb_runs/lock.shell.$$
	if [ -n "$rb_flock" ]; then
		# A failing exec would end the shell.
		if ! (true >"$rb_runs/lock") 2>/dev/null; then
			rb_why="$rb_runs/lock cannot be written"
			rb_runs=
			return 0
		fi
		exec 7>"$rb_runs/lock"
	fi
	[ -z "$rb_watch" ] || return 0
	rb_guard &
	rb_watch=$!
	(exec </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&-; rb_sweep) &
}

# rb_guard: end the shell when nothing was heard of the controller for five
# minutes, as one that vanished would keep the lock. Where the shell was killed,
# do what it would have done at its end.
rb_guard() {
	exec </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&-
	trap 'kill "$!"; exit' 15
	rb_silent=0
	while :; do
		sleep "${RUNBOOK_TICK:-60}" &
		wait "$!"
		if ! rb_minded; then
			rb_watch=
			rb_leave
			exit
		elif [ -s "$rb_dir/beat" ]; then
			true >"$rb_dir/beat"
			rb_silent=0
		elif [ "$((rb_silent += 1))" -ge 5 ]; then
			kill -TERM "$$"
			sleep 2 &
			wait "$!"
			rb_minded && kill -KILL "$$"
		fi
	done
}

# rb_minded: whether the shell is there that rb_guard was started by.
rb_minded() {
	[ "$rb_born" != - ] || { kill -0 "$$" 2>/dev/null; return; }
	rb_stat self && [ "$rb_parent" = "$$" ]
}

# rb_lock RUN SESSION WHO SINCE: take the lock: got, shared with what else of the
# run has it, or held by another, in rb_code. What an earlier life of the run has
# left is ended: its shells at once, while its commands share the lock.
rb_lock() {
	[ -n "$rb_runs" ] || return
	rb_naps=0
	rb_try=rb_try_bare
	if [ -n "$rb_flock" ]; then
		rb_try=rb_try_flock
		exec 6>"$rb_runs/lock.gate"
	fi
	while :; do
		[ -z "$rb_flock" ] || flock 6 || return
		$rb_try "$@"
		[ -z "$rb_flock" ] || flock -u 6
		[ "$rb_code" = older ] || return
		case $rb_naps in
		0) rb_older "$1" "$2" TERM ;;
		10) rb_older "$1" "$2" KILL ;;
		esac
		if [ "$rb_naps" -ge 100 ]; then
			rb_code=refused rb_why="$rb_runs/lock cannot be shared with what an earlier life of the run has left"
			return
		fi
		rb_nap
	done
}

rb_try_flock() {
	rb_code=refused rb_why="$rb_runs/lock.holder cannot be written"
	if flock -xn 7; then
		rb_enter "$@" && rb_name && flock -s 7 && rb_code=got || flock -u 7
		return
	fi
	rb_read "$rb_runs/lock.holder"
	rb_code=held
	[ "$rb_run" = "$1" ] || return
	rb_code=older
	[ "$rb_session" = "$2" ] || [ "$rb_naps" -ge 50 ] || ! rb_older "$1" "$2" 0 || return
	flock -sn 7 && rb_enter "$@" && rb_name && rb_code=shared
}

rb_try_bare() {
	rb_code=refused rb_why="$rb_entry cannot be written"
	rb_enter "$@" || return
	rb_code=got
	for rb_file in "$rb_runs"/lock.shell.*; do
		[ "$rb_file" != "$rb_entry" ] || continue
		rb_read "$rb_file"
		rb_lives "$rb_p" "$rb_s" "$rb_b" || continue
		if [ "$rb_run" != "$1" ]; then
			rb_code=held
			break
		fi
		[ "$rb_session" = "$2" ] || [ "$rb_naps" -ge 50 ] || rb_code=older
	done
	if [ "$rb_code" = got ]; then
		rb_read "$rb_runs/lock.holder"
		[ "$rb_run" != "$1" ] && rb_works && rb_code=held || rb_code=got
	fi
	case $rb_code in
	got) rb_name || rb_code=refused ;;
	held) rm -f "$rb_entry" ;;
	esac
}

# rb_works: whether a supervisor is at work.
rb_works() {
	for rb_file in "$rb_runs"/*.pid; do
		rb_at=${rb_file%.pid} rb_p=
		rb_came && continue
		{ read -r rb_p rb_s rb_b <"$rb_file"; } 2>/dev/null
		rb_lives "$rb_p" "$rb_s" "$rb_b" && return
	done
	return 1
}

# rb_enter RUN SESSION WHO SINCE: write that this shell has the lock, or wants it.
rb_enter() {
	printf '%s\n' "$$ $rb_born $rb_boot" "$@" 2>/dev/null >"$rb_entry"
}

# rb_name: write that this shell's run has the lock.
rb_name() {
	cp "$rb_entry" "$rb_runs/lock.holder.$$" 2>/dev/null && mv -f "$rb_runs/lock.holder.$$" "$rb_runs/lock.holder"
}

# rb_read FILE: read what rb_enter wrote.
rb_read() {
	rb_p= rb_s= rb_b= rb_run= rb_session= rb_who= rb_since=
	{
		read -r rb_p rb_s rb_b
		read -r rb_run
		read -r rb_session
		read -r rb_who
		read -r rb_since
	} 2>/dev/null <"$1"
}

# rb_older RUN SESSION SIGNAL: signal the shells of the run's earlier lives, or
# with 0 only say whether there are any.
rb_older() {
	rb_any=1
	for rb_file in "$rb_runs"/lock.shell.*; do
		rb_read "$rb_file"
		[ "$rb_run" = "$1" ] && [ "$rb_session" != "$2" ] && rb_lives "$rb_p" "$rb_s" "$rb_b" || continue
		rb_any=0
		[ "$3" = 0 ] || kill "-$3" "$rb_p" 2>/dev/null
	done
	return "$rb_any"
}

# rb_said MARK: print what rb_lock came to.
rb_said() {
	if [ "$rb_code" = refused ]; then
		rb_answer "$1" refused "$rb_why"
	else
		rb_answer "$1" "$rb_code" "$rb_boot
$rb_run
$rb_session
$rb_who
$rb_since"
	fi
}
