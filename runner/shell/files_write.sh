path=$1 size=$2 mode=$3 owner=$4 backup=$5 temp=$6 sum=$7
dir=${path%/*}/

fail() {
	[ -z "$1" ] || printf '%s\n' "$1" >&2
	[ -z "$temp" ] || rm -f "$temp"
	exit 1
}

[ -d "$path" ] && fail 'is a directory'
[ -d "$dir" ] || fail "the directory $dir does not exist"
umask 077
if [ -z "$temp" ]; then
	temp=$(mktemp "$dir.runbook.XXXXXXXX") || { temp=; fail; }
	cat >"$temp" || fail
fi
have=$(wc -c <"$temp") || fail
[ "$have" -eq "$size" ] || fail "$have of $size bytes arrived"
if [ -n "$sum" ] && command -v sha256sum >/dev/null; then
	[ "$(sha256sum <"$temp")" = "$sum  -" ] || fail "what arrived has another SHA-256"
fi

keep=
if [ -e "$path" ]; then
	keep=$(stat -L -c '%a %u:%g' "$path") || fail
	[ -z "$backup" ] || cp -p "$path" "$path.$$.$(date +%Y-%m-%d@%H:%M:%S)~" || fail
fi
[ -n "$mode" ] || mode=${keep%% *}

# An owner that is not asked for is kept where that is allowed, as rename cannot
# keep it. The mode comes last: chown takes the set-user-ID bit away.
[ -z "$keep" ] || chown "${keep#* }" "$temp" 2>/dev/null
[ -z "$owner" ] || chown "$owner" "$temp" || fail
chmod "${mode:-644}" "$temp" || fail
sync -d "$temp" 2>/dev/null
mv -f "$temp" "$path" || fail
