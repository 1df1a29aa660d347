# Prints facts of this host as NAME=VALUE, each ended by a NUL; $want says which
# groups beside the smallest. It changes nothing, and needs no program that is
# not there: what cannot be told is left out.
fact() { printf '%s=%s\0' "$1" "$2"; }
content() { if [ -r "$2" ]; then fact "$1" "$(cat "$2" 2>/dev/null)"; fi; }
line() { if [ -r "$2" ] && IFS= read -r l <"$2"; then fact "$1" "$l"; fi; } 2>/dev/null
has() { command -v "$1" >/dev/null 2>&1; }

fact env begins
env -0 2>/dev/null
fact env ends
PATH=$PATH:/usr/sbin:/sbin

fact uname "$(uname -s) $(uname -n) $(uname -r) $(uname -m)"
fact kernel_version "$(uname -v)"
if has hostname && has timeout; then fact fqdn "$(timeout 2 hostname -f 2>/dev/null)"; fi
content os_release /etc/os-release
line debian_version /etc/debian_version
line machine_id /etc/machine-id
line boot_id /proc/sys/kernel/random/boot_id
line uptime /proc/uptime
line loadavg /proc/loadavg
line init /proc/1/comm
if [ -d /run/systemd/system ]; then fact systemd yes; fi
fact date "$(LC_ALL=C date '+%s %z %Z %A %u %j %V')"
fact user "$(id -un 2>/dev/null)"
fact ids "$(id -u) $(id -g) $(id -ru) $(id -rg)"
if has getent; then fact passwd "$(getent passwd "$(id -u)")"; else content passwd_file /etc/passwd; fi
for manager in apt-get dnf yum zypper apk pacman; do
  if has "$manager"; then fact packages "$manager"; break; fi
done
content resolv /etc/resolv.conf

case $want in *hardware*)
  fact cpus "$(grep -E '^(processor|vendor_id|model name|physical id|cpu cores|siblings|CPU implementer|Model)[[:space:]]*:' /proc/cpuinfo 2>/dev/null)"
  content meminfo /proc/meminfo
  line product_name /sys/class/dmi/id/product_name
  line system_vendor /sys/class/dmi/id/sys_vendor
esac

case $want in *network*)
  for d in /sys/class/net/*; do
    if [ -e "$d/address" ]; then
      mac= mtu= state= type=
      if [ -d "$d/bridge" ]; then type=bridge; fi
      { IFS= read -r mac <"$d/address"; IFS= read -r mtu <"$d/mtu"; IFS= read -r state <"$d/operstate"; } 2>/dev/null
      fact "interface ${d##*/}" "$mac $mtu $state $type"
    fi
  done
  if has ip; then
    fact addresses "$(ip -o addr show 2>/dev/null)"
    fact route4 "$(ip -4 route get 8.8.8.8 2>/dev/null)"
    fact route6 "$(ip -6 route get 2001:4860:4860::8888 2>/dev/null)"
  elif has hostname; then
    fact address_list "$(hostname -I 2>/dev/null)"
  fi
esac

case $want in *virtual*)
  if has systemd-detect-virt; then
    fact virtual "$(systemd-detect-virt 2>/dev/null)"
  elif [ -e /.dockerenv ]; then
    fact virtual docker
  elif grep -q '^flags.* hypervisor' /proc/cpuinfo 2>/dev/null; then
    fact virtual kvm
  fi
esac
exit 0
