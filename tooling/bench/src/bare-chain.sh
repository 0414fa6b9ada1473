#!/bin/sh
# The chain of programs that gives a command a root, namespaces and bounded capabilities of its own, and nothing around it: what any
# implementation by util-linux has to start for each step. As root, with the host's network.
#
#   bare-chain.sh prepare DIR ROOT    makes DIR, to run over the root filesystem in the folder ROOT
#   bare-chain.sh run DIR COUNT       runs `:` COUNT times, each time in a fresh upper directory
set -eu
umask 022
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C LIBMOUNT_FORCE_MOUNT2=always
what=$1 dir=$2

prepare() {
  mkdir -p "$dir/l" "$dir/m" "$dir/s/etc" "$dir/dev"
  ln -s "$1" "$dir/l/0"
  ln -s ../s "$dir/l/s"
  (cd "$dir/s" && mkdir dev proc sys tmp && touch etc/resolv.conf etc/hosts etc/hostname)
  (
    cd "$dir/dev"
    touch empty null zero full random urandom tty
    mkdir pts shm mqueue
    ln -s pts/ptmx ptmx
    ln -s /proc/self/fd fd
    ln -s fd/0 stdin
    ln -s fd/1 stdout
    ln -s fd/2 stderr
  )
  quiet=nosuid,nodev,noexec
  {
    echo "proc $dir/m/proc proc $quiet 0 0"
    for name in bus fs irq sys sysrq-trigger; do
      [ ! -e "/proc/$name" ] || echo "$dir/m/proc/$name $dir/m/proc/$name none bind,ro,$quiet 0 0"
    done
    echo "sysfs $dir/m/sys sysfs ro,$quiet 0 0"
    echo "tmpfs $dir/m/dev tmpfs nosuid,noexec,mode=755 0 0"
  } >"$dir/fstab1"
  {
    for name in null zero full random urandom tty; do echo "/dev/$name $dir/m/dev/$name none bind 0 0"; done
    echo "devpts $dir/m/dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5 0 0"
    echo "tmpfs $dir/m/dev/shm tmpfs nosuid,nodev,mode=1777 0 0"
    for name in resolv.conf hosts; do echo "/etc/$name $dir/m/etc/$name none bind,ro,$quiet 0 0"; done
  } >"$dir/fstab2"
}

boot='set -eu
cd "$1/l"
mount -n -t overlay -o "$2" overlay "$1/m"
cd "$1/m"
for name in dev proc sys etc tmp; do [ -d "$name" ] && [ ! -L "$name" ]; done
mount -n -a -T "$1/fstab1"
cp -a "$1/dev/." dev/
mount -n -a -T "$1/fstab2"
mount -n --move . /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root setpriv --bounding-set "$3" \
  chroot --userspec=+0:+0 --groups=+0 . /bin/sh -e -c :'
capabilities=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap

run() {
  step=0
  while [ "$step" -lt "$1" ]; do
    rm -rf "$dir/fs" "$dir/w"
    mkdir "$dir/fs" "$dir/w"
    options="lowerdir=0:s,upperdir=../fs,workdir=../w,volatile,nodev,redirect_dir=off,metacopy=off,index=off,xino=off"
    setpriv --pdeathsig KILL unshare -i -u -m -p -f --kill-child --propagation slave -- \
      /bin/sh -c "$boot" boot "$dir" "$options" "$capabilities"
    step=$((step + 1))
  done
}

"$what" "$3"
