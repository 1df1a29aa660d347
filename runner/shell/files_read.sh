path=$1
[ -L "$path" ] && readlink -n "$path"
printf '\000'
LC_ALL=C stat -L -c '%f %s %Y %u %g %U %G' "$path" || exit
[ ! -f "$path" ] || head -c "$2" "$path"
