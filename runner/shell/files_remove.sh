path=$1
[ -e "$path" ] || [ -L "$path" ] || exit 0
if [ -n "$2" ]; then
	rm -rf "$path"
elif [ -d "$path" ] && [ ! -L "$path" ]; then
	rmdir "$path"
else
	rm -f "$path"
fi
