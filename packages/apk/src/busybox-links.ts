import type { ByteString } from "@melange2/oci";

/** Applets that busybox installs outside /usr/bin, by folder, as its own `--install` does. */
const homes: Readonly<Record<string, string>> = {
  bin: `arch ash base32 base64 bash bbconfig cat chattr chgrp chmod chown cp cpio cttyhack date dd df dmesg dnsdomainname dumpkmap
    echo ed egrep false fatattr fdflush fgrep fsync getopt grep gunzip gzip hostname hush ionice iostat ipcalc kbd_mode kill link linux32
    linux64 ln login ls lsattr lzop makemime mkdir mknod mktemp more mount mountpoint mpstat mt mv netstat nice nuke pidof ping ping6
    pipe_progress printenv ps pwd readlink reformime resume rev rm rmdir rpm run-parts scriptreplay sed setarch setpriv setserial sh sleep stat
    stty su sync tar touch true umount uname uncompress usleep vi watch zcat`,
  sbin: `acpid adjtimex arp blkid blockdev bootchartd depmod devmem fbsplash fdisk findfs freeramdisk fsck fsck.minix fstrim getty halt
    hdparm hwclock ifconfig ifdown ifenslave ifup init inotifyd insmod ip ipaddr iplink ipneigh iproute iprule iptunnel klogd loadkmap
    logread losetup lsmod makedevs mdev mkdosfs mke2fs mkfs.ext2 mkfs.minix mkfs.reiser mkfs.vfat mkswap modinfo modprobe nameif pivot_root
    poweroff raidautorun reboot rmmod route run-init runlevel setconsole slattach start-stop-daemon sulogin swapoff swapon switch_root
    sysctl syslogd tc tunctl tune2fs udhcpc uevent vconfig watchdog zcip`,
  "usr/sbin": `add-shell addgroup adduser arping brctl chat chpasswd chroot crond delgroup deluser dhcprelay dnsd ether-wake
    fakeidentd fbset fdformat fsfreeze ftpd httpd i2cdetect i2cdump i2cget i2cset i2ctransfer ifplugd inetd killall5 loadfont lpd mim
    nanddump nandwrite nbd-client nologin ntpd partprobe popmaildir powertop rdate rdev readahead readprofile remove-shell rtcwake sendmail
    setfont setlogcons svlogd telnetd tftpd ubiattach ubidetach ubimkvol ubirename ubirmvol ubirsvol ubiupdatevol udhcpd`,
};

const homeOf = new Map(
  Object.entries(homes).flatMap(([folder, names]) => names.split(/\s+/).map((name) => [name, folder] as const)),
);

/**
 * Where busybox's links go, relative to the root: what a package's list under /etc/busybox-paths.d says, or, without one, a link for each applet that
 * the program has.
 */
export function busyboxLinks(listed: string | undefined, applets: readonly string[]): readonly ByteString[] {
  const paths =
    listed === undefined
      ? applets.map((name) => `${homeOf.get(name) ?? "usr/bin"}/${name}`)
      : listed.split("\n").map((line) => line.trim().replace(/^\/+/, ""));
  const isSane = (path: string) => /^[^\0]+$/.test(path) && !path.split("/").some((part) => /^\.{0,2}$/.test(part));
  return [...new Set(paths)].filter((path) => isSane(path) && !/(?:^|\/)(?:busybox|linuxrc)$/.test(path));
}

/** The applets of a busybox program: their names stand in it one behind the other, in byte order, and `[` is the first. */
export function appletsOf(program: Buffer): readonly string[] {
  for (let at = program.indexOf("\0[\0"); at >= 0; at = program.indexOf("\0[\0", at + 1)) {
    const names: string[] = [];
    for (let start = at + 1; ; ) {
      const end = program.indexOf(0, start);
      const name = end < 0 || end - start > 40 ? "" : program.toString("latin1", start, end);
      if (!/^[a-z0-9[_.+-]+$/.test(name) || (names.length > 0 && name <= (names.at(-1) as string))) break;
      names.push(name);
      start = end + 1;
    }
    if (names.length > 20) return names;
  }
  return [];
}
