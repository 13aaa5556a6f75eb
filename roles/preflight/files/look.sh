#!/bin/sh
# Prints the state of this host, one `key=value` a line, as far as the options ask for it. Changes nothing, needs no Python.
#
#   look.sh [-w SECONDS] [-m PYTHON] [-c FOLDER] [-e PATH]... [-f PATH]... [-t PATH]...
#
#   -w  wait for the end of cloud-init's first boot, at most so long; first, because it sets up what the others look at
#   -m  the machine; PYTHON is the command whose version is printed
#   -c  the claims in this folder
#   -e  the path, if it exists
#   -f  whether the path is a folder or can be created as one
#   -t  the folders on the way to the path that accounts other than root can change
#
# Options are carried out in their order. The last line is `end=`: without it something stopped this script.
set -u

first_boot() {
  command -v cloud-init >/dev/null || return 0
  timeout "$1" cloud-init status --wait >/dev/null
  if [ $? = 124 ]; then echo 'first_boot=running'; fi
}

python() {
  # shellcheck disable=SC2086 # Ansible allows arguments in it, such as /usr/bin/env python3
  $interpreter -c "$1"
}

machine() {
  interpreter=$1
  # shellcheck source=/dev/null
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  echo "os=${ID-} ${VERSION_ID-}"
  echo "clock=$(date +%s)"
  echo "machine_id=$(cat /etc/machine-id)"
  echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
  echo "machine=$(uname -m)"
  echo "glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)"
  echo "processors=$(nproc)"
  grep -E '^(MemTotal|SwapTotal):' /proc/meminfo | sed 's/^/meminfo=/'
  python 'import sys; print("python=%d.%d" % sys.version_info[:2])'
  if dpkg --status python3-apt >/dev/null 2>&1 && python pass && ! python 'import apt_pkg'; then echo 'python_foreign=yes'; fi
  if [ -d /run/systemd/system ]; then echo 'systemd=yes'; fi
  if [ -e /proc/net/if_inet6 ]; then echo 'ipv6=yes'; fi
  for folder in / /usr /var /srv; do
    df -Pk "$folder" | sed "1d; s|^|free=$folder |"
    df -Pi "$folder" | sed "1d; s|^|inodes=$folder |"
  done
  for folder in /etc /usr /var/lib /srv; do
    if [ -e "$folder" ] && [ ! -w "$folder" ]; then echo "readonly=$folder"; fi
  done
  ss -Hltnp | sed 's/^/listener=/'
}

claims() {
  for file in "$1"/*.json; do
    if [ -f "$file" ]; then printf 'claim=%s\n' "$(tr -d '\r\n' <"$file" | sed 's#//[^/" ]*@#//***@#g')"; fi
  done
}

folder() {
  path=$1
  while [ ! -e "$path" ] && [ ! -L "$path" ]; do path=$(dirname "$path"); done
  if [ ! -d "$path" ]; then printf 'not_folder=%s\n' "$path"; fi
}

# A path that does not exist is passed over; a link is followed, because root would work where it leads.
trusted() {
  if [ ! -e "$1" ]; then trusted "$(dirname "$1")"; return; fi
  if [ "$1" != / ]; then trusted "$(dirname "$1")"; fi
  find "$1" -maxdepth 0 \( ! -uid 0 -o ! -type l -perm /022 \) -printf 'untrusted=%u %m %p\n'
  if [ -L "$1" ]; then
    target=$(readlink "$1")
    case $target in /*) ;; *) target=$(dirname "$1")/$target ;; esac
    trusted "$target"
  fi
}

echo # ends the line of a prompt of sudo's
while getopts w:m:c:e:f:t: option; do
  case $option in
    w) first_boot "$OPTARG" ;;
    m) machine "$OPTARG" ;;
    c) claims "$OPTARG" ;;
    e) if [ -e "$OPTARG" ]; then printf 'existing=%s\n' "$OPTARG"; fi ;;
    f) folder "$OPTARG" ;;
    t) trusted "$OPTARG" ;;
    *) exit 2 ;;
  esac
done
echo 'end='
